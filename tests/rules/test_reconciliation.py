"""What may be expected of a standing state, in every combination of facts (SPEC §§3, 5, 7, 12)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from mastering.errors import WrongState
from mastering.rules.decision import ON_LEAVING, ON_RETURN, Return
from mastering.rules.lifecycle import Status, Trigger, may
from mastering.rules.people import Account, Hold, User
from mastering.rules.policy import ImportPolicy, Mastering, WhenDeactivated
from mastering.rules.reconciliation import (
    IN_WORDS,
    PASS_ENDED,
    REPAIRED,
    RESPECTED,
    Cause,
    PassStatus,
    PassTrigger,
    Past,
    Seen,
    missing_authority,
    next_pass_status,
    status_drift,
)
from mastering.rules.record import AccountState

AT = "2026-01-01T00:00:00.000Z"
OPTIONS = tuple(WhenDeactivated)
UNHEEDED = (
    None,
    *(
        trigger.value
        for trigger in (Trigger.suspend, Trigger.deactivate, Trigger.unsuspend, Trigger.reactivate, Trigger.require_activation)
    ),
)
RETURNS = {"unsuspend", "reactivate", "require_activation"}


def account(app: str, state: AccountState, unheeded: str | None = None, *, released: bool = False, seen: bool = True) -> Account:
    made = Account(f"0ua{app}", app, f"E-{app}", state, {}, AT, AT, user_id="00u1", released=released, seen_active=seen)
    made.unheeded = unheeded
    return made


def user(status: Status, *links: Account, held: bool = False, pending: bool = False) -> User:
    made = User("00u1", status, "jane@example.com", {}, AT, AT, pending_when_deactivated=pending, links=list(links))
    made.hold = Hold("why", None, AT, "ada") if held else None
    return made


def policy(when: WhenDeactivated, *, suspended: bool = False, deactivated: bool = False) -> ImportPolicy:
    return ImportPolicy(mastering=Mastering(True, when, suspended, deactivated))


@pytest.mark.parametrize(("option", "state"), list(product(OPTIONS, (AccountState.INACTIVE, AccountState.MISSING))))
def test_of_a_dead_authority_the_table_of_leavers_is_expected_and_a_hold_or_an_admin_respected(
    option: WhenDeactivated, state: AccountState
) -> None:
    for status, unheeded, held in product(Status, (None, "suspend", "deactivate"), (False, True)):
        mine = account("hr", state, unheeded)
        told = status_drift(policy(option), ("hr", "ad"), user(status, mine, held=held), mine, AT)
        wanted = ON_LEAVING[option, status]
        if wanted is None:
            assert told is None
            continue
        assert told is not None
        if isinstance(wanted, Trigger) and not held:
            assert told.cause is (Cause.obstacle_gone if unheeded else Cause.not_followed)
            assert told.trigger is wanted
            assert may(status, wanted)
            assert told.repairable
        else:
            assert told.cause is (Cause.held_by_admin if isinstance(wanted, Trigger) else Cause.never_active)
            assert (told.trigger, told.repairable, told.respected) == (None, False, True)


def test_of_an_active_authority_a_return_is_expected_only_if_its_word_was_heard_and_not_followed() -> None:
    for status, unheeded, suspended, deactivated, pending, held in product(
        Status, UNHEEDED, (False, True), (False, True), (False, True), (False, True)
    ):
        mine = account("hr", AccountState.ACTIVE, unheeded)
        person = user(status, mine, held=held, pending=pending)
        told = status_drift(policy(WhenDeactivated.DEACTIVATE, suspended=suspended, deactivated=deactivated), ("hr",), person, mine, AT)
        gone = status in {Status.SUSPENDED, Status.DEACTIVATED}
        if not gone:
            assert told is None
        elif unheeded not in RETURNS:
            assert told is not None
            assert told.cause is (Cause.held_by_admin if held else Cause.active_all_along)
            assert (told.trigger, told.repairable) == (None, False)
        else:
            switch = suspended if status is Status.SUSPENDED else deactivated
            wanted = ON_RETURN[Return(status, switch, unheeded != "require_activation", pending)]
            assert told is not None
            if isinstance(wanted, Trigger) and not held:
                assert (told.cause, told.trigger) == (Cause.obstacle_gone, wanted)
            else:
                assert told.cause is (Cause.held_by_admin if isinstance(wanted, Trigger) else Cause.switch_off)
                assert not told.repairable


def test_a_master_without_authority_never_has_anything_repaired() -> None:
    for status, unheeded, state, option in product(Status, UNHEEDED, AccountState, OPTIONS):
        mine, other = account("ad", state, unheeded), account("hr", AccountState.ACTIVE)
        told = status_drift(policy(option, suspended=True, deactivated=True), ("hr", "ad"), user(status, mine, other), mine, AT)
        if told is not None:
            assert unheeded is not None
            assert (told.trigger, told.repairable) == (None, False)


@pytest.mark.parametrize(("released", "seen"), [(True, True), (False, False), (True, False)])
def test_an_account_without_a_say_says_nothing(released: bool, seen: bool) -> None:
    for status, state in product(Status, AccountState):
        mine = account("hr", state, "deactivate", released=released, seen=seen)
        assert status_drift(policy(WhenDeactivated.DEACTIVATE), ("hr",), user(status, mine), mine, AT) is None


def test_an_admins_move_is_respected_exactly_if_it_came_after_the_word() -> None:
    mine = account("hr", AccountState.INACTIVE)
    for word, moved, by_hand in product((1, 3, 5), (2, 4, 6), (False, True)):
        past = Past(moved=Seen("evtMove", moved, by_hand), words={mine.id: Seen("evtWord", word, False)})
        told = status_drift(policy(WhenDeactivated.DEACTIVATE), ("hr",), user(Status.ACTIVE, mine), mine, AT, past)
        assert told is not None
        respected = by_hand and moved > word
        assert (told.cause, told.event_id) == ((Cause.admins_decision, "evtMove") if respected else (Cause.not_followed, "evtWord"))
        assert told.repairable is not respected


def test_every_cause_is_in_words_and_none_is_both_respected_and_repaired() -> None:
    assert IN_WORDS.keys() == set(Cause)
    assert not RESPECTED & REPAIRED


def test_the_last_event_of_each_thing_is_what_a_past_remembers() -> None:
    past = Past()
    told = {"id": "0ua1", "account": "ACTIVE", "released": False}
    events: list[tuple[str, dict[str, Any], list[str]]] = [
        ("user.create", {"trigger": "create", "from": None, "to": "PENDING_ACTIVATION", "account": told}, ["login"]),
        ("user.update", {"account": told}, ["department"]),
        ("user.hold.set", {"hold": {}}, []),
        ("account.word", {"account": {**told, "account": "INACTIVE"}, "reason": "held_by_admin"}, []),
        ("account.profile", {"account": {**told, "account": "INACTIVE"}}, []),
        ("finding.made", {"account": {**told, "account": "INACTIVE"}}, []),
        ("user.suspend", {"trigger": "suspend", "from": "ACTIVE", "to": "SUSPENDED"}, []),
    ]
    for seq, (kind, body, written) in enumerate(events, 1):
        past.see(Seen(f"evt{seq}", seq, by_hand=False), kind, body, written)
    assert past.begun is not None
    assert past.moved is not None
    assert past.held is not None
    assert (past.begun.seq, past.moved.seq, past.held.seq) == (1, 7, 3)
    assert {name: seen.seq for name, seen in past.attributes.items()} == {"login": 1, "department": 2}
    assert ({each: seen.seq for each, seen in past.words.items()}, past.findings["0ua1"].seq) == ({"0ua1": 4}, 6)


@pytest.mark.parametrize("status", Status)
def test_authority_is_missing_where_a_master_is_known_and_none_speaks(status: Status) -> None:
    mine = account("hr", AccountState.ACTIVE)
    speaking = missing_authority({"hr": True}, ("hr",), user(status, mine))
    released = missing_authority({"hr": True}, ("hr",), user(status, replace(mine, released=True)))
    switched_off = missing_authority({"hr": False}, (), user(status, mine))
    unseen = missing_authority({"hr": True}, ("hr",), user(status, replace(mine, seen_active=False)))
    nobodys = missing_authority({}, (), user(status, mine))
    assert (speaking, nobodys) == (None, None)
    causes = [each.cause if each else None for each in (released, switched_off, unseen)]
    expected = [None] * 3 if status is Status.DEACTIVATED else [Cause.released, Cause.app_inactive, Cause.never_seen_active]
    assert causes == expected


def test_a_reconciliation_moves_as_its_table_says_and_not_otherwise() -> None:
    moves = {
        (PassStatus.QUEUED, PassTrigger.compare): PassStatus.COMPARING,
        (PassStatus.COMPARING, PassTrigger.complete): PassStatus.COMPLETED,
        (PassStatus.QUEUED, PassTrigger.fail): PassStatus.FAILED,
        (PassStatus.COMPARING, PassTrigger.fail): PassStatus.FAILED,
    }
    for status, trigger in product(PassStatus, PassTrigger):
        if (status, trigger) in moves:
            assert next_pass_status(status, trigger) is moves[status, trigger]
        else:
            with pytest.raises(WrongState):
                next_pass_status(status, trigger)
    assert {status for status in PassStatus if not any(status is each for each, _ in moves)} == PASS_ENDED
