"""A preview says what saving does: after any work, any wishes are previewed, then saved by the walks of the catalog, and compared row by row."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlmodel import col

from mastering.catalog import mappings, policies, ranks, user_schema
from mastering.catalog.mappings import Edit
from mastering.clock import now
from mastering.errors import MasteringError
from mastering.rules.mapping import MappingRule
from mastering.rules.policy import Confirmation, ImportPolicy, Matching, Username, UsernameFormat
from mastering.rules.record import Mode
from mastering.rules.schema import AttributeMaster, MasterKind
from mastering.rules.schema_change import Wish
from mastering.store import catalog, people, previews, tables
from mastering.store.documents import load
from mastering.store.engine import reading
from mastering.whatif import previews as walk
from mastering.whatif.world import Wishes
from tests.store.test_serializable import LABELS, POLICIES, STEPS, Org, Step, record
from tests.walks.imports_world import ADMIN, CONFIRM_ALL, calm, empty, master

Wanted = Callable[[Org], tuple[Wishes, Callable[[], object]]]
"""What is wished, and how it is saved."""


def rows_of(engine: Engine, preview_id: str) -> list[previews.PreviewRow]:
    with reading(engine) as session:
        row = previews.PreviewRow
        return list(session.execute(select(row).where(col(row.preview_id) == preview_id).order_by(col(row.seq))).scalars())


def preview(org: Org, wishes: Wishes, **more: Any) -> list[previews.PreviewRow]:
    found = walk.start(org.engine, ADMIN, now(), wishes, {}, **more)
    while org.workers[0].turn():
        pass
    done = walk.read(org.engine, found.id)
    assert done.status == "COMPLETED", done.error
    rows = rows_of(org.engine, found.id)
    assert len(rows) == done.found
    return rows


def everything(engine: Engine) -> tuple[Any, ...]:
    """People, accounts, findings, and how much history there is: what a preview must leave alone."""
    with reading(engine) as session:
        users = people.users(session, list(session.execute(select(col(tables.User.id))).scalars()))
        accounts = people.accounts(session, list(session.execute(select(col(tables.AppUser.id))).scalars()))
        findings = list(session.execute(select(col(tables.Finding.id)).order_by(col(tables.Finding.id))).scalars())
        events = list(session.execute(select(col(tables.HistoryEvent.id))).scalars())
    return users, accounts, findings, events


# -- wishes, each with the walk that saves it ---------------------------------------------------------------------------


def another_policy(label: str, policy: ImportPolicy) -> Wanted:
    def of(org: Org) -> tuple[Wishes, Callable[[], object]]:
        app_id = org.apps[label]
        return Wishes(policies={app_id: policy}), lambda: policies.replace(org.engine, ADMIN, now(), app_id, policy)

    return of


def other_order(org: Org) -> tuple[Wishes, Callable[[], object]]:
    order = [each.app_id for each in ranks.read(org.engine)][::-1]
    return Wishes(ranking=tuple(order)), lambda: ranks.reorder(org.engine, ADMIN, now(), order)


def another_mapping(label: str, target: str, expression: str) -> Wanted:
    def of(org: Org) -> tuple[Wishes, Callable[[], object]]:
        app_id = org.apps[label]
        with reading(org.engine) as session:
            row = catalog.inbound_mapping(session, app_id)
            rules = {rule.target: rule for rule in catalog.rules_of(row.properties)}
        rules[target] = MappingRule(target, expression, create_only=False)
        edits = {target: Edit(expression, create_only=False)}
        return Wishes(mappings={app_id: tuple(rules.values())}), lambda: mappings.update(org.engine, ADMIN, now(), row.id, edits)

    return of


def another_master(name: str, label: str | None) -> Wanted:
    def of(org: Org) -> tuple[Wishes, Callable[[], object]]:
        own = (org.apps[label],) if label else ()
        master = AttributeMaster(MasterKind.OVERRIDE, own) if own else AttributeMaster(MasterKind.OKTA)
        told = {"type": master.kind.value, **({"priority": [{"type": "APP", "value": own[0]}]} if own else {})}
        wish = Wish(base={name: {"master": told}}, custom={})
        return Wishes(attributes={name: master}), lambda: user_schema.update(org.engine, ADMIN, now(), wish)

    return of


MATCHINGS = st.sampled_from((Matching(), Matching(username=False, email=True), Matching(allow_partial=True), Matching(username=False)))
USERNAMES = st.sampled_from((Username(), Username(UsernameFormat.CUSTOM, "appuser.firstName + '@x.org'")))
WISHES: st.SearchStrategy[Wanted] = st.one_of(
    st.builds(
        lambda label, policy, matching, username, enabled: another_policy(
            label,
            replace(policy, matching=matching, username=username, mastering=replace(policy.mastering, enabled=enabled)),
        ),
        st.sampled_from(LABELS),
        POLICIES,
        MATCHINGS,
        USERNAMES,
        st.sampled_from((True, True, False)),
    ),
    st.just(other_order),
    st.builds(
        another_mapping,
        st.sampled_from(LABELS),
        st.sampled_from(("title", "login", "email", "lastName")),
        st.sampled_from(("appuser.title", "appuser.firstName + '@y.org'", "'same@z.org'", "null", "appuser.email")),
    ),
    st.builds(another_master, st.sampled_from(("title", "email", "lastName")), st.sampled_from((*LABELS, None))),
)


def check_against_saving(org: Org, wanted: Wanted) -> None:
    """Preview, save, and compare."""
    wishes, save = wanted(org)
    before = everything(org.engine)
    try:
        rows = preview(org, wishes)
    except MasteringError as refused:
        with pytest.raises(type(refused)):
            save()
        return
    assert everything(org.engine) == before, "a preview changes nothing"
    save()
    org.world.work()  # of a large organisation, what follows is carried out by a worker
    told = by_kind(rows)
    users, accounts = before[0], before[1]
    after_users, after_accounts, findings, events = everything(org.engine)
    new = set(events) - set(before[3])
    profiles = {
        user_id: {name: value for name, value in user.profile.items() if users[user_id].profile.get(name) != value}
        for user_id, user in after_users.items()
    }
    assert {row.user_id: {n: a["new"] for n, a in load(row.attributes).items()} for row in told["PROFILE"]} == {
        user_id: changed for user_id, changed in profiles.items() if changed
    }
    assert {row.user_id for row in told["REJECTED"]} == subjects(org, new, "user.remaster.rejected")
    assert {row.user_id: row.detail for row in told["REJECTED"]} == refusals(org, new)
    made = [row for row in told["WORD"] if row.to_value is None]
    assert {row.user_id for row in made} == subjects(org, new, "finding.made")
    assert len(made) == len(findings) - len(before[2])
    places = {
        each.id: (each.situation, each.reason, list(each.candidates))
        for each in after_accounts.values()
        if (each.situation, each.reason, each.candidates)
        != (accounts[each.id].situation, accounts[each.id].reason, accounts[each.id].candidates)
    }
    assert {row.app_user_id: (row.to_value, row.reason, load(row.candidates)) for row in told["WAITING"]} == places
    assert {user.id: user.status for user in users.values()} == {user.id: user.status for user in after_users.values()}


def by_kind(rows: list[previews.PreviewRow]) -> dict[str, list[previews.PreviewRow]]:
    kinds = ("PROFILE", "REJECTED", "AUTHORITY", "WORD", "STATUS", "WAITING", "CONFIRMATION")
    return {kind: [row for row in rows if row.kind == kind] for kind in kinds}


def subjects(org: Org, ids: set[str], kind: str) -> set[str]:
    return {event.subject for event in told(org, ids, kind)}


def refusals(org: Org, ids: set[str]) -> dict[str, str]:
    return {event.subject: "; ".join(load(event.values_json or "{}")["faults"]) for event in told(org, ids, "user.remaster.rejected")}


def told(org: Org, ids: set[str], kind: str) -> list[tables.HistoryEvent]:
    with reading(org.engine) as session:
        event = tables.HistoryEvent
        found = session.execute(select(event).where(col(event.type) == kind)).scalars()
        return [each for each in found if each.id in ids]


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate))
@given(POLICIES, POLICIES, st.lists(STEPS, min_size=6, max_size=20), WISHES)
def test_a_preview_says_row_by_row_what_saving_does(
    database: Engine, hr_policy: ImportPolicy, ad_policy: ImportPolicy, work: list[Step], wanted: Wanted
) -> None:
    empty(database)
    org = Org.of(database, hr_policy, ad_policy)
    for step in work:
        with suppress(MasteringError):
            step(org)
    org.world.work()
    check_against_saving(org, wanted)


def test_each_thing_that_saving_does_is_among_what_is_compared(database: Engine) -> None:
    """One organisation in which a change of the order does all of it, so that the comparison cannot pass by comparing nothing."""
    empty(database)
    org = Org.of(
        database, ImportPolicy(confirmation=CONFIRM_ALL, mastering=master()), ImportPolicy(confirmation=CONFIRM_ALL, mastering=master())
    )
    hr, ad = org.apps["HR"], org.apps["AD"]
    org.world.set_org(enabled=False)
    for app_id in (hr, ad):
        policies.replace(org.engine, ADMIN, now(), app_id, calm(mastering=master(), matching=Matching(allow_partial=True)))
    org.world.send(ad, [record("ann", title="by AD"), record("bob", active=False), record("cid", title="x"), record("dan")])
    policies.replace(
        org.engine, ADMIN, now(), ad, calm(mastering=master(), confirmation=Confirmation(), matching=Matching(allow_partial=True))
    )
    org.world.send(ad, [record("cid", 2, email="new@example.com", lastName="Other", title="y")], Mode.INCREMENTAL)
    mapped = another_mapping("AD", "lastName", "appuser.title == 'by AD' ? null : 'Other'")(org)
    wishes = replace(mapped[0], ranking=(ad, hr))
    found = by_kind(preview(org, wishes))
    assert {kind for kind, rows in found.items() if rows} >= {"PROFILE", "REJECTED", "AUTHORITY", "WORD", "WAITING"}, found
