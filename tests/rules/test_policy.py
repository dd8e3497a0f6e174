"""The "To Okta" page as a value: its defaults and what contradicts itself (SPEC §§5-9; API.md, import-policy)."""

import dataclasses
from dataclasses import asdict, replace
from itertools import product

import pytest

from mastering.rules.policy import (
    AttributePair,
    Csv,
    CsvActive,
    Firing,
    ImportPolicy,
    Matching,
    OrgSafeguard,
    ProvisioningPolicy,
    Safeguard,
    Username,
    UsernameFormat,
    WhenDeactivated,
    faults,
    org_faults,
)

PAIR = AttributePair("employeeNumber", "employeeNumber")


def test_a_new_app_has_the_documented_defaults() -> None:
    assert asdict(ImportPolicy()) == {
        "username": {"format": "EMAIL", "expression": None},
        "schedule": {"full": None, "incremental": None, "enabled": True},
        "matching": {"username": True, "email": False, "attributes": (), "allow_partial": False},
        "confirmation": {
            "auto_confirm_exact": False,
            "auto_confirm_partial": False,
            "auto_confirm_new": False,
            "auto_activate_new": False,
        },
        "mastering": {
            "enabled": False,
            "when_deactivated": "DEACTIVATE",
            "reactivate_suspended": False,
            "reactivate_deactivated": False,
        },
        "safeguard": {"enabled": True, "max_unassigned_percent": 20, "minimum_assignments": 0, "tolerate_unidentified": 0},
        "csv": {"external_id": "externalId", "active": {"column": "active", "values": ("true",)}, "delimiter": ","},
        "hook_id": None,
    }


def test_nothing_goes_out_to_a_new_app() -> None:
    assert asdict(ProvisioningPolicy()) == {
        "create_users": False,
        "update_attributes": False,
        "deactivate_users": False,
        "exclude_username_updates": False,
        "password": {"enabled": False, "seed": "RANDOM", "change": "KEEP_EXISTING"},
    }


def test_a_new_org_has_the_documented_defaults() -> None:
    assert asdict(OrgSafeguard()) == {
        "enabled": True,
        "max_unassigned_percent": 20,
        "minimum_assignments": 0,
        "update_deactivated_users": False,
        "held_plan_retention_days": 30,
        "received_retention_days": None,
    }


def test_a_schedule_is_read_in_utc_unless_it_names_a_time_zone() -> None:
    assert Firing("0 * * * *") == Firing("0 * * * *", "UTC")


def test_the_defaults_contradict_nothing() -> None:
    assert faults(ImportPolicy()) == []
    assert org_faults(OrgSafeguard()) == []


def test_the_options_are_spelled_as_on_the_wire() -> None:
    assert [(option.name, option.value) for option in WhenDeactivated] == [(name, name) for name in ("DO_NOTHING", "DEACTIVATE", "SUSPEND")]
    assert [(option.name, option.value) for option in UsernameFormat] == [("EMAIL", "EMAIL"), ("CUSTOM", "CUSTOM")]


def test_a_policy_is_a_value_that_nobody_edits() -> None:
    parts = [ImportPolicy(), OrgSafeguard(), *(getattr(ImportPolicy(), field.name) for field in dataclasses.fields(ImportPolicy))]
    for part in parts:
        if part is not None:
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(part, dataclasses.fields(part)[0].name, None)


@pytest.mark.parametrize(("username", "email", "by_attributes"), list(product([True, False], repeat=3)))
def test_matching_by_attributes_together_with_username_or_email_is_refused(username: bool, email: bool, by_attributes: bool) -> None:
    matching = Matching(username=username, email=email, attributes=(PAIR,) if by_attributes else ())
    found = faults(ImportPolicy(matching=matching))
    if by_attributes and (username or email):
        assert len(found) == 1
        assert found[0].startswith("matching.attributes: ")
    else:
        assert found == []


@pytest.mark.parametrize(("pairs", "refused"), [(10, False), (11, True)])
def test_there_are_ten_pairs_of_attributes_at_most(pairs: int, refused: bool) -> None:
    matching = Matching(username=False, attributes=(PAIR,) * pairs)
    assert faults(ImportPolicy(matching=matching)) == (["matching.attributes: at most 10 pairs"] if refused else [])


@pytest.mark.parametrize("pair", [AttributePair("", "employeeNumber"), AttributePair("employeeNumber", ""), AttributePair("", "")])
def test_a_pair_names_both_attributes(pair: AttributePair) -> None:
    (found,) = faults(ImportPolicy(matching=Matching(username=False, attributes=(PAIR, pair))))
    assert found.startswith("matching.attributes: each pair")


@pytest.mark.parametrize(
    ("format_", "expression", "refused"),
    [
        (UsernameFormat.EMAIL, None, False),
        (UsernameFormat.EMAIL, "appuser.email", True),
        (UsernameFormat.CUSTOM, "appuser.email", False),
        (UsernameFormat.CUSTOM, None, True),
        (UsernameFormat.CUSTOM, "", True),
        (UsernameFormat.CUSTOM, " \t", True),
    ],
)
def test_a_custom_username_has_an_expression_and_an_email_has_none(format_: UsernameFormat, expression: str | None, refused: bool) -> None:
    found = faults(ImportPolicy(username=Username(format_, expression)))
    assert [sentence.split(":")[0] for sentence in found] == (["username.expression"] if refused else [])


@pytest.mark.parametrize(("percent", "refused"), [(-1, True), (0, False), (20, False), (100, False), (101, True)])
def test_a_limit_is_a_percentage(percent: int, refused: bool) -> None:
    ends = ": must be from 0 to 100"
    of_app = faults(ImportPolicy(safeguard=Safeguard(max_unassigned_percent=percent)))
    of_org = org_faults(OrgSafeguard(max_unassigned_percent=percent))
    assert of_app == (["safeguard.maxUnassignedPercent" + ends] if refused else [])
    assert of_org == (["maxUnassignedPercent" + ends] if refused else [])


@pytest.mark.parametrize(("number", "refused"), [(-1, True), (0, False), (1_000_000, False)])
def test_a_minimum_and_a_tolerance_are_numbers_of_people(number: int, refused: bool) -> None:
    ends = ": must not be negative"
    of_app = faults(ImportPolicy(safeguard=Safeguard(minimum_assignments=number)))
    assert of_app == (["safeguard.minimumAssignments" + ends] if refused else [])
    assert org_faults(OrgSafeguard(minimum_assignments=number)) == (["minimumAssignments" + ends] if refused else [])
    tolerant = faults(ImportPolicy(safeguard=Safeguard(tolerate_unidentified=number)))
    assert tolerant == (["safeguard.tolerateUnidentified" + ends] if refused else [])


@pytest.mark.parametrize(("days", "refused"), [(0, True), (1, False), (3650, False), (3651, True)])
def test_held_plans_are_kept_for_a_day_at_least_and_not_for_ever(days: int, refused: bool) -> None:
    found = org_faults(OrgSafeguard(held_plan_retention_days=days))
    assert found == (["heldPlanRetentionDays: must be from 1 to 3650"] if refused else [])


@pytest.mark.parametrize(
    ("csv", "field"),
    [
        (Csv(external_id=""), "csv.externalId"),
        (Csv(external_id=()), "csv.externalId"),
        (Csv(external_id=("company", "")), "csv.externalId"),
        (Csv(external_id=("number", "company", "number")), "csv.externalId"),
        (Csv(delimiter=""), "csv.delimiter"),
        (Csv(delimiter=";;"), "csv.delimiter"),
        (Csv(delimiter='"'), "csv.delimiter"),
        (Csv(delimiter="\r"), "csv.delimiter"),
        (Csv(delimiter="\n"), "csv.delimiter"),
        (Csv(delimiter="\0"), "csv.delimiter"),
        (Csv(active=CsvActive(column="")), "csv.active"),
        (Csv(active=CsvActive(values=())), "csv.active"),
        (Csv(external_id="number"), None),
        (Csv(external_id=("company", "number")), None),
        (Csv(delimiter="\t"), None),
        (Csv(active=None), None),
        (Csv(active=CsvActive("state", ("employed", "on leave"))), None),
    ],
)
def test_a_csv_names_its_columns_and_one_character_between_them(csv: Csv, field: str | None) -> None:
    assert [sentence.split(":")[0] for sentence in faults(ImportPolicy(csv=csv))] == ([field] if field else [])


def test_every_fault_is_told_at_once() -> None:
    policy = replace(
        ImportPolicy(),
        matching=Matching(attributes=(PAIR,)),
        username=Username(UsernameFormat.CUSTOM),
        safeguard=Safeguard(max_unassigned_percent=101, minimum_assignments=-1, tolerate_unidentified=-1),
        csv=Csv("", CsvActive(""), ""),
    )
    assert [sentence.split(":")[0] for sentence in faults(policy)] == [
        "matching.attributes",
        "username.expression",
        "safeguard.maxUnassignedPercent",
        "safeguard.minimumAssignments",
        "safeguard.tolerateUnidentified",
        "csv.externalId",
        "csv.delimiter",
        "csv.active",
    ]
