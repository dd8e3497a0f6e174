"""The ranked list of masters, and what follows at once when it, a mapping or a username format changes (SPEC §§3, 4)."""

from typing import Any

import pytest

from mastering import users
from mastering.catalog import apps, mappings, policies, ranks
from mastering.catalog.mappings import Edit
from mastering.clock import now
from mastering.errors import AttributeMastered, Invalid
from mastering.rules.policy import ImportPolicy, Mastering, Username, UsernameFormat
from mastering.store import tables
from mastering.store.documents import load
from tests.walks.imports_world import ADMIN, World, calm, master, person

ACTIVE, INACTIVE = tables.AppStatus.ACTIVE, tables.AppStatus.INACTIVE
NO_MASTER = Mastering(enabled=False)


def order(org: World) -> list[str]:
    return [one.label for one in ranks.read(org.engine)]


def switch(org: World, app_id: str, status: tables.AppStatus) -> None:
    apps.set_status(org.engine, ADMIN, now(), app_id, status)


def save(org: World, app_id: str, policy: ImportPolicy) -> None:
    policies.replace(org.engine, ADMIN, now(), app_id, policy)


def masters(org: World, *labels: str) -> list[str]:
    return [org.app(label, calm()) for label in labels]


def said(title: str, external_id: str = "E1", **more: Any) -> dict[str, Any]:
    """A record of one and the same person in whichever app."""
    return person(external_id, **{"email": "jane@x.org", "firstName": "Jane", "lastName": "Doe", "title": title, **more})


def told_by_two(org: World) -> tuple[str, str, str]:
    """A person whom two masters tell different things of; the apps, the higher first, and the user."""
    hr, ad = masters(org, "HR", "AD")
    org.send(hr, [said("by HR")])
    org.send(ad, [said("by AD")])
    return hr, ad, org.user_of(hr, "E1").id


# -- who ranks where ----------------------------------------------------------------------------------------------------------


def test_a_newly_enabled_master_goes_last(org: World) -> None:
    masters(org, "A", "B")
    plain = org.app("C", calm(mastering=NO_MASTER))
    assert order(org) == ["A", "B"]
    save(org, plain, calm())
    assert order(org) == ["A", "B", "C"]


def test_a_master_that_comes_back_from_being_inactive_goes_last(org: World) -> None:
    first, *_ = masters(org, "A", "B", "C")
    switch(org, first, INACTIVE)
    assert order(org) == ["B", "C"]
    switch(org, first, ACTIVE)
    assert order(org) == ["B", "C", "A"]


@pytest.mark.parametrize("way", ["inactive", "not enabled"])
def test_an_app_that_is_inactive_or_no_master_ranks_nowhere_and_has_no_say(org: World, way: str) -> None:
    hr, ad, user = told_by_two(org)
    if way == "inactive":
        switch(org, hr, INACTIVE)
    else:
        save(org, hr, calm(mastering=NO_MASTER))
    assert (order(org), org.user(user).profile["title"]) == (["AD"], "by AD")
    org.delta(ad, [said("by AD", active=False)])
    assert org.user(user).status == "DEACTIVATED"


def test_saving_the_same_policy_again_changes_no_rank(org: World) -> None:
    first, *_ = masters(org, "A", "B")
    save(org, first, calm(mastering=master(suspended=True)))
    assert order(org) == ["A", "B"]


def test_an_order_names_exactly_the_enabled_masters_or_is_refused_and_changes_nothing(org: World) -> None:
    a, b = masters(org, "A", "B")
    plain = org.app("C", calm(mastering=NO_MASTER))
    for wanted in ([a], [a, a], [a, b, plain], [a, b, "0oaUnknown"], []):
        with pytest.raises(Invalid):
            ranks.reorder(org.engine, ADMIN, now(), wanted)
        assert order(org) == ["A", "B"]
    ranks.reorder(org.engine, ADMIN, now(), [b, a])
    assert order(org) == ["B", "A"]


# -- what follows -------------------------------------------------------------------------------------------------------------


def test_a_new_order_maps_profiles_at_once_with_history_and_moves_no_status(org: World) -> None:
    hr, ad, user = told_by_two(org)
    org.delta(ad, [said("by AD", active=False)])
    org.delta(ad, [said("by AD again", active=True)])
    ranks.reorder(org.engine, ADMIN, now(), [ad, hr])
    assert (org.user(user).profile["title"], org.user(user).status) == ("by AD again", "ACTIVE")
    event = org.events(user)[-1]
    assert (event.type, load(event.body)["authority"]) == ("user.remaster", ad)
    assert load(event.values_json or "")["attributes"] == {"title": {"old": "by HR", "new": "by AD again"}}


def test_a_new_order_moves_nobody_even_if_the_new_authority_says_they_left(org: World) -> None:
    hr, ad, user = told_by_two(org)
    org.delta(ad, [said("by AD", active=False)])
    ranks.reorder(org.engine, ADMIN, now(), [ad, hr])
    assert (org.user(user).status, org.user(user).profile["title"]) == ("ACTIVE", "by HR")
    assert org.situations(org.delta(ad, [said("by AD", active=False)])) == {"UNCHANGED": 1}
    assert org.user(user).status == "ACTIVE"


@pytest.mark.parametrize("status", ["PENDING_ACTIVATION", "ACTIVE", "SUSPENDED", "DEACTIVATED"])
def test_switching_a_master_off_and_on_moves_no_status(org: World, status: str) -> None:
    hr, _, user = told_by_two(org)
    for act in {"SUSPENDED": ["suspend"], "DEACTIVATED": ["deactivate"]}.get(status, []):
        org.act(user, act)
    before = org.user(user).status
    switch(org, hr, INACTIVE)
    assert (org.user(user).status, org.user(user).profile["title"]) == (before, "by HR" if status == "DEACTIVATED" else "by AD")
    switch(org, hr, ACTIVE)
    assert org.user(user).status == before


def test_who_would_get_a_login_that_is_taken_keeps_the_whole_old_profile_and_is_told_of(org: World) -> None:
    hr, ad, user = told_by_two(org)
    org.send(ad, [said("by AD", email="taken@x.org")])
    org.by_hand("squatter", login="taken@x.org")
    ranks.reorder(org.engine, ADMIN, now(), [ad, hr])
    assert (org.user(user).profile["title"], org.user(user).login, org.kinds(user)[-1]) == ("by HR", "jane@x.org", "user.remaster.rejected")
    assert "login" in load(org.events(user)[-1].values_json or "")["faults"][0]


def test_a_saved_mapping_maps_the_users_of_its_app_again(org: World) -> None:
    hr, _, user = told_by_two(org)
    mapping = mappings.page(org.engine, hr, None, "", 1)[0]
    mappings.update(org.engine, ADMIN, now(), mapping.id, {"title": Edit("String.toUpperCase(appuser.title)")})
    assert org.user(user).profile["title"] == "BY HR"
    assert org.situations(org.send(hr, [said("by HR")])) == {"UNCHANGED": 1}


def test_a_saved_username_format_maps_logins_again(org: World) -> None:
    hr, _, user = told_by_two(org)
    save(org, hr, calm(username=Username(UsernameFormat.CUSTOM, "String.toLowerCase(appuser.lastName) + '@x.org'")))
    assert (org.user(user).login, org.kinds(user)[-1]) == ("doe@x.org", "user.remaster")


# -- what an admin may write --------------------------------------------------------------------------------------------------


def test_while_the_authoritys_account_is_gone_an_admin_may_correct_and_the_master_speaks_again_when_it_is_back(org: World) -> None:
    hr = org.app("HR", calm(mastering=master(suspended=True)))
    org.send(hr, [said("by HR"), person("X")])
    user = org.user_of(hr, "E1").id
    with pytest.raises(AttributeMastered):
        users.update(org.engine, ADMIN, now(), user, {"title": "by hand"}, replace=False)
    org.send(hr, [person("X")])
    org.act(user, "activate")
    users.update(org.engine, ADMIN, now(), user, {"title": "by hand"}, replace=False)
    org.delta(hr, [person("X", title="other")])
    assert org.user(user).profile["title"] == "by hand"
    org.send(hr, [said("by HR"), person("X")])
    assert (org.user(user).profile["title"], org.user(user).status) == ("by HR", "ACTIVE")
