"""When a user is deactivated in the app: the table of SPEC §7, from a record to the user's status, account and history."""

from datetime import timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from mastering import holds
from mastering.clock import now
from mastering.holds import Terms
from mastering.rules.policy import Confirmation, WhenDeactivated
from mastering.rules.record import Mode
from mastering.store.documents import load
from tests.walks.imports_world import ADMIN, World, calm, master, person

BY_HAND = {
    "PENDING_ACTIVATION": [],
    "ACTIVE": ["activate"],
    "SUSPENDED": ["activate", "suspend"],
    "DEACTIVATED": ["activate", "deactivate"],
}
TABLE = """
option      user                action      becomes             reason
DEACTIVATE  PENDING_ACTIVATION  deactivate  DEACTIVATED         -
DEACTIVATE  ACTIVE              deactivate  DEACTIVATED         -
DEACTIVATE  SUSPENDED           deactivate  DEACTIVATED         -
DEACTIVATE  DEACTIVATED         none        DEACTIVATED         -
SUSPEND     PENDING_ACTIVATION  none        PENDING_ACTIVATION  never_active
SUSPEND     ACTIVE              suspend     SUSPENDED           -
SUSPEND     SUSPENDED           none        SUSPENDED           -
SUSPEND     DEACTIVATED         none        DEACTIVATED         -
DO_NOTHING  PENDING_ACTIVATION  release     PENDING_ACTIVATION  -
DO_NOTHING  ACTIVE              release     ACTIVE              -
DO_NOTHING  SUSPENDED           release     SUSPENDED           -
DO_NOTHING  DEACTIVATED         release     DEACTIVATED         -
"""
CELLS = {(option, status): cell for option, status, *cell in (line.split() for line in TABLE.strip().splitlines()[1:])}
WAYS = {
    "inactive in a snapshot": (Mode.FULL, "WENT_INACTIVE", "INACTIVE"),
    "inactive in a delta": (Mode.INCREMENTAL, "WENT_INACTIVE", "INACTIVE"),
    "missing from a snapshot": (Mode.FULL, "WENT_MISSING", "MISSING"),
}


def of_each_status(org: World, when: WhenDeactivated) -> str:
    """An app with one account for each status a user may have; the status names the account."""
    hr = org.app("HR", calm(mastering=master(when), confirmation=Confirmation(auto_confirm_new=True)))
    org.send(hr, [person(status) for status in BY_HAND])
    for status, acts in BY_HAND.items():
        for act in acts:
            org.act(org.user_of(hr, status).id, act)
    return hr


def leave(org: World, hr: str, way: str) -> Any:
    mode, situation, _ = WAYS[way]
    records = [person(status, active=False) for status in BY_HAND] if situation == "WENT_INACTIVE" else []
    return org.send(hr, records, mode, allow_empty=True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("when", WhenDeactivated)
def test_every_cell_of_the_table_is_carried_out_as_specified(org: World, when: WhenDeactivated, way: str) -> None:
    hr = of_each_status(org, when)
    run = leave(org, hr, way)
    for status in BY_HAND:
        row, user, account = org.change(run, status), org.user_of(hr, status), org.account(hr, status)
        action, becomes, reason = CELLS[when, status]
        assert (row.situation, row.action, row.from_status, row.to_status, row.reason or "-") == (
            WAYS[way][1],
            action,
            status,
            becomes,
            reason,
        )
        assert (user.status, account.account, account.released) == (becomes, WAYS[way][2], when is WhenDeactivated.DO_NOTHING)
        assert row.rule == "when_deactivated"


@pytest.mark.parametrize("when", WhenDeactivated)
def test_the_history_says_which_app_which_run_which_rule_and_on_what_facts(org: World, when: WhenDeactivated) -> None:
    hr = of_each_status(org, when)
    run = leave(org, hr, "missing from a snapshot")
    for status in BY_HAND:
        action, becomes, reason = CELLS[when, status]
        event = org.events(org.user_of(hr, status).id)[-1]
        told = load(event.body)
        moved = action in {"deactivate", "suspend"}
        expected = f"user.{action}" if moved else {"release": "account.release"}.get(action, "account.missing")
        assert (event.type, event.run_id, told["run"]) == (expected, run.id, {"id": run.id, "planHash": run.plan_hash})
        assert (told["actor"]["type"], told["actor"]["id"]) == ("import", hr)
        assert (told["rule"], told.get("reason", "-"), told["authority"]) == ("when_deactivated", reason, hr)
        assert (told.get("from"), told.get("to"), told.get("trigger")) == ((status, becomes, action) if moved else (None, None, None))
        assert (told["account"]["account"], told["facts"]["status"]) == ("MISSING", status)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("when", WhenDeactivated)
def test_under_a_hold_nobodys_status_moves_and_where_one_would_have_the_row_says_so(org: World, when: WhenDeactivated, way: str) -> None:
    hr = of_each_status(org, when)
    for status in BY_HAND:
        holds.set_hold(org.engine, ADMIN, now(), org.user_of(hr, status).id, Terms("legal hold", None))
    run = leave(org, hr, way)
    for status in BY_HAND:
        action, _becomes, reason = CELLS[when, status]
        row, account = org.change(run, status), org.account(hr, status)
        stopped = action in {"deactivate", "suspend"}
        assert (row.action, row.reason or "-") == (("none", "held_by_admin") if stopped else (action, reason))
        assert (org.user_of(hr, status).status, account.account, account.released) == (status, WAYS[way][2], action == "release")
        assert account.unheeded == (action if stopped else "suspend" if reason == "never_active" else None)


@pytest.mark.parametrize(("earlier", "status"), [(timedelta(milliseconds=1), "ACTIVE"), (timedelta(0), "DEACTIVATED")])
def test_a_hold_binds_to_the_last_millisecond_before_its_end(org: World, earlier: timedelta, status: str) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    until = now() + timedelta(days=1)
    holds.set_hold(org.engine, ADMIN, now(), org.user_of(hr, "E1").id, Terms("legal hold", until))
    with freeze_time(until - earlier, real_asyncio=True):
        org.send(hr, [], allow_empty=True)
    assert org.user_of(hr, "E1").status == status


def test_a_hold_is_not_made_up_for_when_it_ends(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    until = now() + timedelta(days=1)
    holds.set_hold(org.engine, ADMIN, now(), org.user_of(hr, "E1").id, Terms("legal hold", until))
    org.send(hr, [], allow_empty=True)
    with freeze_time(until, real_asyncio=True):
        holds.expire_holds(org.engine, now())
        assert org.situations(org.send(hr, [], allow_empty=True)) == {"UNCHANGED": 1}
    assert org.user_of(hr, "E1").status == "ACTIVE"
    assert org.kinds(org.user_of(hr, "E1").id)[-2:] == ["user.hold.expired", "finding.made"]


def test_who_was_never_active_stays_pending_and_the_word_is_found_when_they_are_activated(org: World) -> None:
    hr = of_each_status(org, WhenDeactivated.SUSPEND)
    leave(org, hr, "missing from a snapshot")
    user = org.user_of(hr, "PENDING_ACTIVATION")
    assert (org.account(hr, "PENDING_ACTIVATION").unheeded, user.status) == ("suspend", "PENDING_ACTIVATION")
    org.act(user.id, "activate")
    assert (org.user(user.id).status, org.kinds(user.id)[-1]) == ("ACTIVE", "finding.made")


def test_the_same_leaver_said_again_moves_nobody_again(org: World) -> None:
    hr = of_each_status(org, WhenDeactivated.DEACTIVATE)
    leave(org, hr, "inactive in a snapshot")
    user = org.user_of(hr, "ACTIVE")
    org.act(user.id, "activate")
    run = leave(org, hr, "inactive in a snapshot")
    assert org.situations(run) == {"UNCHANGED": 4}
    assert org.situations(leave(org, hr, "missing from a snapshot")) == {"UNCHANGED": 4}
    assert org.user(user.id).status == "ACTIVE"
