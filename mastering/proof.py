"""Whether a chain of history is whole (SPEC §13).

Each event's hash is SHA-256 over the hash before it and the event's body; the body holds the SHA-256 of the personal values that lie
beside it. So a changed body breaks the chain, changed values no longer fit their body, and a missing event leaves a gap in the numbers.
Erased values are no fault: the body still says what they hashed to.

A removed tail leaves a chain that is whole in itself. It shows against the head that the subject's own row keeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from mastering.store.documents import load
from mastering.store.tables import HistoryEvent


@dataclass(frozen=True, slots=True)
class Broken:
    """The first event of a chain that does not hold, and what is wrong with it."""

    seq: int
    fault: str


def verify_chain(events: Iterable[HistoryEvent], head: tuple[int, bytes] | None = None) -> Broken | None:
    """The first fault of a whole chain in ascending order, or `None`. `head` is the number and hash that its last event must have."""
    seq, chained = 0, b""
    for event in events:
        seq += 1
        fault = _fault(event, seq, chained)
        if fault is not None:
            return Broken(seq, fault)
        chained = event.hash
    if head is not None and head != (seq, chained):
        return Broken(seq, "the chain does not end where its subject says it does")
    return None


def _fault(event: HistoryEvent, seq: int, before: bytes) -> str | None:
    if event.seq != seq:
        return f"event {seq} is missing"
    if sha256(before + event.body.encode()).digest() != event.hash:
        return "the body does not have the hash that is kept with it"
    body = load(event.body)
    if (body["id"], body["subject"], body["seq"], body["type"], body["at"]) != (event.id, event.subject, event.seq, event.type, event.at):
        return "the columns do not say what the body says"
    if event.values_json is not None and sha256(event.values_json.encode()).hexdigest() != body.get("values"):
        return "the values are not those that the body commits to"
    return None
