"""The safeguards (SPEC §8): no percentage is rounded, and each reason to hold stands on its own."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest

from mastering.rules.policy import OrgSafeguard, Safeguard
from mastering.rules.record import Mode
from mastering.rules.safeguard import HeldFor, Share, Tally, check

QUIET = Tally(
    Mode.FULL, records=100, unidentified=0, absences=0, waiting=0, unassigned=0, assigned=100, assigned_in_org=1000, allow_empty=False
)
"""A full run that takes nobody away."""
APP_OFF, ORG_OFF = Safeguard(enabled=False), OrgSafeguard(enabled=False)


def test_the_reasons_are_spelled_as_on_the_wire() -> None:
    names = ["empty_snapshot", "unidentified_records", "app_limit", "org_limit"]
    assert [(reason.name, reason.value) for reason in HeldFor] == [(name, name) for name in names]


@pytest.mark.parametrize("limit", range(101))
def test_a_run_is_held_if_the_share_is_greater_than_the_limit_and_not_if_it_equals_it(limit: int) -> None:
    for assigned in (1, 2, 3, 7, 99, 100, 1000):
        for unassigned in range(min(assigned, 120) + 1):
            exceeded = Share(unassigned, assigned, limit).exceeded(enabled=True, minimum=0)
            assert exceeded is (Fraction(unassigned, assigned) > Fraction(limit, 100))


def test_twenty_of_a_hundred_pass_and_twenty_one_do_not() -> None:
    assert check(replace(QUIET, unassigned=20), Safeguard(), OrgSafeguard()).reason is None
    assert check(replace(QUIET, unassigned=21), Safeguard(), OrgSafeguard()).reason is HeldFor.app_limit


def test_a_share_a_hair_above_the_limit_is_not_rounded_away() -> None:
    share = Share(2_000_001, 10_000_000, 20)
    assert share.percent == 20.0
    assert share.exceeded(enabled=True, minimum=0)


def test_with_nobody_assigned_there_is_no_share_to_exceed() -> None:
    for limit in (0, 20, 100):
        share = Share(0, 0, limit)
        assert not share.exceeded(enabled=True, minimum=0)
        assert share.percent == 0.0


def test_a_limit_of_zero_holds_the_first_unassignment_and_a_limit_of_a_hundred_none() -> None:
    assert check(replace(QUIET, unassigned=1), Safeguard(max_unassigned_percent=0), ORG_OFF).reason is HeldFor.app_limit
    assert check(replace(QUIET, unassigned=100), Safeguard(max_unassigned_percent=100), ORG_OFF).reason is None


@pytest.mark.parametrize(("minimum", "applies"), [(0, True), (99, True), (100, True), (101, False)])
def test_a_limit_does_not_apply_where_its_denominator_is_below_its_minimum(minimum: int, applies: bool) -> None:
    everybody = replace(QUIET, unassigned=100, assigned_in_org=100)
    assert check(everybody, Safeguard(minimum_assignments=minimum), ORG_OFF).tripped is applies
    assert check(everybody, APP_OFF, OrgSafeguard(minimum_assignments=minimum)).tripped is applies


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    ("app_on", "org_on", "over_app", "over_org"),
    list(product([True, False], repeat=4)),
)
def test_the_two_limits_are_independent_each_with_its_own_switch(
    mode: Mode, app_on: bool, org_on: bool, over_app: bool, over_org: bool
) -> None:
    tally = replace(QUIET, mode=mode, unassigned=30, assigned=100 if over_app else 1000, assigned_in_org=100 if over_org else 1000)
    verdict = check(tally, Safeguard(enabled=app_on), OrgSafeguard(enabled=org_on))
    if app_on and over_app:
        assert verdict.reason is HeldFor.app_limit
    elif org_on and over_org:
        assert verdict.reason is HeldFor.org_limit
    else:
        assert verdict.reason is None
    assert verdict.tripped is ((app_on and over_app) or (org_on and over_org))


@pytest.mark.parametrize(("app_limit", "org_limit", "reason"), [(10, 90, "app_limit"), (90, 10, "org_limit"), (90, 90, None)])
def test_each_limit_has_its_own_percentage(app_limit: int, org_limit: int, reason: str | None) -> None:
    tally = replace(QUIET, unassigned=50, assigned_in_org=100)
    assert check(tally, Safeguard(max_unassigned_percent=app_limit), OrgSafeguard(max_unassigned_percent=org_limit)).reason == reason


def test_the_verdict_names_both_shares_whatever_the_reason() -> None:
    for unassigned, tripped in ((10, False), (30, True)):
        verdict = check(
            replace(QUIET, unassigned=unassigned, assigned_in_org=240),
            Safeguard(),
            OrgSafeguard(max_unassigned_percent=50),
        )
        assert verdict.tripped is tripped
        assert (verdict.app, verdict.org) == (Share(unassigned, 100, 20), Share(unassigned, 240, 50))
    assert (verdict.app.percent, verdict.org.percent) == (30.0, 12.5)


def test_a_share_is_shown_to_two_places() -> None:
    assert Share(1, 3, 20).percent == 33.33
    assert Share(2, 3, 20).percent == 66.67


EMPTY = replace(QUIET, records=0)


@pytest.mark.parametrize(
    ("mode", "records", "assigned", "waiting", "allow_empty"),
    list(product(Mode, (0, 1), (0, 5), (0, 5), (True, False))),
)
def test_a_full_run_without_any_record_is_held_even_where_the_safeguard_is_off(
    mode: Mode, records: int, assigned: int, waiting: int, allow_empty: bool
) -> None:
    tally = replace(QUIET, mode=mode, records=records, assigned=assigned, waiting=waiting, allow_empty=allow_empty)
    held = mode is Mode.FULL and records == 0 and (assigned > 0 or waiting > 0) and not allow_empty
    for app, org in ((Safeguard(), OrgSafeguard()), (APP_OFF, ORG_OFF)):
        assert check(tally, app, org).reason is (HeldFor.empty_snapshot if held else None)


def test_allowing_an_empty_snapshot_lifts_that_rule_and_only_that_one() -> None:
    everybody = replace(EMPTY, unassigned=100, absences=100, allow_empty=True)
    assert check(everybody, Safeguard(), OrgSafeguard()).reason is HeldFor.app_limit
    assert check(everybody, APP_OFF, OrgSafeguard(max_unassigned_percent=5)).reason is HeldFor.org_limit
    assert check(replace(QUIET, unidentified=1, absences=1, allow_empty=True), APP_OFF, ORG_OFF).reason is HeldFor.unidentified_records
    assert check(everybody, APP_OFF, ORG_OFF).reason is None


@pytest.mark.parametrize(
    ("mode", "unidentified", "absences", "tolerated", "on"),
    list(product(Mode, (0, 1, 2, 3), (0, 1, 50), (0, 1, 2), (True, False))),
)
def test_rows_without_a_usable_external_id_hold_a_full_run_that_would_conclude_any_absence(
    mode: Mode, unidentified: int, absences: int, tolerated: int, on: bool
) -> None:
    tally = replace(QUIET, mode=mode, unidentified=unidentified, absences=absences)
    held = mode is Mode.FULL and absences > 0 and unidentified > tolerated
    verdict = check(tally, Safeguard(enabled=on, tolerate_unidentified=tolerated), OrgSafeguard(enabled=on))
    assert verdict.reason is (HeldFor.unidentified_records if held else None)


def test_the_reason_told_is_the_one_that_explains_the_others() -> None:
    everything = replace(EMPTY, unidentified=1, absences=100, unassigned=100, assigned_in_org=100)
    steps = [
        (everything, Safeguard(), "empty_snapshot"),
        (replace(everything, records=1), Safeguard(), "unidentified_records"),
        (replace(everything, records=1, unidentified=0), Safeguard(), "app_limit"),
        (replace(everything, records=1, unidentified=0), APP_OFF, "org_limit"),
    ]
    for tally, app, reason in steps:
        assert check(tally, app, OrgSafeguard()).reason == reason
