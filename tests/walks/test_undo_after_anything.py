"""Whatever happens between a run and its undo: conflicts are exactly those who were changed since, and all others are as before (SPEC §12).

Changed since is told here by what is there: what the run did to somebody is not any more as the run left it, or a hold binds their status, or
a later import wrote on the account. What the run did not do to them may have changed as it likes.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from mastering import assignments, erasure, holds, proof, users
from mastering.catalog import ranks
from mastering.clock import now
from mastering.errors import MasteringError, WrongState
from mastering.holds import Terms
from mastering.imports import undoing
from mastering.review import Verdict
from mastering.rules.lifecycle import Status
from mastering.rules.people import Account, User
from mastering.rules.policy import Confirmation
from mastering.store import people, tables
from mastering.store.documents import load
from mastering.store.engine import reading
from tests.walks.imports_world import ADMIN, World, calm, empty, master, person

KINDS = ("leaver", "mover", "joiner", "waiter")
"""What the run did: somebody left; an attribute changed; somebody was made; a row waits, whose candidate the run leaves alone."""


@dataclass
class Snapshot:
    """Everybody and every account at one moment."""

    users: dict[str, User]
    accounts: dict[str, Account]


class Org:
    """One org with a run of HR behind it, and people of every kind by name."""

    def __init__(self, world: World, names: list[str]) -> None:
        empty(world.engine)
        world.set_org(enabled=False)
        self.world, self.names = world, names
        cautious = Confirmation(auto_confirm_partial=True, auto_confirm_new=True, auto_activate_new=True)
        self.hr = world.app("HR", calm(confirmation=cautious, mastering=master(suspended=True, deactivated=True)))
        self.ad = world.app("AD", calm())
        self.candidate = {name: world.by_hand(name).id for name in self._of("waiter")}
        world.send(self.hr, [person(name, department="Sales") for name in [*self._of("leaver"), *self._of("mover")]])
        self.before = self.snapshot()
        told = [person(name, department="Sales", active=False) for name in self._of("leaver")]
        told += [person(name, department="IT") for name in self._of("mover")]
        told += [person(name) for name in [*self._of("joiner"), *self._of("waiter")]]
        self.run = world.delta(self.hr, told)
        self.account = {name: world.account(self.hr, name).id for name in names}
        self.left = self.snapshot()
        self.user = {name: self.candidate.get(name) or self.left.accounts[self.account[name]].user_id or "" for name in names}

    def _of(self, kind: str) -> list[str]:
        return [name for name in self.names if name.startswith(kind)]

    def snapshot(self) -> Snapshot:
        with reading(self.world.engine) as session:
            found = people.users(session, list(session.execute(select(col(tables.User.id))).scalars()))
            accounts = people.accounts(session, list(session.execute(select(col(tables.AppUser.id))).scalars()))
        return Snapshot(found, accounts)

    def undo(self, run: tables.ImportRun) -> tables.ImportRun:
        run_id = undoing.start(self.world.engine, ADMIN, now(), run.id)
        self.world.work()
        return self.world.run(run_id)

    def changed_since(self, name: str, later: Snapshot) -> bool:
        """Whether what the run did to somebody is not as it left it any more."""
        account, was = later.accounts.get(self.account[name]), self.left.accounts[self.account[name]]
        if name.startswith("waiter"):
            return account is None or account.user_id is not None or account.ignored or account.last_run_id != was.last_run_id
        user, left = later.users.get(self.user[name]), self.left.users[self.user[name]]
        if (
            user is None
            or account is None
            or (account.user_id, account.account, account.released, account.last_run_id)
            != (
                user.id,
                was.account,
                was.released,
                self.run.id,
            )
        ):
            return True
        moved = user.status is not left.status or user.held(self.world.moment())
        match name.split("-", maxsplit=1)[0]:
            case "leaver":
                return moved
            case "mover":
                return user.profile.get("department") != left.profile["department"]
            case _:
                return moved or user.profile != left.profile or len(user.links) != 1

    def expected(self, name: str, later: Snapshot) -> tuple[User, Account] | None:
        """The person and the account after the undo of whom nobody had changed since: as before the run, in what the run did."""
        if name.startswith("waiter"):
            return None
        user, account = deepcopy(later.users[self.user[name]]), deepcopy(later.accounts[self.account[name]])
        was = self.before.accounts.get(account.id)
        if name.startswith("leaver"):
            user.status = self.before.users[user.id].status
        elif name.startswith("mover"):
            user.profile["department"] = "Sales"
        else:
            user.status = Status.DEACTIVATED
        return user, was or account


def alive(org: Org, name: str) -> bool:
    return org.world.user(org.user[name]).status != "DEACTIVATED"


def erase(org: Org, name: str) -> None:
    if alive(org, name):
        org.world.act(org.user[name], "deactivate")
    erasure.erase(org.world.engine, ADMIN, now(), org.user[name], "asked for")


def delete(org: Org, name: str) -> None:
    for _ in range(2):
        org.world.remove(org.user[name])


def link_and_delete(org: Org, name: str) -> None:
    org.world.review(org.hr, name, Verdict.LINK)
    delete(org, name)


ACTS: dict[str, Callable[[Org, str], Any]] = {
    "nothing": lambda *_: None,
    "activate": lambda org, name: org.world.act(org.user[name], "activate"),
    "suspend": lambda org, name: org.world.act(org.user[name], "suspend"),
    "deactivate": lambda org, name: org.world.act(org.user[name], "deactivate"),
    "edit": lambda org, name: users.update(org.world.engine, ADMIN, now(), org.user[name], {"title": "Boss"}, replace=False),
    "edit the same": lambda org, name: users.update(org.world.engine, ADMIN, now(), org.user[name], {"department": "Legal"}, replace=False),
    "hold": lambda org, name: holds.set_hold(org.world.engine, ADMIN, now(), org.user[name], Terms("why", None)),
    "link": lambda org, name: org.world.review(org.hr, name, Verdict.LINK),
    "create": lambda org, name: org.world.review(org.hr, name, Verdict.CREATE),
    "ignore": lambda org, name: org.world.review(org.hr, name, Verdict.IGNORE),
    "unassign": lambda org, name: assignments.unassign(org.world.engine, ADMIN, now(), org.hr, org.user[name]),
    "assign": lambda org, name: assignments.assign(org.world.engine, ADMIN, now(), org.ad, org.user[name], external_id=f"ad-{name}"),
    "another app": lambda org, name: org.world.delta(org.ad, [person(name, department="AD", title="Boss")]),
    "another run": lambda org, name: org.world.delta(org.hr, [person(name, title="Chief")]),
    "delete": delete,
    "link and delete": link_and_delete,
    "erase": erase,
}
ONE_BY_ONE = sorted(ACTS)


def attempt(act: Callable[[Org, str], Any], org: Org, name: str) -> None:
    """Have it done, if it can be done to this person now."""
    try:
        act(org, name)
    except (MasteringError, KeyError):  # a KeyError: a person who is not there any more
        return


def check(org: Org, later: Snapshot, undone: tables.ImportRun) -> set[str]:
    """Whether exactly those conflict who were changed since, and all others are as before; the names of those in conflict."""
    world, after = org.world, org.snapshot()
    assert undone.status == "COMPLETED"
    changed = {name for name in org.names if org.changed_since(name, later)}
    rows = world.changes(undone)
    situation = {**{row.user_id: row.situation for row in rows}, **{row.app_user_id: row.situation for row in rows}}
    subject = {name: org.account[name] if name.startswith("waiter") else org.user[name] for name in org.names}
    for name in org.names:
        if name not in changed:
            assert situation.get(subject[name]) == "UNDONE", name
        else:
            assert situation.get(subject[name]) in {"CHANGED_SINCE", None}, name
    assert load(undone.situations).get("CHANGED_SINCE", 0) == len(changed), changed - {n for n in org.names if subject[n] in situation}
    for name in org.names:
        user, account = after.users.get(org.user[name]), after.accounts.get(org.account[name])
        if name in changed:
            assert told(user, account) == told(later.users.get(org.user[name]), later.accounts.get(org.account[name])), name
        elif (expected := org.expected(name, later)) is not None:
            assert user is not None
            assert account is not None
            assert (user.status, user.profile) == (expected[0].status, expected[0].profile), name
            assert account.user_id == (user.id if not name.startswith("joiner") else None), name
        else:
            assert account is not None
            assert (account.user_id, account.situation, account.profile) == (None, None, {}), name
            assert told(user, None) == told(later.users.get(org.user[name]), None), name
    with reading(world.engine) as session:
        assert proof.verify(session).faults == []
    return changed


def told(user: User | None, account: Account | None) -> tuple[Any, ...]:
    """What there is of a person and an account, but for what an undo may do to others beside them."""
    person_now = (user.status, user.profile, user.pending_when_deactivated, user.hold, len(user.links)) if user else None
    account_now = (account.user_id, account.account, account.released, account.profile, account.digest) if account else None
    return person_now, account_now


TOUCHED = {
    "leaver": {"activate", "hold", "unassign", "another.run", "delete", "link.and.delete", "erase"},
    "mover": {"unassign", "another.run", "delete", "link.and.delete", "erase"},
    "joiner": {"suspend", "deactivate", "hold", "unassign", "assign", "another.app", "another.run", "delete", "link.and.delete", "erase"},
    "waiter": {"link", "ignore", "another.run", "link.and.delete"},
}
"""What touches what the run did to each kind. A mover whom another app knows is touched where that app has become the authority."""


@pytest.mark.parametrize("reordered", [False, True])
def test_each_thing_that_may_happen_to_each_kind_of_person_is_a_conflict_exactly_if_it_touched_what_the_run_did(
    org: World, reordered: bool
) -> None:
    there = Org(org, [f"{kind}-{act.replace(' ', '.')}" for kind in KINDS for act in ACTS])
    for name in there.names:
        attempt(ACTS[name.split("-")[1].replace(".", " ")], there, name)
    if reordered:
        ranks.reorder(org.engine, ADMIN, now(), [there.ad, there.hr])
    later = there.snapshot()
    changed = check(there, later, there.undo(there.run))
    by_kind = {kind: {name.split("-")[1] for name in changed if name.startswith(kind)} for kind in KINDS}
    assert by_kind == TOUCHED | ({"mover": TOUCHED["mover"] | {"another.app"}} if reordered else {})


@given(acts=st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(ONE_BY_ONE)), max_size=8), data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_acts_one_after_the_other_exactly_those_changed_since_conflict_and_an_undo_can_be_taken_back(
    org: World, acts: list[tuple[str, str]], data: st.DataObject
) -> None:
    there = Org(org, [f"{kind}-{number}" for kind in KINDS for number in range(2)])
    for kind, act in acts:
        attempt(ACTS[act], there, f"{kind}-{data.draw(st.integers(0, 1))}")
    if data.draw(st.booleans()):
        ranks.reorder(org.engine, ADMIN, now(), [there.ad, there.hr])
    later = there.snapshot()
    undone = there.undo(there.run)
    check(there, later, undone)
    with pytest.raises(WrongState, match="has been undone already"):
        there.undo(there.run)
    forth = there.undo(undone)
    assert set(load(forth.situations)) <= {"UNDONE"}
    again = there.snapshot()
    for name in there.names:
        user, account = there.user[name], there.account[name]
        assert told(again.users.get(user), again.accounts.get(account)) == told(later.users.get(user), later.accounts.get(account)), name
