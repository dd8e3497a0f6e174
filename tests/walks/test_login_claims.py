"""Who gets a login when a run gives and takes them (SPEC §4): free once every update is made, and claimed once."""

from itertools import permutations
from typing import Any

import pytest

from mastering.review import Verdict
from mastering.rules.policy import Confirmation, Matching, Username, UsernameFormat
from tests.walks.imports_world import World, calm, person

BY_UPN = Username(UsernameFormat.CUSTOM, "appuser.upn")
WAITING = Confirmation()


def upn(external_id: str, login: str, **more: Any) -> dict[str, Any]:
    """A record whose login is said by an attribute of its own, so that e-mail and login go different ways."""
    return person(external_id, upn=login, **more)


def seed(world: World, *logins: str) -> str:
    """An app with one linked person for each login: E1, E2, …"""
    app_id = world.app("HR", calm(username=BY_UPN, matching=Matching(username=False, email=True)))
    world.send(app_id, [upn(f"E{number}", f"{login}@x.org") for number, login in enumerate(logins, 1)])
    return app_id


def logins(world: World, app_id: str, count: int) -> list[str]:
    return [world.user_of(app_id, f"E{number}").login.removesuffix("@x.org") for number in range(1, count + 1)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_chain_of_renames_ends_well_in_any_order(org: World, order: tuple[int, ...]) -> None:
    hr = seed(org, "ann", "bob", "cid")
    records = [upn("E1", "bob@x.org"), upn("E2", "cid@x.org"), upn("E3", "dan@x.org")]
    run = org.send(hr, [records[at] for at in order])
    assert (org.situations(run), logins(org, hr, 3)) == ({"CHANGED": 3}, ["bob", "cid", "dan"])


def test_two_people_swap_their_logins(org: World) -> None:
    hr = seed(org, "ann", "bob")
    org.send(hr, [upn("E1", "bob@x.org", department="Legal"), upn("E2", "ann@x.org")])
    assert logins(org, hr, 2) == ["bob", "ann"]
    assert org.user_of(hr, "E1").profile["login"] == "bob@x.org"


def test_logins_go_round_in_a_circle(org: World) -> None:
    hr = seed(org, "ann", "bob", "cid")
    org.send(hr, [upn("E1", "bob@x.org"), upn("E2", "cid@x.org"), upn("E3", "ann@x.org")])
    assert logins(org, hr, 3) == ["bob", "cid", "ann"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_whoever_stays_keeps_the_login_so_who_wanted_it_stays_too(org: World, order: tuple[int, ...]) -> None:
    hr = seed(org, "ann", "bob", "cid")
    records = [upn("E1", "bob@x.org", department="Legal"), upn("E2", "cid@x.org"), upn("E3", "cid@x.org")]
    run = org.send(hr, [records[at] for at in order])
    assert logins(org, hr, 3) == ["ann", "bob", "cid"]
    assert {org.change(run, name).reason for name in ("E1", "E2")} == {"login_taken"}
    assert "department" not in org.user_of(hr, "E1").profile


def test_a_login_claimed_twice_is_nobodys(org: World) -> None:
    hr = seed(org, "ann", "bob")
    run = org.send(hr, [upn("E1", "new@x.org"), upn("E2", " NEW@x.org ")])
    assert [org.change(run, name).reason for name in ("E1", "E2")] == ["login_claimed_twice"] * 2
    assert logins(org, hr, 2) == ["ann", "bob"]
    run = org.send(hr, [upn("E1", "new@x.org"), upn("E2", "bob@x.org")])
    assert logins(org, hr, 2) == ["new", "bob"]


def test_deactivated_users_hold_their_logins(org: World) -> None:
    hr = seed(org, "ann", "bob")
    org.send(hr, [upn("E1", "ann@x.org", active=False), upn("E2", "bob@x.org")])
    run = org.send(hr, [upn("E1", "ann@x.org", active=False), upn("E2", "ann@x.org"), upn("E3", "ann@x.org")])
    assert (org.user_of(hr, "E1").status, logins(org, hr, 2)) == ("DEACTIVATED", ["ann", "bob"])
    assert (org.change(run, "E2").reason, org.change(run, "E3").situation) == ("login_claimed_twice", "CONFLICT")
    run = org.send(hr, [upn("E1", "ann@x.org", active=False), upn("E2", "bob@x.org"), upn("E3", "ann@x.org")])
    assert (org.change(run, "E3").situation, org.change(run, "E3").reason) == ("CONFLICT", "login_taken")


@pytest.mark.parametrize("newcomers_first", [True, False])
def test_a_newcomer_takes_the_login_that_another_gives_up_in_the_same_run(org: World, newcomers_first: bool) -> None:
    hr = seed(org, "ann")
    records = [upn("E1", "ann.new@x.org"), upn("E2", "ann@x.org")]
    run = org.send(hr, records[::-1] if newcomers_first else records)
    assert (run.status, org.situations(run)) == ("COMPLETED", {"CHANGED": 1, "UNMATCHED": 1})
    assert logins(org, hr, 2) == ["ann.new", "ann"]


def test_a_newcomer_waits_if_whoever_had_the_login_could_not_move_after_all(org: World) -> None:
    hr = seed(org, "ann", "bob")
    run = org.send(hr, [upn("E1", "bob@x.org"), upn("E2", "bob@x.org", title="Lead"), upn("E3", "ann@x.org")])
    assert logins(org, hr, 2) == ["ann", "bob"]
    assert (org.change(run, "E3").situation, org.change(run, "E3").reason) == ("CONFLICT", "login_taken")
    assert org.queue(hr)["E3"][0] == "CONFLICT"


def test_of_newcomers_who_ask_for_one_login_none_gets_it_until_one_asks_alone(org: World) -> None:
    hr = seed(org, "ann")
    both = [upn("E2", "new@x.org"), upn("E3", "New@X.org")]
    run = org.send(hr, [upn("E1", "ann@x.org"), *both])
    assert org.situations(run) == {"CONFLICT": 2, "UNCHANGED": 1}
    assert {org.change(run, name).reason for name in ("E2", "E3")} == {"login_claimed_twice"}
    assert org.situations(org.delta(hr, both)) == {"CONFLICT": 2}
    run = org.send(hr, [upn("E1", "ann@x.org"), upn("E2", "new@x.org")])
    assert org.situations(run) == {"UNCHANGED": 1, "UNMATCHED": 1, "WITHDRAWN": 1}
    assert org.user_of(hr, "E2").login == "new@x.org"


def test_a_waiting_row_claims_its_login_though_the_run_has_no_record_of_it(org: World) -> None:
    hr = org.app("HR", calm(username=BY_UPN, confirmation=WAITING))
    org.delta(hr, [upn("E1", "new@x.org")])
    org.set_policy(hr, calm(username=BY_UPN))
    run = org.delta(hr, [upn("E2", "new@x.org")])
    assert (org.situations(run), org.change(run, "E2").reason) == ({"CONFLICT": 1}, "login_claimed_twice")
    assert org.by_login("new@x.org") is None


def test_an_ignored_row_claims_nothing(org: World) -> None:
    hr = org.app("HR", calm(username=BY_UPN, confirmation=WAITING))
    org.delta(hr, [upn("E1", "new@x.org")])
    org.review(hr, "E1", Verdict.IGNORE)
    org.set_policy(hr, calm(username=BY_UPN))
    run = org.delta(hr, [upn("E1", "new@x.org"), upn("E2", "new@x.org")])
    assert (org.change(run, "E1").action, org.change(run, "E2").action) == ("ignore", "create")
    assert org.user_of(hr, "E2").login == "new@x.org"


def test_a_newcomer_and_a_renamed_person_who_ask_for_one_login_both_lose(org: World) -> None:
    hr = seed(org, "ann")
    run = org.send(hr, [upn("E1", "new@x.org"), upn("E2", "new@x.org")])
    assert (org.change(run, "E1").action, org.change(run, "E2").situation) == ("reject", "CONFLICT")
    assert logins(org, hr, 1) == ["ann"]


def test_a_confirmed_match_takes_the_login_of_its_record(org: World) -> None:
    org.by_hand("jane", login="old@x.org")
    hr = org.app("HR", calm(username=BY_UPN, matching=Matching(username=False, email=True)))
    org.send(hr, [upn("E1", "new@x.org", email="JANE@example.com ")])
    assert (org.user_of(hr, "E1").login, org.by_login("old@x.org")) == ("new@x.org", None)


def test_a_login_that_differs_in_case_alone_is_written_and_claims_nothing_new(org: World) -> None:
    hr = seed(org, "ann")
    run = org.send(hr, [upn("E1", "Ann@X.org")])
    assert (org.situations(run), org.user_of(hr, "E1").login) == ({"CHANGED": 1}, "Ann@X.org")
    assert org.by_login("ANN@x.org") is not None


@pytest.mark.parametrize("turned", [False, True])
def test_a_login_that_a_new_link_gives_up_is_free_from_the_next_run_on(org: World, turned: bool) -> None:
    by_email = calm(matching=Matching(username=False, email=True), username=Username(UsernameFormat.CUSTOM, "appuser.upn"))
    hr = org.app("HR", by_email)
    org.send(hr, [person("E1", upn="one@x.org")])
    jane = org.by_hand("jane", login="wanted@x.org", email="jane@x.org")
    records = [person("E1", upn="wanted@x.org"), person("N", email="jane@x.org", upn="jane.doe@x.org")]
    org.send(hr, records[::-1] if turned else records)
    assert (org.user(jane.id).login, org.user_of(hr, "N").id, org.user_of(hr, "E1").login) == ("jane.doe@x.org", jane.id, "one@x.org")
    org.send(hr, records)
    assert org.user_of(hr, "E1").login == "wanted@x.org"
