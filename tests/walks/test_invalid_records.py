"""Rows that cannot be used: reported, skipped, and not missing (SPEC §5.2)."""

import json
from typing import Any

import pytest

from mastering.imports import steps
from mastering.rules.policy import Confirmation, Safeguard
from mastering.store.documents import load
from mastering.store.tables import ImportRun
from tests.walks.imports_world import World, calm, person

BROKEN: dict[str, dict[str, Any] | bytes] = {
    "a required attribute is null": person("E1", lastName=None),
    "a required attribute is empty": person("E1", lastName=""),
    "a bad type": person("E1", title=7),
    "active is null": person("E1", active=None),
    "active is a text": person("E1", active="true"),
    "active is a number": person("E1", active=1),
    "a member that is none": {**person("E1"), "Active": False},
    "the profile is no object": {"externalId": "E1", "profile": []},
    "JSON that breaks off after the external id": b'{"externalId":"E1","active":true,"profile":{"title":',
    "half of a surrogate pair": b'{"externalId":"E1","profile":{"title":"\\ud800"}}',
    "not UTF-8": b'{"externalId":"E1","profile":{"title":"\xff"}}',
    "a number beyond all numbers": b'{"externalId":"E1","profile":{"title":1e999}}',
}


def safeguard(run: ImportRun) -> dict[str, Any]:
    verdict: dict[str, Any] = load(run.safeguard or "{}")
    return verdict


# -- INVALID ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", BROKEN.values(), ids=BROKEN)
def test_a_record_that_cannot_be_used_is_reported_with_its_line_and_is_not_missing(org: World, record: dict[str, Any] | bytes) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2")])
    before = org.user_of(hr, "E1")
    run = org.send(hr, [person("E2"), record])
    assert (run.status, org.situations(run)) == ("COMPLETED", {"INVALID": 1, "UNCHANGED": 1})
    (row,) = org.changes(run)
    assert (row.external_id, row.line, row.action, row.to_status) == ("E1", 2, "reject", "ACTIVE")
    assert row.reason
    assert row.detail
    assert (org.user_of(hr, "E1").status, org.user_of(hr, "E1").profile) == (before.status, before.profile)
    assert org.account(hr, "E1").account == "ACTIVE"


@pytest.mark.parametrize("record", BROKEN.values(), ids=BROKEN)
def test_a_record_that_cannot_be_used_makes_nobody_and_keeps_a_waiting_row_waiting(org: World, record: dict[str, Any] | bytes) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    assert org.situations(org.send(hr, [record])) == {"INVALID": 1}
    assert org.queue(hr) == {}
    org.send(hr, [person("E1")])
    assert org.situations(org.send(hr, [record])) == {"INVALID": 1}
    assert org.queue(hr) == {"E1": ("UNMATCHED", "unmatched", [])}


def test_every_fault_of_a_record_is_named(org: World) -> None:
    hr = org.app("HR", calm())
    run = org.send(hr, [person("E1", lastName=None, title=7, countryCode="DEU")])
    (row,) = org.changes(run)
    assert (row.reason, row.external_id) == ("invalid_profile", "E1")
    for name in ("lastName", "title", "countryCode"):
        assert name in (row.detail or "")


def test_the_record_is_good_again_as_soon_as_it_is_right_whatever_it_said_before(org: World) -> None:
    hr = org.app("HR", calm())
    right = person("E1", title="Lead")
    org.send(hr, [right])
    org.send(hr, [person("E1", title=7)])
    org.send(hr, [right])
    assert org.user_of(hr, "E1").profile["title"] == "Lead"
    assert org.situations(org.send(hr, [right])) == {"UNCHANGED": 1}


# -- the leaver still leaves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record",
    [
        person("E1", active=False, lastName=None),
        person("E1", active=False, email=""),
        person("E1", active=False, title=7),
        {"externalId": "E1", "active": False, "profile": []},
        {"externalId": "E1", "active": False, "profile": None},
        b'{"externalId":"E1","active":false,"profile":{"title":1e999}}',
        b'{"externalId":"E1","active":false,"profile":{"title":"\xff"}}',
    ],
    ids=["null", "empty", "bad type", "profile a list", "profile null", "number", "not UTF-8"],
)
def test_a_leaver_with_a_broken_profile_still_leaves_and_the_profile_is_rejected(org: World, record: dict[str, Any] | bytes) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    known = org.account(hr, "E1").profile
    row = org.change(org.send(hr, [record]), "E1")
    assert (row.situation, row.action, row.line) == ("WENT_INACTIVE", "deactivate", 1)
    assert "the profile was rejected" in (row.detail or "")
    assert (org.user_of(hr, "E1").status, org.account(hr, "E1").account) == ("DEACTIVATED", "INACTIVE")
    assert org.account(hr, "E1").profile == known


def test_a_leaver_needs_no_profile_at_all(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", title="Lead")])
    row = org.change(org.send(hr, [{"externalId": "E1", "active": False}]), "E1")
    assert (row.situation, row.detail, org.user_of(hr, "E1").status) == ("WENT_INACTIVE", None, "DEACTIVATED")
    assert org.account(hr, "E1").profile["title"] == "Lead"


def test_a_broken_delta_that_does_not_say_inactive_is_no_leaver(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    org.send(hr, [person("E1", active=False)])
    run = org.delta(hr, [person("E1", lastName=None)])
    assert org.situations(run) == {"INVALID": 1}


def test_a_stranger_who_is_inactive_is_no_fault_however_little_is_known(org: World) -> None:
    hr = org.app("HR", calm())
    assert org.situations(org.send(hr, [{"externalId": "E1", "active": False}])) == {"INACTIVE_UNKNOWN": 1}


# -- the same external id, twice ----------------------------------------------------------------------------------------


def test_the_same_content_is_one_record_in_whatever_order_its_keys_come(org: World) -> None:
    hr = org.app("HR", calm())
    told = person("E1", title="Lead")
    turned = {"profile": dict(reversed(told["profile"].items())), "externalId": "E1"}
    for records in ([told, told, turned], [turned, told], [told]):
        run = org.send(hr, records)
        assert (sum(org.situations(run).values()), run.records) == (1, len(records))
    assert org.user_of(hr, "E1").profile["title"] == "Lead"


@pytest.mark.parametrize("others", [[person("E1", title="Lead")], [person("E1", title="Boss"), person("E1", title="Lead")]])
@pytest.mark.parametrize("turned", [True, False])
def test_different_contents_make_each_of_them_invalid_and_none_missing(org: World, others: list[dict[str, Any]], turned: bool) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2")])
    records = [person("E2"), person("E1"), *others]
    run = org.send(hr, records[::-1] if turned else records)
    assert org.situations(run) == {"UNCHANGED": 1, "INVALID": len(others) + 1}
    assert {row.reason for row in org.changes(run)} == {"duplicate_external_id"}
    assert (org.user_of(hr, "E1").status, org.account(hr, "E1").account) == ("ACTIVE", "ACTIVE")
    assert "title" not in org.user_of(hr, "E1").profile


def test_contradicting_rows_of_one_account_may_stand_in_different_batches(org: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "AT_ONCE", 1)
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    run = org.send(hr, [person("E1", title="a"), person("E1", title="b"), person("E1", title="c")])
    assert (run.status, org.situations(run)) == ("COMPLETED", {"INVALID": 3})


def test_one_and_true_are_different_contents(org: World) -> None:
    hr = org.app("HR", calm())
    assert org.situations(org.send(hr, [person("E1", flag=1), person("E1", flag=True)])) == {"INVALID": 2}


def test_leavers_who_contradict_each_other_do_not_leave(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    assert org.situations(org.send(hr, [person("E1", active=False), person("E1", active=True)])) == {"INVALID": 2}
    assert org.user_of(hr, "E1").status == "ACTIVE"


# -- external ids -------------------------------------------------------------------------------------------------------


def test_an_integer_is_the_external_id_of_its_decimal_text(org: World) -> None:
    hr = org.app("HR", calm())
    number = {**person("7"), "externalId": 7}
    org.send(hr, [number])
    assert org.account(hr, "7").user_id
    assert sum(org.situations(org.send(hr, [number, person("7")])).values()) == 1
    assert org.situations(org.delta(hr, [{**person("7", title="Lead"), "externalId": 7}])) == {"CHANGED": 1}


@pytest.mark.parametrize("external_id", [None, "", True, 7.0, ["E1"], {"id": "E1"}, "x" * 513, "E\0001"])
def test_anything_else_is_no_external_id(org: World, external_id: Any) -> None:
    hr = org.app("HR", calm())
    run = org.send(hr, [{**person("E1"), "externalId": external_id}])
    assert [(row.situation, row.reason, row.external_id) for row in org.changes(run)] == [("INVALID", "no_external_id", None)]


def test_external_ids_are_exact(org: World) -> None:
    hr = org.app("HR", calm())
    run = org.send(hr, [person("e", email="1@x.org"), person("E", email="2@x.org"), person(" E", email="3@x.org")])
    assert org.situations(run) == {"UNMATCHED": 3}


# -- rows that nobody can name --------------------------------------------------------------------------------------------

NAMELESS: list[dict[str, Any] | bytes] = [{"profile": {}}, b"[]", b'{"profile":', b"nonsense"]


@pytest.mark.parametrize("nameless", NAMELESS, ids=["no id", "no object", "broken", "no JSON"])
def test_a_row_that_nobody_can_name_holds_a_full_run_that_would_conclude_an_absence(org: World, nameless: dict[str, Any] | bytes) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2")])
    run = org.send(hr, [person("E1"), nameless])
    assert (run.status, safeguard(run)["reason"]) == ("HELD", "unidentified_records")
    assert org.situations(run) == {"INVALID": 1, "UNCHANGED": 1, "WENT_MISSING": 1}
    assert org.account(hr, "E2").account == "ACTIVE"


def test_it_holds_nothing_where_nobody_is_absent(org: World) -> None:
    hr = org.app("HR", calm())
    assert org.send(hr, [person("E1"), {"profile": {}}]).status == "COMPLETED"
    assert org.send(hr, [person("E1"), {"profile": {}}]).status == "COMPLETED"
    assert org.delta(hr, [{"profile": {}}]).status == "COMPLETED"


def test_an_absence_of_who_was_gone_already_concludes_nothing(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2")])
    org.send(hr, [person("E1")])
    run = org.send(hr, [person("E1"), {"profile": {}}])
    assert (run.status, org.situations(run)) == ("COMPLETED", {"INVALID": 1, "UNCHANGED": 2})


def test_a_waiting_row_that_would_leave_the_queue_is_an_absence_too(org: World) -> None:
    hr = org.app("HR", calm(confirmation=Confirmation()))
    org.send(hr, [person("E1"), person("E2")])
    run = org.send(hr, [person("E1"), {"profile": {}}])
    assert (run.status, safeguard(run)["reason"]) == ("HELD", "unidentified_records")
    assert set(org.queue(hr)) == {"E1", "E2"}


def test_a_policy_may_tolerate_a_number_of_them_and_no_more(org: World) -> None:
    hr = org.app("HR", calm(safeguard=Safeguard(enabled=False, tolerate_unidentified=2)))
    org.send(hr, [person("E1"), person("E2")])
    assert org.send(hr, [person("E1"), *NAMELESS[:3]]).status == "HELD"
    assert org.send(hr, [person("E1"), *NAMELESS[:2]]).status == "COMPLETED"
    assert org.account(hr, "E2").account == "MISSING"


def test_a_row_that_names_its_account_is_no_such_row_however_broken(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2"), person("E3")])
    run = org.send(hr, [person("E1"), json.dumps(person("E2")).encode()[:-9]])
    assert (run.status, org.account(hr, "E2").account, org.account(hr, "E3").account) == ("COMPLETED", "ACTIVE", "MISSING")


def test_the_run_says_since_when_such_a_hold_has_kept_recurring(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1"), person("E2")])
    first = org.send(hr, [person("E1"), {"profile": {}}])
    second = org.send(hr, [person("E1"), {"profile": {"a": 1}}])
    assert safeguard(first)["recurringSince"] == first.planned
    assert (safeguard(second)["recurringSince"], second.status) == (first.planned, "HELD")
    good = org.send(hr, [person("E1"), person("E2")])
    assert "recurringSince" not in safeguard(good)
    third = org.send(hr, [person("E1"), {"profile": {}}])
    assert safeguard(third)["recurringSince"] == third.planned


def test_a_member_that_is_none_is_named_and_the_leaver_it_meant_is_not_passed_over_in_silence(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    (row,) = org.changes(org.send(hr, [{**person("E1"), "Active": False}]))
    assert (row.reason, row.detail) == ("unknown_member", "Active: is no member of a record, which has externalId, active and profile")


def test_a_leaver_leaves_whatever_else_the_record_has(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    org.send(hr, [{**person("E1", active=False), "status": "gone"}])
    assert org.user_of(hr, "E1").status == "DEACTIVATED"
