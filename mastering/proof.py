"""Whether history is whole: each chain in itself, and all of it against what was signed (SPEC §13; docs/proof.md).

Each event's hash is SHA-256 over the hash before it and the event's body; the body holds the SHA-256 of the personal values that lie
beside it. So a changed body breaks the chain, changed values no longer fit their body, and a missing event leaves a gap in the numbers.
Erased values are no fault where an erasure is told of: the body still says what they hashed to. Whoever takes values away without one is found.

==========================  ==========================================================================================
what was done               what finds it
==========================  ==========================================================================================
an event altered, dropped,  its chain
inserted, out of its place
the end of a chain cut      the head that the row of its subject keeps, or a checkpoint
a chain written anew, with  only a checkpoint: its signature vouches for the hashes of all events in the order in
hashes that fit             which they were written, and for the heads of all chains
a checkpoint altered        its signature
a checkpoint dropped        the one after it, which names it by its hash; or a copy that was kept elsewhere
==========================  ==========================================================================================

All of it is read in pages and nothing is kept but hashes, however long the history is.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain as joined
from itertools import groupby
from operator import attrgetter
from typing import Any, Protocol

import msgspec
from sqlmodel import Session

from mastering.merkle import Tree
from mastering.store import checkpoints as store
from mastering.store import history
from mastering.store.checkpoints import Head
from mastering.store.documents import canonical, load
from mastering.vault import Vault, signature_holds

MOST = 100
"""Faults that a report names; it counts the others."""
KIND = "mastering.checkpoint/1"
"""What a statement of a checkpoint calls itself."""
ERASURE = "user.erase"
"""The last event of a person whose values were erased."""
_COMMITTED = re.compile(r'"values":"[0-9a-f]{64}"')
_ACCOUNT = re.compile(r'"id":"(0ua[0-9A-Za-z]+)"')
_TAKEN = "its values are gone, and nobody was erased"


class Event(Protocol):
    """An event as it is kept: a row of its table, or what was read of one."""

    @property
    def id(self) -> str: ...  # noqa: D102 - the columns of store.tables.HistoryEvent
    @property
    def subject(self) -> str: ...  # noqa: D102
    @property
    def seq(self) -> int: ...  # noqa: D102
    @property
    def at(self) -> str: ...  # noqa: D102
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def body(self) -> str: ...  # noqa: D102
    @property
    def values_json(self) -> str | None: ...  # noqa: D102
    @property
    def hash(self) -> bytes: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Broken:
    """An event of a chain that does not hold, and what is wrong with it."""

    seq: int
    fault: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to history: to which chain and at which of its events, or to which checkpoint."""

    fault: str
    subject: str | None = None
    seq: int | None = None
    event_id: str | None = None
    checkpoint: int | None = None


@dataclass(slots=True)
class Report:
    """What was looked at and what was found; of the faults at most `MOST`."""

    events: int = 0
    chains: int = 0
    checkpoints: int = 0
    found: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether there was no fault at all."""
        return self.found == 0

    def add(self, fault: Fault) -> None:
        """One more fault."""
        self.found += 1
        if len(self.faults) < MOST:
            self.faults.append(fault)


class Statement(msgspec.Struct, frozen=True):
    """What a checkpoint says, and signs in its canonical form.

    `events` counts those since the checkpoint before, `order` is SHA-256 over their hashes in the order in which they were written;
    `chains` counts the heads, `root` is that of the tree over them; `previous` is SHA-256 of the statement before; `key` is the public key.
    """

    number: int
    at: str
    by: dict[str, str]
    position: int
    events: int
    order: str
    chains: int
    root: str
    previous: str | None
    key: str
    type: str = KIND

    @property
    def text(self) -> bytes:
        """What is signed."""
        return canonical(msgspec.to_builtins(self))


class Signed(msgspec.Struct, frozen=True):
    """A statement and its signature."""

    statement: Statement
    signature: str

    @property
    def holds(self) -> bool:
        """Whether it was signed as it stands, by whoever has the key that it names."""
        return self.statement.type == KIND and signature_holds(self.statement.key, self.signature, self.statement.text)


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that was kept outside, and the heads that were exported with it, if they were."""

    signed: Signed
    heads: Iterable[Head] | None = None


# -- one chain ------------------------------------------------------------------------------------------------------------


def verify_chain(events: Iterable[Event], head: tuple[int, bytes] | None = None) -> Broken | None:
    """The first fault of a whole chain in ascending order, or `None`. `head` is the number and hash that its last event must have."""
    seq, chained, kind, taken = 0, b"", "", None
    for broken, event in _checked(events):
        if broken is not None:
            return broken
        if taken is None and without_values(event):
            taken = Broken(event.seq, _TAKEN, event.id)
        seq, chained, kind = event.seq, event.hash, event.type
    if head is not None and head != (seq, chained):
        return Broken(seq, "the chain does not end where its subject says it does")
    return taken if kind != ERASURE else None


def without_values(event: Any) -> bool:
    """Whether an event had values of a person and has them no more."""
    return event.values_json is None and _COMMITTED.search(event.body) is not None


def _checked(events: Iterable[Event]) -> Iterator[tuple[Broken | None, Event]]:
    """Each event with what is wrong with it. After a fault the chain is taken up again at the hash that is kept."""
    seq, chained, position = 0, b"", 0
    for event in events:
        seq += 1
        place = getattr(event, "position", None) or position + 1
        yield _fault(event, seq, chained, late=place > position), event
        seq, chained, position = event.seq, event.hash, place


def _fault(event: Event, seq: int, before: bytes, *, late: bool) -> Broken | None:
    if event.seq > seq:
        return Broken(seq, f"event {seq} is missing" if event.seq == seq + 1 else f"events {seq} to {event.seq - 1} are missing")
    if event.seq < seq:
        return Broken(event.seq, f"there are several events {event.seq}", event.id)
    if sha256(before + event.body.encode()).digest() != event.hash:
        return Broken(seq, "the body does not have the hash that is kept with it", event.id)
    try:
        body = load(event.body)
        told = (body["id"], body["subject"], body["seq"], body["type"], body["at"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return Broken(seq, "the body is not that of an event", event.id)
    if told != (event.id, event.subject, event.seq, event.type, event.at):
        return Broken(seq, "the columns do not say what the body says", event.id)
    if event.values_json is not None and sha256(event.values_json.encode()).hexdigest() != body.get("values"):
        return Broken(seq, "the values are not those that the body commits to", event.id)
    return None if late else Broken(seq, "it stands before the event that it follows", event.id)


# -- all of it ------------------------------------------------------------------------------------------------------------


def verify(session: Session, vault: Vault | None = None, kept: Sequence[Kept] = ()) -> Report:
    """Look at all of history: every chain, every end, every checkpoint there is, and those that were `kept` elsewhere.

    `vault` knows whose signatures are the service's own; without it any key is good that signed as it says.
    """
    report, erasures = Report(), _Erasures()
    for _, chain in groupby(history.every_chain(session), attrgetter("subject")):
        report.chains += 1
        for broken, event in erasures.noted(_checked(chain)):
            report.events += 1
            if broken is not None:
                report.add(Fault(broken.fault, event.subject, broken.seq, broken.event_id))
    for fault in erasures.faults():
        report.add(fault)
    for ending in history.wrong_endings(session):
        report.add(Fault(ending.fault, ending.subject, ending.seq))
    for fault in joined(_checkpoints(session, report, vault), _kept(session, vault, kept)):
        report.add(fault)
    return report


@dataclass(slots=True)
class _Erasures:
    """Whose values are gone, and who was erased. An account's chain tells of no erasure: it is that of the person whose chain names the account."""

    taken: dict[str, Event] = field(default_factory=dict)
    """By chain that tells of no erasure: its first event without its values."""
    accounts: set[str] = field(default_factory=set)
    """Those of people who were erased."""

    def noted(self, chain: Iterable[tuple[Broken | None, Event]]) -> Iterator[tuple[Broken | None, Event]]:
        """The same chain, looked at on the way."""
        first: Event | None = None
        event: Event | None = None
        named: set[str] = set()
        for broken, event in chain:
            if without_values(event):
                first = first or event
                named.update(_ACCOUNT.findall(event.body))
            yield broken, event
        if event is not None and event.type == ERASURE:
            self.accounts |= named
        elif first is not None:
            self.taken[first.subject] = first

    def faults(self) -> Iterator[Fault]:
        """Whose values are gone though nobody was erased."""
        for subject, event in self.taken.items():
            if subject not in self.accounts:
                yield Fault(_TAKEN, subject, event.seq, event.id)


def _checkpoints(session: Session, report: Report, vault: Vault | None) -> Iterator[Fault]:
    """Whether each checkpoint was signed as it is kept, follows the one before it, and fits the history it covers; and the heads of all."""
    before: Statement | None = None
    for row in store.signed(session):
        report.checkpoints += 1
        found = signed(row)
        if found is None:
            yield Fault("it is no statement of a checkpoint", checkpoint=row.number)
            continue
        statement = found.statement
        yield from _unsigned(found, vault)
        if (row.number, row.at, row.position) != (statement.number, statement.at, statement.position):
            yield Fault("the columns do not say what the statement says", checkpoint=row.number)
        yield from _out_of_line(session, statement, before)
        before = statement
    if before is not None:
        yield from _against_heads(session, store.recorded(session, before.number))
        if root_of(store.heads(session, before.number)) != (before.chains, before.root):
            yield Fault("the heads that are kept here are not those that were signed", checkpoint=before.number)


def _unsigned(found: Signed, vault: Vault | None) -> Iterator[Fault]:
    number = found.statement.number
    if not found.holds:
        yield Fault("the signature does not fit the statement", checkpoint=number)
    elif vault is not None and not vault.vouched(found.statement.key):
        yield Fault("it was signed with a key that this service does not have", checkpoint=number)


def _out_of_line(session: Session, statement: Statement, before: Statement | None) -> Iterator[Fault]:
    """Whether a checkpoint follows the one before it, and the events in between are those that it was signed over."""
    number = statement.number
    if number != (before.number if before else 0) + 1:
        yield Fault(f"the checkpoint before it is {before.number if before else 'none'}: one or several are missing", checkpoint=number)
    elif statement.previous != digest_of(before):
        yield Fault("the checkpoint before it is another one than it was signed after", checkpoint=number)
    elif order_of(session, before.position if before else 0, statement.position) != (statement.events, statement.order):
        told = f"the events written up to it, since checkpoint {before.number}," if before else "the events written up to it"
        yield Fault(f"{told} are not those that were signed", checkpoint=number)


def _kept(session: Session, vault: Vault | None, kept: Sequence[Kept]) -> Iterator[Fault]:
    """What was kept elsewhere against what is here."""
    for each in kept:
        statement, ours = each.signed.statement, store.one(session, each.signed.statement.number)
        yield from _unsigned(each.signed, vault)
        if ours is None:
            yield Fault("the checkpoint is missing", checkpoint=statement.number)
        elif (mine := signed(ours)) is None or mine.statement != statement:
            yield Fault("the checkpoint is another one than was handed out", checkpoint=statement.number)
        if each.heads is not None:
            tree = Tree()
            yield from _against_heads(session, _planted(tree, each.heads))
            if (tree.size, tree.close().hex()) != (statement.chains, statement.root):
                yield Fault("the heads that were kept with it are not those that were signed", checkpoint=statement.number)


def _planted(tree: Tree, heads: Iterable[Head]) -> Iterator[Head]:
    """The same heads, each a leaf of the tree once it has been looked at."""
    for head in heads:
        tree.add(leaf_of(head))
        yield head


def _against_heads(session: Session, heads: Iterable[Head]) -> Iterator[Fault]:
    """Where history does not agree with the heads that a checkpoint recorded: of each chain the first such place."""
    named = None
    for head, there in store.strangers(session, heads):
        if head.subject != named:
            named = head.subject
            told = "has not the hash that the checkpoint recorded: it, or an event before it, was written anew" if there else "is missing"
            yield Fault(f"event {head.seq}, the last one then, {told}", head.subject, head.seq, checkpoint=head.number)


# -- what checkpoints are made of -------------------------------------------------------------------------------------------


def leaf_of(head: Head) -> bytes:
    """A head as a leaf of the tree: subject, number and hash of the last event, with a blank in between."""
    return f"{head.subject} {head.seq} {head.hash.hex()}".encode()


def root_of(heads: Iterable[Head]) -> tuple[int, str]:
    """How many heads there are, and the root of the tree over them."""
    tree = Tree()
    deque(_planted(tree, heads), maxlen=0)
    return tree.size, tree.close().hex()


def order_of(session: Session, start: int, end: int) -> tuple[int, str]:
    """How many events were written at the positions (start, end], and SHA-256 over their hashes in that order."""
    count, digest = 0, sha256()
    for hashed in store.hashes(session, start, end):
        count += 1
        digest.update(hashed)
    return count, digest.hexdigest()


def digest_of(statement: Statement | None) -> str | None:
    """By what the next checkpoint names this one."""
    return None if statement is None else sha256(statement.text).hexdigest()


def signed(row: store.Checkpoint) -> Signed | None:
    """The statement of a checkpoint that is kept; `None` if it is none."""
    try:
        return Signed(msgspec.json.decode(row.statement or "", type=Statement, strict=True), row.signature or "")
    except msgspec.DecodeError:
        return None
