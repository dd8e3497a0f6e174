"""Taking back what a run did to a person (SPEC §12), written down a second time: what the run did × what was × what is now.

Every row of the table is compared with an outcome that is put together here from the specification's words: nothing to do, a conflict
that names exactly what was changed since with both versions, or the way back with everything that it restores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import mastering
from mastering.rules.change import Change
from mastering.rules.lifecycle import TRANSITIONS, WHO_MAY_FIRE, Actor, Status
from mastering.rules.people import Account, Hold, User
from mastering.rules.record import AccountState
from mastering.rules.undo import Undoing, plan_undo, plan_undo_waiting, restore_account, was_of
from mastering.users import Act

BACK = """
left by the run     PENDING_ACTIVATION  ACTIVE      SUSPENDED  DEACTIVATED
PENDING_ACTIVATION  -                   activate    restore    deactivate
ACTIVE              restore             -           suspend    deactivate
SUSPENDED           require_activation  unsuspend   -          deactivate
DEACTIVATED         require_activation  reactivate  restore    -
"""
"""By which trigger an undo goes from what the run left to what was before."""
_HEAD, *_ROWS = [line.replace("left by the run", "left").split() for line in BACK.strip().splitlines()]
WAY = {(left, was): cell for left, *cells in _ROWS for was, cell in zip(_HEAD[1:], cells, strict=True)}

RUN, NOW, TAKEN = "imr1", "2026-03-01T00:00:00.000Z", {"deactivate", "suspend"}
Standing = tuple[str, bool]
"""A status, and whether who is deactivated had been pending then."""
STANDINGS: list[Standing] = [
    ("PENDING_ACTIVATION", False),
    ("ACTIVE", False),
    ("SUSPENDED", False),
    ("DEACTIVATED", False),
    ("DEACTIVATED", True),
]
PROFILES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({"login": "jane"}, {"login": "jane"}),
    "changed": ({"login": "jane", "title": "old"}, {"login": "jane", "title": "new"}),
    "added": ({"login": "jane"}, {"login": "jane", "title": "new"}),
    "cleared": ({"login": "jane", "title": "old"}, {"login": "jane", "title": None}),
}
"""What the run did to the profile: before and after."""
ACTIVE, INACTIVE, RELEASED = ("ACTIVE", False), ("INACTIVE", False), ("ACTIVE", True)
ACCOUNTS: dict[str, tuple[tuple[str, bool] | None, tuple[str, bool] | None, bool]] = {
    "has none": (None, None, False),
    "not touched": (ACTIVE, ACTIVE, False),
    "written on": (ACTIVE, ACTIVE, True),
    "went": (ACTIVE, INACTIVE, True),
    "returned": (INACTIVE, ACTIVE, True),
    "released": (ACTIVE, RELEASED, True),
    "given back": (RELEASED, ACTIVE, True),
    "linked": (None, ACTIVE, True),
    "linked, new": (None, ACTIVE, False),
    "parted": (ACTIVE, None, True),
    "went, forgotten": (ACTIVE, INACTIVE, False),
    "parted, forgotten": (ACTIVE, None, False),
}
"""What the run did to the account: before, after, and whether it kept what it overwrote."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    was: Standing | None
    """`None`: the run made the user."""
    left: Standing
    profile: str
    account: str
    status_now: str
    """`deleted` for who is not there any more."""
    held: bool = False
    title_now: str | None = None
    """The title that somebody gave since; `None`: as the run left it."""
    account_now: str = "as left"
    imported_since: bool = False
    meanwhile: bool = False

    @property
    def profiles(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return PROFILES[self.profile]

    @property
    def moved(self) -> bool:
        return self.was is None or self.was[0] != self.left[0]

    @property
    def differing(self) -> list[str]:
        before, after = self.profiles
        return [] if self.was is None or before == after else ["title"]

    @property
    def had(self) -> tuple[str, bool] | None:
        return ACCOUNTS[self.account][0]

    @property
    def has(self) -> tuple[str, bool] | None:
        return ACCOUNTS[self.account][1]

    @property
    def kept(self) -> bool:
        return ACCOUNTS[self.account][2]

    @property
    def on_account(self) -> bool:
        """Whether the run did anything to the account."""
        return self.had != self.has or self.kept

    @property
    def is_now(self) -> tuple[str, bool] | None:
        """The account as the person has it now."""
        return {"as left": self.has, "otherwise": ("MISSING", False), "linked": ACTIVE}.get(self.account_now)


def account_of(state: tuple[str, bool] | None, user_id: str | None = "00u1") -> Account:
    """The account in a state, and whose it is."""
    name, released = state or ("ACTIVE", False)
    return Account("0ua1", "0oa1", "E1", AccountState(name), {"a": 1}, NOW, NOW, user_id, released, seen_active=True)


def user_of(standing: Standing, profile: dict[str, Any], state: tuple[str, bool] | None) -> User:
    status, pending = standing
    links = [account_of(state)] if state is not None else []
    return User("00u1", Status(status), "jane", dict(profile), NOW, NOW, pending, links=links)


def overwritten(row: Row) -> dict[str, Any]:
    return was_of({"a": 0}, account_of(row.had), {"a": 1})


def planned(row: Row) -> Change | None:
    """What the rule makes of a row."""
    before = user_of(row.was, row.profiles[0], row.had) if row.was is not None else None
    after = user_of(row.left, row.profiles[1], row.has)
    present: User | None = None
    if row.status_now != "deleted":
        titled = {"title": row.title_now} if row.title_now is not None else {}
        pending = row.left[1] and row.status_now == row.left[0]
        present = user_of((row.status_now, pending), {**row.profiles[1], **titled}, row.is_now)
        present.hold = Hold("legal", None, NOW, "admin") if row.held else None
    there = {} if row.account == "has none" else {"0ua1": account_of(row.is_now, "00u1" if row.is_now else None)}
    was = {"0ua1": overwritten(row)} if row.kept else {}
    untouched = [] if row.imported_since or not row.on_account else list(there)
    undoing = Undoing(RUN, was, there, untouched, NOW)
    return plan_undo(undoing, before, after, present, {"user.suspend", "user.hold"} if row.meanwhile else ())


def told(state: tuple[str, bool] | None) -> str:
    return "unlinked" if state is None else state[0] + (", released" if state[1] else "")


def conflicts(row: Row) -> dict[str, dict[str, Any]]:
    """What was changed since, by its name, with what the run left and what is now."""
    if row.status_now == "deleted":
        return {"user": {"left": row.left[0], "now": "deleted"}}
    found: dict[str, dict[str, Any]] = {}
    if row.meanwhile:
        found["history"] = {"left": "this run alone", "now": "user.hold, user.suspend"}
    if row.moved and row.status_now != row.left[0]:
        found["status"] = {"left": row.left[0], "now": row.status_now}
    elif row.moved and row.held:
        found["hold"] = {"left": None, "now": "legal"}
    if row.title_now is not None and (row.differing or row.was is None):
        found["title"] = {"left": row.profiles[1].get("title"), "now": row.title_now}
    later = row.imported_since and (row.kept or row.had is None)
    if row.on_account and row.has is not None and (row.is_now != row.has or later):
        found["account E1"] = {"left": told(row.has), "now": told(row.is_now) + (", imported since" if later else "")}
    if row.on_account and row.has is None and row.is_now is not None:
        found["account E1"] = {"left": "unlinked", "now": "linked"}
    return found


def check_way_back(row: Row, change: Change) -> None:
    """Nobody touched what the run did: all of it goes back, and nothing else."""
    before, after = row.profiles
    target = row.status_now if not row.moved else row.was[0] if row.was is not None else "DEACTIVATED"
    cell = WAY[row.status_now, target]
    trigger = cell if cell != "-" else None
    parted = row.on_account and row.had is None
    action = trigger or ("unlink" if parted else "update")
    decision = change.decision
    assert (decision.situation, decision.rule, decision.trigger, decision.action) == ("UNDONE", "undone", trigger, action), row
    assert (decision.to, decision.reason, change.before, change.user_id) == (target, None, row.status_now, "00u1"), row
    restored = change.effect["undo"]
    assert restored["pending"] == (row.was[1] if row.was is not None and trigger is not None else None), row
    assert restored["removed"] == (["title"] if row.differing and "title" not in before else []), row
    if row.differing and "title" in before:
        assert (change.effect["new"], change.effect["old"]) == ({"title": "old"}, {"title": after["title"]}), row
    else:
        assert not {"new", "old"} & set(change.effect), row
    was = overwritten(row) if row.kept else None
    state = {"account": row.had[0], "released": row.had[1]} if row.had is not None else {}
    backs = [{"id": "0ua1", "linked": row.had is not None, "was": was, **state}] if row.on_account else []
    assert restored["accounts"] == backs, row
    forgotten = row.on_account and row.had is not None and not row.kept and not row.imported_since
    assert change.detail == ("the app profile keeps what the run wrote, as what it was is not known any more" if forgotten else None), row
    ends = row.has == ACTIVE and row.on_account and row.had != ACTIVE
    assert change.unassigns is (row.status_now != "DEACTIVATED" and (trigger in TAKEN or ends)), row


def check(row: Row) -> str:
    """Compare a row with what is specified; which of the three outcomes it was."""
    change = planned(row)
    if not (row.moved or row.differing or row.on_account):
        assert change is None, row
        return "nothing"
    assert change is not None, row
    expected = conflicts(row)
    if expected:
        status = row.left[0] if row.status_now == "deleted" else row.status_now
        decision = change.decision
        assert change.effect == {"conflict": expected}, row
        assert (decision.situation, decision.action, decision.trigger, decision.reason) == (
            "CHANGED_SINCE",
            "none",
            None,
            "changed_since",
        ), row
        assert (decision.to, change.before, change.unassigns) == (status, status, False), row
        assert all(name in (change.detail or "") for name in expected), row
        return "conflict"
    check_way_back(row, change)
    return "back"


def moves() -> Iterator[Row]:
    """What was × what the run left × what is now × a hold × others in between, for a run that did nothing else, or much else."""
    doings = [("nothing", "not touched"), ("changed", "went"), ("added", "linked")]
    for was, left, (profile, account) in product([None, *STANDINGS], STANDINGS, doings):
        if was is None and account == "went":
            continue
        yield Row(was, left, profile, account if was is not None else "linked", "deleted")
        for status, held, meanwhile in product(Status, (False, True), (False, True)):
            yield Row(was, left, profile, account if was is not None else "linked", status.value, held, meanwhile=meanwhile)


def doings() -> Iterator[Row]:
    """What the run did to profile and account × what became of each since, for whom it moved, made, or left where they were."""
    people: list[tuple[Standing | None, Standing]] = [
        (("ACTIVE", False), ("ACTIVE", False)),
        (("ACTIVE", False), ("DEACTIVATED", False)),
        (("DEACTIVATED", True), ("PENDING_ACTIVATION", False)),
        (None, ("ACTIVE", False)),
        (None, ("DEACTIVATED", False)),
    ]
    for (was, left), profile, account in product(people, PROFILES, ACCOUNTS):
        had, has, _ = ACCOUNTS[account]
        if was is None and (had is not None or profile in {"changed", "cleared"}):
            continue
        possible = ["as left", "otherwise", "gone"] if has is not None else ["as left"] if had is None else ["as left", "linked"]
        for other, title, account_now, since, held in product((False, True), (None, "theirs"), possible, (False, True), (False, True)):
            status = left[0] if not other else "SUSPENDED"
            yield Row(was, left, profile, account, status, held, title, account_now, imported_since=since and has is not None)


@pytest.mark.parametrize("rows", [moves, doings])
def test_every_row_of_the_table_is_taken_back_left_alone_or_nobodys_concern_as_specified(rows: Callable[[], Iterator[Row]]) -> None:
    outcomes = [check(row) for row in rows()]
    assert {"nothing", "conflict", "back"} == set(outcomes)
    assert len(outcomes) > 1_000


def test_what_the_run_did_not_change_is_no_conflict_whoever_has_changed_it_since() -> None:
    for row in doings():
        if row.was == row.left and not row.on_account and row.differing:
            others = replace(row, status_now="SUSPENDED", held=True, account_now="as left", imported_since=True)
            assert conflicts(others).keys() <= {"title"}
            assert check(others) == ("conflict" if row.title_now else "back")


def test_an_account_that_came_since_stands_in_the_way_of_whom_the_run_made_and_of_nobody_else() -> None:
    for was in (None, *STANDINGS):
        before = user_of(was, {"login": "jane"}, None) if was is not None else None
        after = user_of(("ACTIVE", False), {"login": "jane", "title": "new"}, None)
        present = deepcopy(after)
        present.links = [replace(account_of(ACTIVE), id="0ua9", external_id="E9")]
        change = plan_undo(Undoing(RUN, {}, {}, (), NOW), before, after, present)
        assert change is not None
        expected = {"account E9": {"left": None, "now": "ACTIVE"}} if was is None else None
        assert change.effect.get("conflict") == expected


@pytest.mark.parametrize("was", [None, *STANDINGS])
def test_who_was_erased_since_is_told_even_where_history_no_longer_says_what_the_run_had_changed(was: Standing | None) -> None:
    before = user_of(was, {}, ACTIVE) if was is not None else None
    after = replace(user_of(was or ("ACTIVE", False), {}, ACTIVE), login="")
    change = plan_undo(Undoing(RUN, {}, {}, (), NOW), before, after, None, erased=True)
    assert change is not None
    assert change.effect == {"conflict": {"user": {"left": after.status, "now": "erased"}}}
    assert (change.user_id, change.login, change.before) == ("00u1", None, after.status)


# -- accounts of nobody -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("linked", "untouched", "ignored", "was"),
    list(product((False, True), (False, True), (False, True), (None, "new to the queue", "waited", "was ignored"))),
)
def test_every_account_of_nobody_goes_back_to_where_it_stood_unless_it_was_decided_about_since(
    linked: bool, untouched: bool, ignored: bool, was: str | None
) -> None:
    earlier = account_of(None, None)
    earlier.situation = None if was == "new to the queue" else "UNMATCHED"
    earlier.ignored = was == "was ignored"
    kept = was_of({"a": 0}, earlier, {"a": 1}) if was else None
    account = account_of(None, "00u1" if linked else None)
    account.ignored = ignored
    undoing = Undoing(RUN, {"0ua1": kept} if kept else {}, {}, ["0ua1"] if untouched else [], NOW)
    change = plan_undo_waiting(undoing, account)
    decided_since = ignored != (was == "was ignored")
    if linked or decided_since or not untouched:
        now = "linked" if linked else "ignored" if ignored else "imported or decided since"
        assert change.effect == {"conflict": {"account E1": {"left": "waiting", "now": now}}}
        assert (change.decision.situation, change.decision.action) == ("CHANGED_SINCE", "none")
        return
    waits_again = was in {"waited", "was ignored"}
    assert (change.decision.situation, change.decision.action) == ("UNDONE", "wait" if waits_again else "withdraw")
    assert change.effect["undo"]["accounts"] == [{"id": "0ua1", "linked": False, "was": kept}]


PROFILE_PAIRS = list(product([{}, {"a": 1}, {"a": None}, {"a": 1, "b": 2}], repeat=2))


@pytest.mark.parametrize(("profile", "after"), PROFILE_PAIRS)
@pytest.mark.parametrize(("state", "released"), list(product(AccountState, (False, True))))
def test_what_was_kept_of_an_account_brings_it_back_exactly(
    profile: dict[str, Any], after: dict[str, Any], state: AccountState, released: bool
) -> None:
    account = Account("0ua1", "0oa1", "E1", state, dict(profile), NOW, NOW, released=released, seen_active=True, digest=b"before")
    account.situation, account.reason, account.candidates = "AMBIGUOUS", "several", ("00u2", "00u3")
    account.unheeded, account.unheeded_reason, account.last_run_id = "deactivate", "held_by_admin", "imr0"
    was, before = was_of(profile, account, after), deepcopy(account)
    account.profile, account.account, account.released = dict(after), AccountState.MISSING, not released
    account.seen_active, account.digest, account.ignored = False, b"after", True
    account.situation = account.reason = account.unheeded = account.unheeded_reason = None
    account.candidates, account.last_run_id = (), RUN
    restore_account(account, {"id": "0ua1", "linked": True, "account": state.value, "released": released, "was": was})
    assert replace(account, last_run_id="imr0") == before
    assert was["run"] == "imr0"
    assert set(was["profile"]) | set(was["absent"]) == {
        name for name in {**profile, **after} if (name, profile.get(name, "-")) != (name, after.get(name, "-"))
    }


# -- the moves that only undo may make --------------------------------------------------------------------------------

ONLY_UNDO = {
    (trigger.value, stage)
    for trigger, row in TRANSITIONS.items()
    for stage, to in row.items()
    if to and WHO_MAY_FIRE[trigger] == {Actor.undo}
}


def test_an_undo_makes_exactly_the_moves_of_the_table_and_those_of_its_own_are_rows_marked_so() -> None:
    fired = {change.decision.trigger for row in moves() if (change := planned(row)) is not None and change.decision.trigger is not None}
    made = {
        (change.decision.trigger.value, row.left[0])
        for row in moves()
        if (change := planned(row)) is not None and change.decision.trigger is not None
    }
    assert all(Actor.undo in WHO_MAY_FIRE[trigger] for trigger in fired)
    assert fired == {trigger for trigger, actors in WHO_MAY_FIRE.items() if Actor.undo in actors}
    assert {(trigger, left) for trigger, left in made if trigger == "restore"} == ONLY_UNDO
    assert {("restore", "PENDING_ACTIVATION"), ("restore", "ACTIVE"), ("restore", "DEACTIVATED")} == ONLY_UNDO


def test_no_path_but_undo_takes_a_move_that_only_undo_may_make() -> None:
    """An admin has no such verb, and outside these modules no line of the program names the trigger or asks for a way back."""
    assert not {act.value for act in Act} & {trigger for trigger, _ in ONLY_UNDO}
    root = Path(mastering.__file__).parent
    naming = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"Trigger\.restore\b|\b(way_back|plan_undo|apply_undo)\(", path.read_text(encoding="utf-8"))
    }
    assert naming == {"rules/lifecycle.py", "rules/undo.py", "imports/undoing.py", "imports/applying.py"}
