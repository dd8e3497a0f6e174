"""Who is right about a person: ranks, authority, releases, and words that are not followed (SPEC §3)."""

from typing import Any

import pytest
from sqlalchemy import select

from mastering import assignments, holds, masters
from mastering.clock import now
from mastering.holds import Terms
from mastering.rules.policy import Confirmation, Mastering, WhenDeactivated
from mastering.store import catalog
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.store.tables import Finding
from tests.walks.imports_world import ADMIN, World, calm, master, person

RETURNS = master(suspended=True, deactivated=True)
NOTHING = master(WhenDeactivated.DO_NOTHING, suspended=True, deactivated=True)
NO_MASTER = Mastering(enabled=False, reactivate_suspended=True, reactivate_deactivated=True)
HOW = ["missing", "inactive"]


def jane(external_id: str = "E1", **more: Any) -> dict[str, Any]:
    """A record of one and the same person, under some app's id of hers."""
    return person(external_id, **{"email": "jane@x.org", "firstName": "Jane", "lastName": "Doe", **more})


def two_masters(org: World, upper: Mastering = RETURNS, lower: Mastering = RETURNS) -> tuple[str, str, str]:
    """HR above AD, both with an active account of Jane; the two apps and Jane."""
    hr, ad = org.app("HR", calm(mastering=upper)), org.app("AD", calm(mastering=lower))
    org.send(hr, [jane("E1", title="by HR")])
    org.send(ad, [jane("a1", title="by AD")])
    return hr, ad, org.user_of(hr, "E1").id


def findings(org: World) -> list[tuple[str, str, str]]:
    with reading(org.engine) as session:
        return [(row.user_id, row.trigger, row.cause) for row in session.execute(select(Finding)).scalars()]


# -- who has authority ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [[], [jane("a1", active=False)]], ids=HOW)
@pytest.mark.parametrize("when", [WhenDeactivated.DEACTIVATE, WhenDeactivated.SUSPEND])
def test_a_lower_masters_word_changes_its_own_account_and_nothing_else(
    org: World, gone: list[dict[str, Any]], when: WhenDeactivated
) -> None:
    _hr, ad, user_id = two_masters(org, lower=master(when))
    before = org.user(user_id)
    run = org.send(ad, gone, allow_empty=True)
    row, account, user = org.change(run, "a1"), org.account(ad, "a1"), org.user(user_id)
    assert (row.action, row.trigger, row.reason, row.from_status, row.to_status) == ("none", None, "not_authority", "ACTIVE", "ACTIVE")
    assert (account.account, account.released) == ("INACTIVE" if gone else "MISSING", False)
    assert (user.status, user.profile) == (before.status, before.profile)
    assert (account.unheeded, account.unheeded_reason) == (when.value.lower(), "not_authority")
    told = load(org.events(user_id)[-1].body)
    assert (told["type"], told["reason"], told["authority"]) == (f"account.{account.account.lower()}", "not_authority", _hr)


def test_an_inactive_account_of_the_highest_master_still_speaks_so_that_nobody_below_brings_the_person_back(org: World) -> None:
    hr, ad, user_id = two_masters(org)
    org.send(hr, [jane("E1", active=False)])
    org.send(ad, [], allow_empty=True)
    run = org.send(ad, [jane("a1")])
    assert (org.change(run, "a1").situation, org.change(run, "a1").reason) == ("CAME_BACK", "not_authority")
    assert (org.user(user_id).status, org.user(user_id).profile["title"]) == ("DEACTIVATED", "by HR")
    (voice,) = [each for each in masters.masters_of(org.engine, now(), user_id).voices if each.authority]
    assert voice.account.app_id == hr
    assert "unassign" in (voice.way_out or "").lower()


def test_unassigning_the_dead_account_is_the_way_out(org: World) -> None:
    hr, ad, user_id = two_masters(org)
    org.send(hr, [], allow_empty=True)
    org.send(ad, [], allow_empty=True)
    assignments.unassign(org.engine, ADMIN, now(), hr, user_id)
    assert org.user(user_id).status == "DEACTIVATED", "a release never changes the status by itself"
    org.send(ad, [jane("a1", title="by AD")])
    assert (org.user(user_id).status, org.user(user_id).profile["title"]) == ("ACTIVE", "by AD")


def test_the_word_of_a_lower_master_is_followed_once_it_is_the_authority(org: World) -> None:
    hr, ad, user_id = two_masters(org, upper=NOTHING)
    org.send(hr, [], allow_empty=True)
    org.send(ad, [], allow_empty=True)
    assert org.user(user_id).status == "DEACTIVATED"


def test_a_link_of_this_very_decision_counts_before_it_is_asked_who_has_authority(org: World) -> None:
    hr, ad = org.app("HR", calm(mastering=RETURNS)), org.app("AD", calm(mastering=RETURNS))
    org.send(ad, [jane("a1", title="by AD")])
    user_id = org.user_of(ad, "a1").id
    org.act(user_id, "suspend")
    run = org.send(hr, [jane("E1", title="by HR")])
    row = org.change(run, "E1")
    assert (row.action, row.trigger, row.authority) == ("link", "unsuspend", hr)
    assert (org.user(user_id).status, org.user(user_id).profile["title"]) == ("ACTIVE", "by HR")


def test_a_lower_masters_new_link_links_and_changes_neither_status_nor_profile(org: World) -> None:
    hr, ad = org.app("HR", calm(mastering=RETURNS)), org.app("AD", calm(mastering=RETURNS))
    org.send(hr, [jane("E1", title="by HR")])
    user_id = org.user_of(hr, "E1").id
    org.act(user_id, "suspend")
    run = org.send(ad, [jane("a1", title="by AD")])
    assert (org.change(run, "a1").action, org.change(run, "a1").trigger, org.change(run, "a1").reason) == ("link", None, "not_authority")
    assert (org.user(user_id).status, org.user(user_id).profile["title"]) == ("SUSPENDED", "by HR")
    assert (org.account(ad, "a1").unheeded, org.account(ad, "a1").unheeded_reason) == ("unsuspend", "not_authority")


# -- released -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [[], [jane("E1", active=False)]], ids=HOW)
def test_do_nothing_releases_and_the_next_masters_last_profile_is_mapped_at_once(org: World, gone: list[dict[str, Any]]) -> None:
    hr, ad, user_id = two_masters(org, upper=NOTHING)
    assert org.user(user_id).profile["title"] == "by HR"
    run = org.send(hr, gone, allow_empty=True)
    row = org.change(run, "E1")
    assert (row.action, row.trigger, load(row.effect)["new"]) == ("release", None, {"title": "by AD"})
    user = org.user(user_id)
    assert (user.status, user.profile["title"], org.account(hr, "E1").released, org.account(ad, "a1").released) == (
        "ACTIVE",
        "by AD",
        True,
        False,
    )
    assert org.kinds(user_id)[-2:] == ["account.release", "user.update"]


def test_the_last_values_stay_where_the_next_masters_account_is_not_active(org: World) -> None:
    hr, ad, user_id = two_masters(org, upper=NOTHING)
    org.send(ad, [], allow_empty=True)
    org.send(hr, [], allow_empty=True)
    assert (org.user(user_id).profile["title"], org.user(user_id).status) == ("by HR", "ACTIVE")


@pytest.mark.parametrize("gone", [[], [jane("a1", active=False)]], ids=HOW)
def test_do_nothing_releases_whether_or_not_the_app_has_authority(org: World, gone: list[dict[str, Any]]) -> None:
    _hr, ad, user_id = two_masters(org, lower=NOTHING)
    run = org.send(ad, gone, allow_empty=True)
    assert (org.change(run, "a1").action, org.change(run, "a1").reason) == ("release", None)
    assert (org.account(ad, "a1").released, org.user(user_id).profile["title"]) == (True, "by HR")


def test_a_hold_does_not_stop_a_release(org: World) -> None:
    hr, _ad, user_id = two_masters(org, upper=NOTHING)
    holds.set_hold(org.engine, ADMIN, now(), user_id, Terms("legal hold", None))
    org.send(hr, [], allow_empty=True)
    assert (org.account(hr, "E1").released, org.user(user_id).profile["title"], org.user(user_id).status) == (True, "by AD", "ACTIVE")


@pytest.mark.parametrize("status", ["PENDING_ACTIVATION", "ACTIVE", "SUSPENDED", "DEACTIVATED"])
def test_a_release_never_changes_the_status_by_itself(org: World, status: str) -> None:
    hr = org.app("HR", calm(mastering=NOTHING, confirmation=Confirmation(auto_confirm_new=True)))
    org.send(hr, [jane()])
    user_id = org.user_of(hr, "E1").id
    for act in {"PENDING_ACTIVATION": (), "ACTIVE": ("activate",), "SUSPENDED": ("activate", "suspend"), "DEACTIVATED": ("deactivate",)}[
        status
    ]:
        org.act(user_id, act)
    org.send(hr, [], allow_empty=True)
    assert (org.user(user_id).status, org.account(hr, "E1").released) == (status, True)


def test_a_released_account_is_watched_its_profile_stored_and_nothing_else(org: World) -> None:
    hr, _ad, user_id = two_masters(org)
    assignments.unassign(org.engine, ADMIN, now(), hr, user_id)
    assert org.user(user_id).profile["title"] == "by AD"
    run = org.send(hr, [jane("E1", title="still here")])
    assert (org.change(run, "E1").situation, org.change(run, "E1").action) == ("CHANGED", "none")
    assert (org.account(hr, "E1").profile["title"], org.account(hr, "E1").released) == ("still here", True)
    assert org.user(user_id).profile["title"] == "by AD"


def test_a_released_account_that_comes_back_is_assigned_again_and_has_its_say(org: World) -> None:
    hr, _ad, user_id = two_masters(org, upper=NOTHING)
    org.send(hr, [], allow_empty=True)
    org.act(user_id, "suspend")
    run = org.send(hr, [jane("E1", title="back at HR")])
    row = org.change(run, "E1")
    assert (row.situation, row.action, row.trigger, row.authority) == ("CAME_BACK", "link", "unsuspend", hr)
    assert (org.user(user_id).status, org.user(user_id).profile["title"], org.account(hr, "E1").released) == ("ACTIVE", "back at HR", False)


# -- no master ------------------------------------------------------------------------------------------------------------


def test_an_app_that_is_no_master_never_moves_a_status_nor_writes_to_a_user_who_is_there(org: World) -> None:
    files = org.app("Files", calm(mastering=NO_MASTER))
    user = org.by_hand("jane", email="jane@x.org", login="jane@x.org", title="by hand")
    run = org.send(files, [jane("f1", title="by Files")])
    assert (org.change(run, "f1").action, org.user_of(files, "f1").id) == ("link", user.id)
    assert org.user(user.id).profile["title"] == "by hand"
    org.send(files, [jane("f1", title="again")])
    assert org.user(user.id).profile["title"] == "by hand"
    run = org.send(files, [], allow_empty=True)
    assert (org.change(run, "f1").reason, org.user(user.id).status, org.account(files, "f1").account) == (
        "not_authority",
        "ACTIVE",
        "MISSING",
    )
    org.act(user.id, "suspend")
    run = org.send(files, [jane("f1")])
    assert (org.change(run, "f1").reason, org.user(user.id).status) == ("not_authority", "SUSPENDED")


def test_an_app_that_is_no_master_releases_by_its_own_option(org: World) -> None:
    files = org.app("Files", calm(mastering=Mastering(when_deactivated=WhenDeactivated.DO_NOTHING)))
    org.send(files, [jane("f1")])
    run = org.send(files, [], allow_empty=True)
    assert (org.change(run, "f1").action, org.account(files, "f1").released) == ("release", True)


def test_without_a_master_the_directory_itself_masters_the_user(org: World) -> None:
    files = org.app("Files", calm(mastering=NO_MASTER))
    org.send(files, [jane("f1", title="by Files")])
    view = masters.masters_of(org.engine, now(), org.user_of(files, "f1").id)
    assert view.authority is None
    assert not any(attribute.read_only for attribute in view.attributes.values())


# -- standing disagreement --------------------------------------------------------------------------------------------------


def test_when_the_higher_master_lets_go_the_lower_ones_unheeded_word_becomes_a_finding_in_that_transaction_and_is_not_acted_on(
    org: World,
) -> None:
    hr, ad, user_id = two_masters(org, upper=NOTHING)
    org.send(ad, [], allow_empty=True)
    assert findings(org) == []
    run = org.send(hr, [], allow_empty=True)
    assert findings(org) == [(user_id, "deactivate", "not_authority")]
    assert org.user(user_id).status == "ACTIVE"
    release, finding = [event for event in org.events(user_id) if event.type in {"account.release", "finding.made"}]
    assert (release.type, finding.type, release.run_id, finding.run_id, release.at) == (
        "account.release",
        "finding.made",
        run.id,
        run.id,
        finding.at,
    )


def test_a_word_that_the_master_takes_back_is_no_disagreement_any_more(org: World) -> None:
    hr, ad, user_id = two_masters(org, upper=NOTHING)
    org.send(ad, [], allow_empty=True)
    org.send(ad, [jane("a1")])
    assert org.account(ad, "a1").unheeded is None
    org.send(hr, [], allow_empty=True)
    assert (findings(org), org.user(user_id).status) == ([], "ACTIVE")


def test_a_word_that_was_heard_and_not_followed_stays_visible_on_the_user(org: World) -> None:
    _hr, ad, user_id = two_masters(org)
    org.send(ad, [], allow_empty=True)
    org.send(ad, [jane("a1", active=False, title="other content")])
    (standing,) = masters.masters_of(org.engine, now(), user_id).disagreements
    assert (standing.account.app_id, standing.trigger, standing.reason) == (ad, "deactivate", "not_authority")


@pytest.mark.parametrize("obstacle", ["login taken", "failing expression"])
def test_a_successors_rejected_profile_is_tried_again_with_its_next_record_though_that_says_nothing_new(org: World, obstacle: str) -> None:
    hr, ad, user_id = two_masters(org, upper=NOTHING)
    other = org.by_hand("other", login="new@x.org")
    said = jane("a1", title="by AD", email="new@x.org" if obstacle == "login taken" else "jane@x.org")
    org.send(ad, [said])
    if obstacle == "failing expression":
        set_title(org, ad, "Convert.toInt(appuser.title)")
    run = org.send(hr, [], allow_empty=True)
    assert "rejected" in (org.change(run, "E1").detail or "")
    assert (org.user(user_id).profile["title"], org.account(hr, "E1").released) == ("by HR", True)
    org.rename(other.id, "gone@x.org")
    set_title(org, ad, "appuser.title")
    org.send(ad, [said])
    assert (org.user(user_id).profile["title"], org.user(user_id).login) == ("by AD", said["profile"]["email"])
    assert org.situations(org.send(ad, [said])) == {"UNCHANGED": 1}


def set_title(org: World, app_id: str, expression: str) -> None:
    """Have the title come from an expression, without what the catalog walk does besides."""
    with writing(org.engine) as session:
        row = catalog.inbound_mapping(session, app_id)
        row.properties = dump({**load(row.properties), "title": {"expression": expression, "pushStatus": "PUSH"}})
        session.add(row)
