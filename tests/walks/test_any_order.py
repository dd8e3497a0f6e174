"""No result depends on the order of the records (SPEC §5): the same imports, shuffled, leave the same org, plan for plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlmodel import col

from mastering.review import Verdict
from mastering.rules.policy import Confirmation, ImportPolicy, Matching, Username, UsernameFormat, WhenDeactivated
from mastering.rules.record import Mode
from mastering.store import people, tables
from mastering.store.engine import reading
from tests.walks.imports_world import World, calm, empty, master, person

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""Hundreds of imports, about rules and not about databases: what those are asked is asked of both elsewhere."""

PEOPLE = ("ann", "bob", "cid")
"""Few names, addresses and logins for more external ids, so that records meet."""


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record of one of a few accounts, who says they are one of a few people; now and then it is broken."""
    name = draw(st.sampled_from(PEOPLE))
    told: dict[str, Any] = {
        "upn": f"{draw(st.sampled_from((*PEOPLE, 'dan')))}@x.org",
        "email": f"{name}@example.com",
        "firstName": f"First-{draw(st.sampled_from(PEOPLE))}",
        "lastName": draw(st.sampled_from(("Doe", "Doe", "Doe", None))),
    }
    if draw(st.booleans()):
        told["department"] = draw(st.sampled_from(("Sales", None)))
    active = draw(st.sampled_from((True, True, None, False)))
    return person(draw(st.sampled_from("ABCDE")), **told, **({} if active is None else {"active": active}))


IMPORTS = st.lists(
    st.tuples(st.sampled_from((Mode.FULL, Mode.FULL, Mode.INCREMENTAL)), st.lists(records(), max_size=7)), min_size=2, max_size=4
)
POLICIES = st.builds(
    lambda matching, confirmation, mastering: calm(
        matching=matching, confirmation=confirmation, mastering=mastering, username=Username(UsernameFormat.CUSTOM, "appuser.upn")
    ),
    st.sampled_from((Matching(), Matching(allow_partial=True), Matching(username=False, email=True, allow_partial=True))),
    st.sampled_from((Confirmation(True, True, True, True), Confirmation(True, False, True, False), Confirmation(False, True, True, True))),
    st.builds(lambda when: master(when, suspended=True, deactivated=True), st.sampled_from(WhenDeactivated)),
)


@dataclass(frozen=True)
class Setting:
    """What surrounds the imports: the policy, what another master says of the same people and how it ranks, and whom a reviewer ignores."""

    policy: ImportPolicy
    other: list[dict[str, Any]]
    other_ranks_first: bool
    ignored: str | None


SETTINGS = st.builds(Setting, POLICIES, st.lists(records(), max_size=4), st.booleans(), st.one_of(st.none(), st.sampled_from("ABCDE")))


def told(engine: Engine, setting: Setting, imports: Sequence[tuple[Mode, list[dict[str, Any]]]]) -> list[Any]:
    """What becomes of these imports in a world of their own: each run's plan and the org after it, without ids."""
    empty(engine)
    world = World(engine)
    world.set_org(enabled=False)
    for name in PEOPLE[:2]:
        world.by_hand(name, firstName="First-ann", lastName="Doe")
    first, second = ("AD", "HR") if setting.other_ranks_first else ("HR", "AD")
    labels = {label: world.app(label, setting.policy) for label in (first, second)}
    hr = labels["HR"]
    world.send(labels["AD"], setting.other, allow_empty=True)
    outcome = []
    for mode, sent in imports:
        outcome.append(after(world, world.send(hr, sent, mode, allow_empty=True)))
        if setting.ignored in world.queue(hr):
            world.review(hr, setting.ignored, Verdict.IGNORE)
    return outcome


def after(world: World, run: tables.ImportRun) -> tuple[Any, ...]:
    with reading(world.engine) as session:
        found = people.users(session, list(session.execute(select(col(tables.User.id))).scalars()))
        accounts = people.accounts(session, list(session.execute(select(col(tables.AppUser.id))).scalars()))
    names = {user.id: user.login for user in found.values()}
    plan = [
        (row.external_id or "", row.situation, row.action, row.reason or "", row.to_status or "", names.get(row.user_id or "", ""))
        for row in world.changes(run)
        if row.action != "none"
    ]
    return (
        run.status,
        world.situations(run),
        sorted(plan),
        {user.login: (user.status, user.pending_when_deactivated, user.profile, sorted(world.kinds(user.id))) for user in found.values()},
        {
            (account.app_id == run.app_id, account.external_id): (
                names.get(account.user_id or ""),
                *(account.account, account.released, account.seen_active, account.profile, account.unheeded, account.unheeded_reason),
                *(account.situation, account.reason, sorted(names[each] for each in account.candidates)),
            )
            for account in accounts.values()
        },
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(SETTINGS, IMPORTS, st.integers(0, 2**32))
def test_the_order_of_the_records_means_nothing(
    database: Engine, setting: Setting, imports: list[tuple[Mode, list[dict[str, Any]]]], seed: int
) -> None:
    shuffled = [(mode, Random(seed + at).sample(sent, len(sent))) for at, (mode, sent) in enumerate(imports)]
    assert told(database, setting, imports) == told(database, setting, shuffled)
