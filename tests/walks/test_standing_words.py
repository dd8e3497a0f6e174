"""A word that was heard and not followed stands until what stopped it goes; then it is found, in that transaction, and not acted on (SPEC §3)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from mastering import assignments, holds, masters
from mastering.catalog import apps, policies, ranks
from mastering.clock import now
from mastering.holds import Terms
from mastering.review import Verdict
from mastering.rules.policy import Confirmation, Mastering, WhenDeactivated
from mastering.store import tables
from mastering.store.engine import reading
from tests.walks.imports_world import ADMIN, World, calm, master, person

NOTHING = master(WhenDeactivated.DO_NOTHING)
INACTIVE, ACTIVE = tables.AppStatus.INACTIVE, tables.AppStatus.ACTIVE


def findings(org: World) -> list[tuple[str, str]]:
    """Every finding: what was asked for, and what had stopped it."""
    with reading(org.engine) as session:
        rows = session.execute(select(tables.Finding).order_by(col(tables.Finding.id))).scalars()
        return [(row.trigger, row.cause) for row in rows]


def two_masters(org: World) -> tuple[str, str, str]:
    """A person of two masters, the lower of which says that they left; the apps and the user."""
    hr, ad = org.app("HR", calm(mastering=NOTHING)), org.app("AD", calm())
    for app_id in (hr, ad):
        org.send(app_id, [person("E1")])
    org.delta(ad, [person("E1", active=False)])
    user = org.user_of(hr, "E1")
    assert (user.status, org.account(ad, "E1").unheeded_reason) == ("ACTIVE", "not_authority")
    return hr, ad, user.id


Act = Callable[[World, str, str, str], Any]
LET_GO: dict[str, Act] = {
    "an admin unassigns the higher account": lambda org, hr, _, user: assignments.unassign(org.engine, ADMIN, now(), hr, user),
    "the higher master gives the person up": lambda org, hr, _, __: org.delta(hr, [person("E1", active=False)]),
    "the order changes": lambda org, hr, ad, _: ranks.reorder(org.engine, ADMIN, now(), [ad, hr]),
    "the higher app is switched off": lambda org, hr, _, __: apps.set_status(org.engine, ADMIN, now(), hr, INACTIVE),
    "the higher app masters nobody any more": lambda org, hr, _, __: policies.replace(
        org.engine, ADMIN, now(), hr, calm(mastering=Mastering(enabled=False))
    ),
}


@pytest.mark.parametrize("act", LET_GO.values(), ids=LET_GO)
def test_whatever_lifts_a_lower_master_to_authority_finds_its_word_at_once_and_moves_nobody(org: World, act: Act) -> None:
    hr, ad, user = two_masters(org)
    told = len(org.events(user))
    act(org, hr, ad, user)
    assert findings(org) == [("deactivate", "not_authority")]
    assert org.user(user).status == "ACTIVE"
    since = org.events(user)[told:]
    assert [event.type for event in since][-1] == "finding.made"
    cause = [event for event in org.events(hr) + org.events("00oMastering00000001") + since if event.at == since[-1].at]
    assert len(cause) > 1  # the act and the finding have one instant, the walk's
    (standing,) = masters.masters_of(org.engine, now(), user).disagreements
    assert (standing.account.app_id, standing.trigger, standing.reason) == (ad, "deactivate", None)


def test_a_master_that_is_lifted_and_lowered_is_found_once_each_time(org: World) -> None:
    hr, ad, user = two_masters(org)
    for _ in range(2):
        apps.set_status(org.engine, ADMIN, now(), hr, INACTIVE)
        ranks.reorder(org.engine, ADMIN, now(), [ad])
        apps.set_status(org.engine, ADMIN, now(), hr, ACTIVE)  # it comes back last
        ranks.reorder(org.engine, ADMIN, now(), [hr, ad])
    assert findings(org) == [("deactivate", "not_authority")] * 2
    assert (org.user(user).status, org.account(ad, "E1").unheeded_reason) == ("ACTIVE", "not_authority")


def test_an_app_that_becomes_a_master_is_heard_afterwards(org: World) -> None:
    plain = calm(mastering=Mastering(enabled=False))
    app_id = org.app("SCIM", plain)
    org.send(app_id, [person("E1")])
    org.delta(app_id, [person("E1", active=False)])
    user = org.user_of(app_id, "E1").id
    assert org.account(app_id, "E1").unheeded_reason == "not_authority"
    policies.replace(org.engine, ADMIN, now(), app_id, calm())
    assert (findings(org), org.user(user).status) == ([("deactivate", "not_authority")], "ACTIVE")


@pytest.mark.parametrize("ends", ["lifted", "ended"])
def test_a_hold_that_goes_finds_the_word_that_it_stopped(org: World, ends: str) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    user = org.user_of(hr, "E1").id
    until = now() + timedelta(hours=1)
    holds.set_hold(org.engine, ADMIN, now(), user, Terms("on leave", until))
    org.delta(hr, [person("E1", active=False)])
    assert findings(org) == []
    if ends == "lifted":
        holds.lift_hold(org.engine, ADMIN, now(), user)
    else:
        assert holds.expire_holds(org.engine, until) == 1
    assert (findings(org), org.user(user).status) == ([("deactivate", "held_by_admin")], "ACTIVE")
    act, finding = org.events(user)[-2:]
    assert (act.type, finding.type, act.at) == (f"user.hold.{'lifted' if ends == 'lifted' else 'expired'}", "finding.made", finding.at)


@pytest.mark.parametrize(("verb", "asked"), [("suspend", "unsuspend"), ("deactivate", "reactivate")])
def test_a_switch_that_is_turned_on_finds_the_return_that_it_stopped(org: World, verb: str, asked: str) -> None:
    hr = org.app("HR", calm(mastering=NOTHING))
    org.send(hr, [person("E1"), person("X")])
    user = org.user_of(hr, "E1").id
    org.act(user, verb)
    org.delta(hr, [person("E1", active=False)])
    org.delta(hr, [person("E1", active=True)])
    assert org.account(hr, "E1").unheeded_reason == "switch_off"
    status = org.user(user).status
    policies.replace(org.engine, ADMIN, now(), hr, calm(mastering=master(suspended=True, deactivated=True)))
    assert (findings(org), org.user(user).status) == ([(asked, "switch_off")], status)


def test_a_reviewers_link_that_sets_a_person_free_finds_the_word_that_was_too_early(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(suspended=True, deactivated=True), confirmation=Confirmation()))
    ad = org.app("AD", calm(mastering=master(WhenDeactivated.SUSPEND, deactivated=True)))
    jane = org.by_hand("jane", activate=False)
    org.send(ad, [person("a1", email="jane@example.com")])
    org.delta(ad, [person("a1", active=False)])
    assert org.account(ad, "a1").unheeded_reason == "never_active"
    org.send(hr, [person("E1", email="jane@example.com")])
    assert org.review(hr, "E1", Verdict.LINK).error is None
    assert org.account(ad, "a1").unheeded_reason == "not_authority"
    assert (org.user(jane.id).status, findings(org)) == ("PENDING_ACTIVATION", [])
    assignments.unassign(org.engine, ADMIN, now(), hr, jane.id)
    org.act(jane.id, "activate")
    assert findings(org) == [("suspend", "never_active")]


def test_a_person_who_is_deleted_takes_the_standing_words_along(org: World) -> None:
    hr, _ad, user = two_masters(org)
    org.remove(user)
    org.remove(user)
    ranks.reorder(org.engine, ADMIN, now(), [_ad, hr])
    assert findings(org) == []


def test_a_finding_goes_with_the_person_it_is_about(org: World) -> None:
    hr, _, user = two_masters(org)
    assignments.unassign(org.engine, ADMIN, now(), hr, user)
    assert findings(org) != []
    org.remove(user)
    org.remove(user)
    assert findings(org) == []
