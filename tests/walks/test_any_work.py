"""Whatever two ranked masters and an admin do to a few people, in any order, the laws hold (SPEC §§2, 3, 5, 8, 13).

The laws are checked by other means than the code's: what the rows say before and after each import, and what history tells of it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select
from sqlmodel import col

from mastering import assignments, holds, users
from mastering.catalog import apps, policies, ranks
from mastering.clock import now
from mastering.errors import MasteringError
from mastering.holds import Terms
from mastering.proof import verify_chain
from mastering.replay import replay
from mastering.review import Verdict
from mastering.rules.lifecycle import NOBODY, TRANSITIONS, Trigger
from mastering.rules.people import Account, User
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering, Matching, Safeguard, WhenDeactivated
from mastering.rules.record import Mode
from mastering.store import people, tables
from mastering.store.catalog import ranking
from mastering.store.documents import load
from mastering.store.engine import reading
from tests.walks.imports_world import ADMIN, CONFIRM_ALL, World, empty, person
from tests.walks.test_replay import as_told

LIMIT = 40
PEOPLE = ("ann", "bob", "cid", "dan")
_MOVES = {f"user.{trigger}" for trigger in Trigger}
_QUIET = frozenset({"wait", "ignore", "reject", "withdraw"})


@dataclass
class Org:
    """Two masters and the laws."""

    world: World
    apps: dict[str, str] = field(default_factory=dict)

    def users(self) -> dict[str, User]:
        with reading(self.world.engine) as session:
            return people.users(session, list(session.execute(select(col(tables.User.id))).scalars()))

    def accounts(self) -> dict[str, Account]:
        with reading(self.world.engine) as session:
            return people.accounts(session, list(session.execute(select(col(tables.AppUser.id))).scalars()))

    def ranking(self) -> tuple[str, ...]:
        with reading(self.world.engine) as session:
            return ranking(session)

    def told(self) -> int:
        """How many events there are that tell of more than a run itself."""
        event = tables.HistoryEvent
        with reading(self.world.engine) as session:
            return int(session.execute(select(func.count()).where(~col(event.type).startswith("import."))).scalar_one())

    # -- imports and their laws -------------------------------------------------------------------------------------------

    def send(self, label: str, mode: Mode, records: list[dict[str, Any]], *, approved: bool, meanwhile: Sequence["Step"] = ()) -> None:
        users_before, accounts_before, order = self.users(), self.accounts(), self.ranking()
        run = self.world.send(self.apps[label], records, mode)
        if run.status == "HELD":
            assert (self.users(), self.accounts()) == (users_before, accounts_before)
            for step in meanwhile:
                with suppress(MasteringError):
                    step(self)
            if not approved:
                return self.world.cancel(run.id)
            users_before, accounts_before = self.users(), self.accounts()
            self.world.approve(run)
            run = self.world.run(run.id)
            self.did_no_more_than_planned(run, users_before, accounts_before)
        else:
            self.stayed_below_the_limits(run, users_before, accounts_before)
        assert run.status == "COMPLETED"
        self.moved_only_by_the_authority(run, users_before)
        if self.ranking() != order:
            # the plan was applied as it was reviewed; what follows from the other ranks the next import makes up for
            run = self.world.send(run.app_id, records, mode, allow_empty=True)
            if run.status == "HELD":
                return self.world.cancel(run.id)
        self.means_nothing_the_second_time(run, mode, records)
        return None

    def stayed_below_the_limits(self, run: tables.ImportRun, users_before: dict[str, User], before: dict[str, Account]) -> None:
        """Not more than the limit of the active assignments are gone, of users who were not deactivated already."""
        after = self.accounts()
        counted = [a for a in before.values() if _assigned(a) and users_before[a.user_id or ""].status != "DEACTIVATED"]
        gone = [a for a in counted if not _assigned(after[a.id])]
        assert {a.app_id for a in gone} <= {run.app_id}
        assert 100 * len(gone) <= LIMIT * len([a for a in counted if a.app_id == run.app_id])
        assert 100 * len(gone) <= LIMIT * len(counted)

    def did_no_more_than_planned(self, run: tables.ImportRun, users_before: dict[str, User], before: dict[str, Account]) -> None:
        """Whatever happened meanwhile: who moved, was made, linked or released was named by the plan, and stands where it said."""
        rows = self.world.changes(run)
        named = {(row.user_id, row.to_status) for row in rows if row.trigger}
        for user in self.users().values():
            if user.id not in users_before:
                assert user.login in {row.login for row in rows if row.action == "create"}
            elif user.status != users_before[user.id].status:
                assert (user.id, user.status) in named
        confirmed = {row.external_id for row in rows if row.action in {"link", "create"}}
        returned = {row.app_user_id for row in rows if row.situation == "CAME_BACK"}
        released = {row.app_user_id for row in rows if row.action == "release"}
        places = {account.user_id for account in self.accounts().values() if account.external_id in confirmed or account.id in returned}
        for account in self.accounts().values():
            known = before.get(account.id)
            if _say(account) == _say(known):
                continue
            if account.released:
                assert account.id in released or account.user_id in places
            else:
                assert account.external_id in confirmed or account.id in returned

    def moved_only_by_the_authority(self, run: tables.ImportRun, before: dict[str, User]) -> None:
        order = self.ranking()
        for user in self.users().values():
            moves = [event for event in self.world.events(user.id) if event.run_id == run.id and event.type in _MOVES]
            if user.id not in before or not moves:
                continue
            higher = set(order[: order.index(run.app_id)])
            assert not [link for link in before[user.id].links if link.app_id in higher and link.seen_active and not link.released]
            assert all(load(event.body)["authority"] == run.app_id for event in moves)
            assert not before[user.id].held(run.planned or "")

    def means_nothing_the_second_time(self, run: tables.ImportRun, mode: Mode, records: list[dict[str, Any]]) -> None:
        """Unless something of it waits, or was rejected and is tried again."""
        rows = self.world.changes(run)
        unfinished = any(row.action in _QUIET or row.detail is not None or row.situation == "INACTIVE_UNKNOWN" for row in rows)
        if unfinished or self.world.queue(run.app_id):
            return
        people_before, told = self.users(), self.told()
        again = self.world.send(run.app_id, records, mode, allow_empty=True)
        assert (again.status, set(self.world.situations(again)) - {"UNCHANGED"}) == ("COMPLETED", set())
        assert (self.users(), self.told()) == (people_before, told)

    # -- laws of every moment ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        with reading(self.world.engine) as session:
            subjects = list(session.execute(select(col(tables.HistoryEvent.subject)).distinct()).scalars())
        kept = self.users()
        for subject in (each for each in subjects if each.startswith("00u")):
            events, user = self.world.events(subject), kept.get(subject)
            moves = [load(event.body) for event in events if event.type in _MOVES]
            assert all(TRANSITIONS[Trigger(move["trigger"])][move["from"] or NOBODY] == move["to"] for move in moves)
            assert all(one["to"] == other["from"] for one, other in pairwise(moves))
            assert verify_chain(events, (user.history_seq, user.history_hash) if user else None) is None
            rebuilt = replay(events)
            assert (rebuilt is None) == (user is None)
            if rebuilt is not None and user is not None:
                assert as_told(rebuilt) == as_told(user)
        places = Counter((a.app_id, a.user_id) for a in self.accounts().values() if a.user_id and not a.released)
        assert not [place for place, count in places.items() if count > 1]


def _say(account: Account | None) -> tuple[str | None, bool]:
    """Whose an account is, and whether it has a say."""
    return (account.user_id, account.released) if account is not None else (None, False)


def _assigned(account: Account) -> bool:
    return account.user_id is not None and account.account == "ACTIVE" and account.seen_active and not account.released


# -- what may happen ----------------------------------------------------------------------------------------------------------

Step = Callable[[Org], Any]


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record of one of a few accounts, of one of a few people under the own or a new address."""
    name = draw(st.sampled_from(PEOPLE))
    told: dict[str, Any] = {
        "email": f"{draw(st.sampled_from((name, name, name, 'eve')))}@example.com",
        "firstName": name,
        "lastName": "Doe",
    }
    told["title"] = draw(st.sampled_from((None, "Lead")))
    active = draw(st.sampled_from((True, True, None, False)))
    own = f"{name[0]}1"
    return person(draw(st.sampled_from((own, own, f"{name[0]}2"))), **told, **({} if active is None else {"active": active}))


LABELS = st.sampled_from(("HR", "AD"))


def imports(label: str, mode: Mode, sent: list[dict[str, Any]], approved: bool, meanwhile: Sequence[Step] = ()) -> Step:
    return lambda org: org.send(label, mode, sent, approved=approved, meanwhile=meanwhile)


def by_hand(name: str, act: Callable[[Org, str], Any]) -> Step:
    """An admin's act on whoever has a name's address."""

    def do(org: Org) -> None:
        user = org.world.by_login(f"{name}@example.com")
        if user is not None:
            act(org, user.id)

    return do


def moved(verb: users.Act) -> Callable[[Org, str], Any]:
    return lambda org, user_id: users.act(org.world.engine, ADMIN, now(), user_id, verb)


def held(org: Org, user_id: str) -> None:
    holds.set_hold(org.world.engine, ADMIN, now(), user_id, Terms("because", now() + timedelta(days=1)))


def let_go(org: Org, user_id: str) -> None:
    holds.lift_hold(org.world.engine, ADMIN, now(), user_id)


def removed(org: Org, user_id: str) -> None:
    org.world.remove(user_id)


def unassigned(label: str) -> Callable[[Org, str], Any]:
    return lambda org, user_id: assignments.unassign(org.world.engine, ADMIN, now(), org.apps[label], user_id)


def assigned(label: str) -> Callable[[Org, str], Any]:
    return lambda org, user_id: assignments.assign(org.world.engine, ADMIN, now(), org.apps[label], user_id)


def reviewed(label: str, verdict: Verdict) -> Step:
    def do(org: Org) -> None:
        waiting = org.world.queue(org.apps[label], ignored=verdict is Verdict.UNIGNORE)
        for external_id in sorted(waiting)[:1]:
            org.world.review(org.apps[label], external_id, verdict)

    return do


def expired(org: Org) -> None:
    """The sweep, at the end of every hold there can be."""
    holds.expire_holds(org.world.engine, now() + timedelta(days=2))


def given_policy(label: str, policy: ImportPolicy) -> Step:
    return lambda org: policies.replace(org.world.engine, ADMIN, now(), org.apps[label], policy)


def reordered(org: Org) -> None:
    ranks.reorder(org.world.engine, ADMIN, now(), org.ranking()[::-1])


def switched(label: str, status: tables.AppStatus) -> Step:
    return lambda org: apps.set_status(org.world.engine, ADMIN, now(), org.apps[label], status)


BY_HAND = st.builds(
    by_hand,
    st.sampled_from(PEOPLE),
    st.one_of(
        st.builds(moved, st.sampled_from(users.Act)),
        st.sampled_from((held, let_go, removed)),
        st.builds(unassigned, LABELS),
        st.builds(assigned, LABELS),
    ),
)
REVIEWS = st.builds(reviewed, LABELS, st.sampled_from(Verdict))
POLICIES = st.builds(
    lambda confirmation, when, suspended, deactivated, partial: ImportPolicy(
        matching=Matching(allow_partial=partial),
        confirmation=confirmation,
        mastering=Mastering(True, when, suspended, deactivated),
        safeguard=Safeguard(max_unassigned_percent=LIMIT),
    ),
    st.sampled_from((CONFIRM_ALL, CONFIRM_ALL, Confirmation(auto_confirm_exact=True, auto_confirm_new=True), Confirmation())),
    st.sampled_from(WhenDeactivated),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
SWITCHES = st.one_of(
    st.sampled_from((reordered, expired)),
    st.builds(switched, LABELS, st.sampled_from(tables.AppStatus)),
    st.builds(given_policy, LABELS, POLICIES),
)


IMPORTS = st.builds(
    imports,
    LABELS,
    st.sampled_from((Mode.FULL, Mode.FULL, Mode.INCREMENTAL)),
    st.lists(records(), min_size=1, max_size=6),
    st.sampled_from((True, True, False)),
    st.lists(st.one_of(BY_HAND, BY_HAND, REVIEWS, SWITCHES), max_size=3),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(POLICIES, POLICIES, st.lists(st.one_of(IMPORTS, IMPORTS, BY_HAND, BY_HAND, REVIEWS, SWITCHES), min_size=5, max_size=14))
def test_whatever_masters_and_admins_do_the_laws_hold(
    database: Engine, hr_policy: ImportPolicy, ad_policy: ImportPolicy, steps: list[Step]
) -> None:
    empty(database)
    org = Org(World(database))
    org.world.set_org(max_unassigned_percent=LIMIT)
    org.apps = {"HR": org.world.app("HR", hr_policy), "AD": org.world.app("AD", ad_policy)}
    everybody = [person(f"{name[0]}1", email=f"{name}@example.com", firstName=name, lastName="Doe") for name in PEOPLE]
    for step in (imports("HR", Mode.FULL, everybody, True), imports("AD", Mode.FULL, everybody[1:], True), *steps):
        with suppress(MasteringError):  # what is refused is part of the work: it must leave nothing behind
            step(org)
    org.check()
