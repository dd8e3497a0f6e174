"""What an app said of a person, kept merged, and what of it reaches the person (SPEC §4)."""

from typing import Any

import pytest

from mastering.rules.policy import ImportPolicy, Mastering
from mastering.rules.schema import AttributeMaster, MasterKind, default_schema
from mastering.store import catalog
from mastering.store.documents import dump
from mastering.store.engine import writing
from tests.walks.imports_world import World, calm, master, person


def partial(external_id: str, **profile: Any) -> dict[str, Any]:
    """A record that carries these attributes and no others."""
    return {"externalId": external_id, "profile": profile}


def master_attribute(world: World, name: str, kind: MasterKind, *apps: str) -> None:
    """Have an attribute mastered otherwise, as an admin would over the schema."""
    schema = default_schema().with_master(name, AttributeMaster(kind, apps))
    with writing(world.engine) as session:
        row = catalog.org(session)
        row.user_schema = dump({"custom": [], "masters": {name: schema.attributes[name].master}})
        session.add(row)


@pytest.mark.parametrize(
    ("carried", "kept"),
    [
        ({}, "Sales"),
        ({"department": None}, None),
        ({"department": ""}, None),
        ({"department": "Legal"}, "Legal"),
        ({"department": " "}, " "),
    ],
)
def test_absent_keeps_null_clears_and_an_empty_text_is_null(org: World, carried: dict[str, Any], kept: str | None) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", department="Sales", title="Clerk")])
    run = org.send(hr, [partial("E1", title="Lead", **carried)])
    assert org.situations(run) == {"CHANGED": 1}
    assert (org.account(hr, "E1").profile["department"], org.user_of(hr, "E1").profile["department"]) == (kept, kept)
    assert org.user_of(hr, "E1").profile["title"] == "Lead"


def test_an_attribute_that_was_never_carried_keeps_the_value_it_has(org: World) -> None:
    hr = org.app("HR", calm())
    org.by_hand("e1", department="Sales")
    org.send(hr, [person("E1")])
    assert org.user_of(hr, "E1").profile["department"] == "Sales"
    org.send(hr, [person("E1", department=None)])
    assert org.user_of(hr, "E1").profile["department"] is None


@pytest.mark.parametrize("cleared", [None, ""])
def test_a_required_attribute_may_be_left_out_once_known_but_not_cleared(org: World, cleared: str | None) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    kept = org.user_of(hr, "E1")
    assert org.situations(org.send(hr, [partial("E1", title="Lead")])) == {"CHANGED": 1}
    run = org.send(hr, [partial("E1", title="Boss", lastName=cleared)])
    assert (org.change(run, "E1").situation, org.change(run, "E1").detail) == ("INVALID", "lastName: is required")
    assert org.user_of(hr, "E1").profile == {**kept.profile, "title": "Lead"}
    assert org.account(hr, "E1").profile["title"] == "Lead"


def test_an_inactive_record_is_stored_and_not_mapped(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", department="Sales")])
    org.send(hr, [person("E1", department="Alumni", active=False)])
    assert (org.account(hr, "E1").account, org.account(hr, "E1").profile["department"]) == ("INACTIVE", "Alumni")
    assert org.user_of(hr, "E1").profile["department"] == "Sales"
    run = org.send(hr, [person("E1", department="Gone", active=False)])
    assert (org.situations(run), org.account(hr, "E1").profile["department"]) == ({"CHANGED": 1}, "Gone")
    assert org.user_of(hr, "E1").profile["department"] == "Sales"


@pytest.mark.parametrize(
    ("broken", "detail"),
    [
        ({"countryCode": "GERMANY"}, "countryCode: has 7 characters, the most is 2"),
        ({"title": 7}, "title: must be text, not a whole number"),
        ({"email": None}, "email: is required"),
        ({"firstName": ["A"]}, "firstName: must be text, not a list"),
    ],
)
def test_one_invalid_value_rejects_the_whole_update_and_names_the_attribute(org: World, broken: dict[str, Any], detail: str) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", department="Sales")])
    run = org.send(hr, [person("E1", **{"department": "Legal", **broken})])
    row = org.change(run, "E1")
    assert (row.situation, row.action) == ("INVALID", "reject")
    assert detail in (row.detail or "")
    assert (org.user_of(hr, "E1").profile["department"], org.user_of(hr, "E1").status) == ("Sales", "ACTIVE")


def test_a_rejected_update_is_tried_again_with_the_next_record_though_nothing_changed_in_it(org: World) -> None:
    hr = org.app("HR", calm())
    other = org.by_hand("taken")
    org.send(hr, [person("E1", department="Sales")])
    record = person("E1", email="taken@example.com", department="Legal")
    for _ in range(2):
        row = org.change(org.send(hr, [record]), "E1")
        assert (row.situation, row.action, row.reason) == ("CHANGED", "reject", "login_taken")
        assert "login" in (row.detail or "")
        assert (org.user_of(hr, "E1").login, org.user_of(hr, "E1").profile["department"]) == ("e1@example.com", "Sales")
    org.rename(other.id, "free@example.com")
    assert org.situations(org.send(hr, [record])) == {"CHANGED": 1}
    assert (org.user_of(hr, "E1").login, org.user_of(hr, "E1").profile["department"]) == ("taken@example.com", "Legal")
    assert org.situations(org.send(hr, [record])) == {"UNCHANGED": 1}


def test_while_the_authoritys_account_is_inactive_the_last_values_stay_and_no_lower_master_is_asked(org: World) -> None:
    hr, ad = org.app("HR", calm(mastering=Mastering(enabled=True))), org.app("AD", calm())
    org.send(hr, [person("E1", department="Sales")])
    org.send(ad, [person("a1", email="e1@example.com", department="IT")])
    assert org.user_of(ad, "a1").profile["department"] == "Sales"
    org.send(hr, [person("E1", active=False)])
    org.send(ad, [person("a1", email="e1@example.com", department="Elsewhere")])
    assert org.user_of(ad, "a1").profile["department"] == "Sales"


def test_an_attribute_of_the_directorys_own_is_nobodys_to_import(org: World) -> None:
    hr = org.app("HR", calm())
    org.by_hand("e1", department="Board")
    master_attribute(org, "department", MasterKind.OKTA)
    org.send(hr, [person("E1", department="Sales", title="Clerk")])
    org.send(hr, [person("E1", department="Legal", title="Lead")])
    assert (org.user_of(hr, "E1").profile["department"], org.user_of(hr, "E1").profile["title"]) == ("Board", "Lead")


def test_an_overridden_attribute_comes_from_its_own_master_whoever_is_the_authority(org: World) -> None:
    hr, ad = org.app("HR", calm()), org.app("AD", calm())
    master_attribute(org, "mobilePhone", MasterKind.OVERRIDE, ad)
    org.send(hr, [person("E1", mobilePhone="1", department="Sales")])
    org.send(ad, [person("a1", email="e1@example.com", mobilePhone="2", department="IT")])
    assert seen(org, hr) == ("2", "Sales")
    org.send(hr, [person("E1", mobilePhone="3", department="Legal")])
    org.send(ad, [person("a1", email="e1@example.com", mobilePhone="4", department="Ops")])
    assert seen(org, hr) == ("4", "Legal")


def seen(world: World, app_id: str) -> tuple[Any, Any]:
    profile = world.user_of(app_id, "E1").profile
    return profile["mobilePhone"], profile["department"]


def test_an_app_that_is_no_master_supplies_the_profile_of_whom_it_creates_and_never_again(org: World) -> None:
    badge = org.app("Badge", calm(mastering=Mastering()))
    org.send(badge, [person("E1", department="Sales")])
    assert org.user_of(badge, "E1").profile["department"] == "Sales"
    run = org.send(badge, [person("E1", department="Legal")])
    assert (org.situations(run), org.account(badge, "E1").profile["department"]) == ({"CHANGED": 1}, "Legal")
    assert org.user_of(badge, "E1").profile["department"] == "Sales"


def test_a_deactivated_users_profile_is_updated_only_if_the_org_says_so(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", department="Sales")])
    org.send(hr, [person("E1", active=False)])
    org.send(hr, [person("E1", department="Legal")])  # comes back; the switch is off, so the user stays deactivated
    assert (org.user_of(hr, "E1").status, org.user_of(hr, "E1").profile["department"]) == ("DEACTIVATED", "Sales")
    org.set_org(enabled=False, update_deactivated_users=True)
    org.send(hr, [person("E1", department="Board")])
    assert (org.user_of(hr, "E1").status, org.user_of(hr, "E1").profile["department"]) == ("DEACTIVATED", "Board")


def test_the_default_policy_confirms_nothing(org: World) -> None:
    hr = org.app("HR", ImportPolicy())
    org.send(hr, [person("E1")])
    assert org.queue(hr) == {"E1": ("UNMATCHED", "unmatched", [])}
    assert org.by_login("e1@example.com") is None


@pytest.mark.parametrize("by", ["import", "a new link", "hand"])
def test_who_leaves_deactivated_gets_what_every_master_said_meanwhile(org: World, by: str) -> None:
    """The authority brings the person back; an attribute with a master of its own comes from that one, though it has nothing new to say."""
    hr, ad = org.app("HR", calm(mastering=master(deactivated=True))), org.app("AD", calm())
    master_attribute(org, "mobilePhone", MasterKind.OVERRIDE, ad)
    org.send(hr, [person("E1", mobilePhone="1", department="Sales")])
    org.send(ad, [person("a1", email="e1@example.com", mobilePhone="2")])
    user = org.user_of(hr, "E1").id
    if by == "hand":
        org.act(user, "deactivate")
    else:
        org.delta(hr, [person("E1", active=False)])
    org.send(ad, [person("a1", email="e1@example.com", mobilePhone="4")])
    assert (org.user(user).status, org.user(user).profile["mobilePhone"]) == ("DEACTIVATED", "2")
    if by == "hand":
        org.act(user, "activate")
    else:
        org.delta(hr, [person("E1" if by == "import" else "E2", email="e1@example.com", active=True)])
    assert (org.user(user).status, org.user(user).profile["mobilePhone"]) == ("ACTIVE", "4")
