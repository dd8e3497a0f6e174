"""What the masters' last imported profiles say a user's profile is (SPEC §4)."""

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from mastering.rules.lifecycle import Status
from mastering.rules.mapping import MappingRule, compile_mapping, compile_username, default_rules
from mastering.rules.people import Account, User
from mastering.rules.policy import UsernameFormat
from mastering.rules.profile import Source, Sources, mastered, moved_login, supplied
from mastering.rules.record import AccountState
from mastering.rules.schema import AttributeMaster, MasterKind, Schema, default_schema

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BEFORE = "2026-01-01T00:00:00.000Z"
ACTIVE, INACTIVE, MISSING = AccountState.ACTIVE, AccountState.INACTIVE, AccountState.MISSING
JANE = {
    "login": "jane@example.com",
    "email": "jane@example.com",
    "firstName": "Jane",
    "lastName": "Doe",
    "department": "Sales",
    "title": "Rep",
}


def sources(
    ranking: tuple[str, ...] = ("hr", "ad"),
    schema: Schema | None = None,
    *,
    update_deactivated: bool = False,
    **mappings: list[MappingRule],
) -> Sources:
    schema = schema or default_schema()
    username = compile_username(UsernameFormat.EMAIL, None)
    apps = {app: Source(compile_mapping(mappings.get(app, default_rules(schema)), schema), username) for app in ranking}
    return Sources(ranking, apps, schema, update_deactivated, NOW)


def account(app: str, account: AccountState = ACTIVE, *, released: bool = False, seen_active: bool = True, **profile: Any) -> Account:
    whole = {"email": "jane@example.com", "firstName": "Jane", "lastName": "Doe", **profile}
    return Account(f"in-{app}", app, "E1", account, whole, BEFORE, BEFORE, "jane", released=released, seen_active=seen_active)


def jane(*links: Account, status: Status = Status.ACTIVE) -> User:
    return User("jane", status, "jane@example.com", dict(JANE), BEFORE, BEFORE, links=list(links))


def test_the_authority_supplies_the_profile_and_lower_masters_do_not() -> None:
    user = jane(account("ad", department="IT", title="Admin"), account("hr", department="Legal"))
    assert mastered(sources(), user).new == {"department": "Legal"}


def test_there_is_no_fall_through_a_null_from_the_authority_is_null() -> None:
    user = jane(account("hr", department=None), account("ad", department="IT"))
    assert mastered(sources(), user).new == {"department": None}


def test_an_attribute_the_authority_never_carried_keeps_its_value() -> None:
    assert "title" not in mastered(sources(), jane(account("hr"), account("ad", title="Admin"))).new


@pytest.mark.parametrize("state", [INACTIVE, MISSING])
def test_while_the_authoritys_account_is_not_active_the_last_values_stay_and_nobody_else_is_asked(state: AccountState) -> None:
    user = jane(account("hr", state, department="Legal"), account("ad", department="IT"))
    assert mastered(sources(), user).new == {}
    assert supplied(sources(), user) == {}


@pytest.mark.parametrize(("released", "seen_active"), [(True, True), (False, False), (True, False)])
def test_a_link_that_is_no_assignment_supplies_nothing(released: bool, seen_active: bool) -> None:
    user = jane(account("hr", released=released, seen_active=seen_active, department="Legal"), account("ad", department="IT"))
    assert mastered(sources(), user).new == {"department": "IT"}


def test_without_a_master_the_directory_masters_the_user() -> None:
    user = jane(account("badge", department="Gate"))
    assert mastered(sources(), user).new == {}
    assert supplied(sources(), user) == {}


@pytest.mark.parametrize(("status", "option"), list(product(Status, [True, False])))
def test_only_a_deactivated_users_profile_is_left_alone_unless_the_org_says_otherwise(status: Status, option: bool) -> None:
    new = mastered(sources(update_deactivated=option), jane(account("hr", department="Legal"), status=status)).new
    assert bool(new) is (status is not Status.DEACTIVATED or option)


def test_an_attribute_inherited_from_the_directory_is_the_admins() -> None:
    own = default_schema().with_master("department", AttributeMaster(MasterKind.OKTA))
    user = jane(account("hr", department="Legal", title="Counsel"))
    assert mastered(sources(schema=own), user).new == {"title": "Counsel"}
    assert "department" not in supplied(sources(schema=own), user)


def test_an_override_asks_its_own_list_whoever_has_authority() -> None:
    own = default_schema().with_master("department", AttributeMaster(MasterKind.OVERRIDE, ("ad", "hr")))
    user = jane(account("hr", department="Legal", title="Counsel"), account("ad", department="IT", title="Admin"))
    assert mastered(sources(schema=own), user).new == {"department": "IT", "title": "Counsel"}
    assert {name: link.app_id for name, link in supplied(sources(schema=own), user).items() if link.app_id == "ad"} == {"department": "ad"}


def test_an_override_falls_to_the_next_of_its_list_only_where_there_is_no_assignment() -> None:
    own = default_schema().with_master("department", AttributeMaster(MasterKind.OVERRIDE, ("ad", "hr")))
    gone = jane(account("hr", department="Legal"), account("ad", MISSING, department="IT"))
    released = jane(account("hr", department="Legal"), account("ad", MISSING, released=True, department="IT"))
    assert mastered(sources(schema=own), gone).new == {}
    assert mastered(sources(schema=own), released).new == {"department": "Legal"}


def test_an_override_does_not_hear_an_app_that_masters_no_users() -> None:
    own = default_schema().with_master("department", AttributeMaster(MasterKind.OVERRIDE, ("badge",)))
    user = jane(account("hr", department="Legal"), account("badge", department="Gate"))
    assert mastered(sources(schema=own), user).new == {}


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"firstName": None}, "firstName"),
        ({"email": None}, "login"),
        ({"department": 7}, "department"),
        ({"countryCode": "GER"}, "countryCode"),
    ],
)
def test_one_invalid_value_rejects_the_whole_update_and_names_the_attribute(told: dict[str, Any], field: str) -> None:
    update = mastered(sources(), jane(account("hr", **{"title": "Counsel", **told})))
    assert update.faults
    assert update.faults[0].startswith(f"{field}: ")


def test_an_expression_that_fails_rejects_the_update() -> None:
    rules = [MappingRule("title", "Convert.toInt(appuser.grade)"), MappingRule("email", "appuser.email")]
    update = mastered(sources(hr=rules), jane(account("hr", grade="seven")))
    assert (update.new, len(update.faults)) == ({}, 1)
    assert update.faults[0].startswith("title: ")


def test_what_is_given_only_at_creation_is_not_given_again() -> None:
    rules = [MappingRule("email", "appuser.email"), MappingRule("title", "appuser.title", create_only=True)]
    assert mastered(sources(hr=rules), jane(account("hr", title="Counsel"))).new == {}


def test_the_login_follows_the_username_format_and_moves_only_for_who_compares_it() -> None:
    update = mastered(sources(), jane(account("hr", email="jane.doe@example.com")))
    assert update.new["login"] == "jane.doe@example.com"
    assert moved_login(jane(), update.new) == "jane.doe@example.com"
    assert moved_login(jane(), {"login": "JANE@example.com"}) is None
    assert moved_login(jane(), {"title": "Counsel"}) is None
