"""What differs when one thing is otherwise: flips, what comes of them, and how the nearest are found (SPEC §13).

A case of whatever kind says what its neighbours are and how the rules judge one; what is the same for all of them is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

_MOST_PAIRS = 10


class Answer(Protocol):
    """What the rules make of a case, whatever kind of case it is."""

    @property
    def outcome(self) -> Any:
        """What happens to the person: what two answers are compared by."""


A = TypeVar("A", bound=Answer)


class Knob(StrEnum):
    """What can be flipped: an option by its place in the policy, or a fact."""

    when_deactivated = "mastering.whenDeactivated"
    reactivate_suspended = "mastering.reactivateSuspended"
    reactivate_deactivated = "mastering.reactivateDeactivated"
    auto_confirm_exact = "confirmation.autoConfirmExact"
    auto_confirm_partial = "confirmation.autoConfirmPartial"
    auto_confirm_new = "confirmation.autoConfirmNew"
    auto_activate_new = "confirmation.autoActivateNew"
    hold = "hold"
    rank = "rank"
    exact = "record.exactMatch"
    pending = "user.pendingWhenDeactivated"
    assigned = "account.assigned"
    master = "mastering.enabled"
    said = "record.active"
    match = "record.match"
    released = "account.releasedBefore"
    status = "user.status"
    username = "matching.username"
    email = "matching.email"
    attributes = "matching.attributes"
    allow_partial = "matching.allowPartial"
    place = "candidate.accountOfThisApp"
    login = "login.taken"
    claim = "record.claimedTwice"
    candidate = "candidate"


class Flip(NamedTuple):
    """One part of a case, otherwise. `app_id` names the app that it is about, `user_id` the candidate; a rank is counted from 1."""

    knob: Knob
    app_id: str | None
    was: Any
    would: Any
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Alternative(Generic[A]):
    """What would have come of one flip, or of two made together."""

    flips: tuple[Flip, ...]
    judged: A
    distance: int


def nearest(
    base: A, single: Sequence[tuple[int, Flip]], asked: Callable[[Sequence[Flip]], A], move: Callable[[Any], Any]
) -> list[Alternative[A]]:
    """The flips under which the rules answer otherwise than `base`, the nearest first; `asked` has the rules judge the case they make.

    Pairs of flips are named, behind the single ones, only where none of these alone changes the `move` of an outcome.
    """
    alone = _kept(Alternative((flip,), asked((flip,)), near) for near, flip in single)
    found = [each for each in alone if each.judged.outcome != base.outcome]
    if all(move(each.judged.outcome) == move(base.outcome) for each in found):
        pairs = (((near + far), (one, two)) for (near, one), (far, two) in combinations(single, 2) if _apart(one, two))
        both = _kept(Alternative(made, asked(made), distance) for distance, made in pairs)
        found += [each for each in both if move(each.judged.outcome) != move(base.outcome)][:_MOST_PAIRS]
    return found


def _kept(found: Iterable[Alternative[A]]) -> list[Alternative[A]]:
    """The nearest first; of several places in the ranking that come to the same, the nearest alone."""
    seen: set[Any] = set()
    kept = []
    for each in sorted(found, key=lambda one: one.distance):
        key = (
            tuple((flip.knob, flip.app_id, flip.user_id, None if flip.knob is Knob.rank else flip.would) for flip in each.flips),
            each.judged.outcome,
        )
        if key not in seen:
            seen.add(key)
            kept.append(each)
    return kept


def _apart(one: Flip, two: Flip) -> bool:
    """Two flips of one thing are not two things."""
    ranking = {Knob.rank, Knob.master}
    return (one.knob, one.app_id, one.user_id) != (two.knob, two.app_id, two.user_id) and not {one.knob, two.knob} <= ranking
