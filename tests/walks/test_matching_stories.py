"""Is this row somebody we know? (SPEC §§4, 6, 5.4 precedence)"""

from typing import Any

import pytest

from mastering.rules.policy import AttributePair, Confirmation, ImportPolicy, Matching, Username, UsernameFormat
from tests.walks.imports_world import World, calm, person

WAITING = Confirmation()
BADGE = AttributePair("badge", "employeeNumber")
CENTRE = AttributePair("centre", "costCenter")


def asking(matching: Matching, **parts: Any) -> ImportPolicy:
    """A policy that confirms nothing, so that what was found is seen in the queue."""
    return calm(matching=matching, confirmation=WAITING, **parts)


def named(external_id: str, first: str, last: str, **more: Any) -> dict[str, Any]:
    return person(external_id, firstName=first, lastName=last, **more)


# -- exact ----------------------------------------------------------------------------------------------------------------


def test_a_username_matches_whatever_its_case_and_the_blanks_around_it(org: World) -> None:
    org.by_hand("jane", login="Jane@Example.com", email="other@x.org")
    hr = org.app("HR", asking(Matching(username=True)))
    org.send(hr, [person("E1", email=" jANE@example.COM ")])
    assert org.queue(hr)["E1"] == ("EXACT", "exact", ["Jane@Example.com"])


def test_an_email_matches_users_by_their_email_and_not_by_their_login(org: World) -> None:
    org.by_hand("jane", email="j@x.org")
    hr = org.app("HR", asking(Matching(username=False, email=True), username=Username(UsernameFormat.CUSTOM, "appuser.badge")))
    org.send(hr, [person("E1", email="J@X.ORG", badge="12345"), person("E2", email="jane@example.com", badge="54321")])
    assert org.queue(hr) == {"E1": ("EXACT", "exact", ["jane@example.com"]), "E2": ("UNMATCHED", "unmatched", [])}


@pytest.mark.parametrize(("login", "email", "situation"), [(True, True, "EXACT"), (True, False, "CONFLICT"), (False, True, "UNMATCHED")])
def test_the_options_chosen_must_all_be_true(org: World, login: bool, email: bool, situation: str) -> None:
    org.by_hand("jane", login="jane@example.com", email="jane@example.com")
    both = Matching(username=True, email=True)
    hr = org.app("HR", asking(both, username=Username(UsernameFormat.CUSTOM, "appuser.upn")))
    org.send(hr, [person("E1", upn="jane@example.com" if login else "new@x.org", email="jane@example.com" if email else "new@x.org")])
    assert org.queue(hr)["E1"][0] == situation


def test_with_no_option_chosen_nothing_is_exact(org: World) -> None:
    org.by_hand("jane")
    hr = org.app("HR", asking(Matching(username=False, email=False)))
    org.send(hr, [person("E1", email="jane@example.com")])
    assert org.queue(hr)["E1"][:2] == ("CONFLICT", "login_taken")


def test_deactivated_users_are_candidates_too(org: World) -> None:
    jane = org.by_hand("jane")
    org.act(jane.id, "deactivate")
    hr = org.app("HR", asking(Matching()))
    org.send(hr, [person("E1", email="jane@example.com")])
    assert org.queue(hr)["E1"] == ("EXACT", "exact", ["jane@example.com"])


@pytest.mark.parametrize(
    ("badge", "centre", "situation"),
    [("B7", "C1", "EXACT"), ("b7", "C1", "UNMATCHED"), ("B7", "c1", "UNMATCHED"), ("B7 ", "C1", "UNMATCHED"), ("B7", "C2", "UNMATCHED")],
)
def test_attributes_must_all_be_equal_case_and_all(org: World, badge: str, centre: str, situation: str) -> None:
    org.by_hand("jane", employeeNumber="B7", costCenter="C1")
    hr = org.app("HR", asking(Matching(username=False, attributes=(BADGE, CENTRE))))
    org.send(hr, [person("E1", badge=badge, centre=centre)])
    assert org.queue(hr)["E1"][0] == situation


def test_a_number_of_the_app_is_the_text_of_its_digits(org: World) -> None:
    org.by_hand("jane", employeeNumber="7")
    hr = org.app("HR", asking(Matching(username=False, attributes=(BADGE,))))
    org.send(hr, [person("E1", badge=7)])
    assert org.queue(hr)["E1"][0] == "EXACT"


@pytest.mark.parametrize("nothing", [{}, {"badge": None}, {"badge": ""}], ids=["absent", "null", "empty"])
def test_empty_values_never_match_each_other(org: World, nothing: dict[str, Any]) -> None:
    org.by_hand("jane", employeeNumber="")
    org.by_hand("john")
    hr = org.app("HR", asking(Matching(username=False, attributes=(BADGE,))))
    org.send(hr, [person("E1", **nothing)])
    assert org.queue(hr)["E1"][0] == "UNMATCHED"


def test_an_attribute_known_from_an_earlier_record_still_matches_though_this_one_leaves_it_out(org: World) -> None:
    hr = org.app("HR", asking(Matching(username=False, attributes=(BADGE,))))
    org.send(hr, [person("E1", badge="B7")])
    org.by_hand("jane", employeeNumber="B7")
    org.send(hr, [person("E1", title="Lead")])
    assert org.queue(hr)["E1"][0] == "EXACT"


# -- partial --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("Jane", "Doe"),
        ("JANE", "doe"),
        ("  Jane ", "Doe\u00a0"),
        ("\uff2aane", "Doe"),
    ],
)
def test_names_are_compared_loosely(org: World, first: str, last: str) -> None:
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr = org.app("HR", asking(Matching(allow_partial=True)))
    org.send(hr, [named("E1", first, last)])
    assert org.queue(hr)["E1"] == ("PARTIAL", "partial", ["jane@example.com"])


def test_composed_and_inner_blanks_of_names_are_one(org: World) -> None:
    org.by_hand("rene", firstName="Ren\u00e9  Marie", lastName="Stra\u00dfe")
    hr = org.app("HR", asking(Matching(allow_partial=True)))
    org.send(hr, [named("E1", "Rene\u0301 marie", "STRASSE")])
    assert org.queue(hr)["E1"][0] == "PARTIAL"


@pytest.mark.parametrize(("first", "last"), [("Jane", "Dow"), ("Jan", "Doe"), ("Doe", "Jane")])
def test_half_a_name_is_nobodys(org: World, first: str, last: str) -> None:
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr = org.app("HR", asking(Matching(allow_partial=True)))
    org.send(hr, [named("E1", first, last)])
    assert org.queue(hr)["E1"][0] == "UNMATCHED"


def test_a_partial_match_is_only_proposed_where_it_is_allowed(org: World) -> None:
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr = org.app("HR", asking(Matching(allow_partial=False)))
    org.send(hr, [named("E1", "Jane", "Doe")])
    assert org.queue(hr)["E1"][0] == "UNMATCHED"


def test_names_match_partially_beside_attributes_too(org: World) -> None:
    org.by_hand("jane", firstName="Jane", lastName="Doe", employeeNumber="B7")
    hr = org.app("HR", asking(Matching(username=False, attributes=(BADGE,), allow_partial=True)))
    org.send(hr, [named("E1", "Jane", "Doe", badge="B8")])
    assert org.queue(hr)["E1"][0] == "PARTIAL"


# -- precedence -----------------------------------------------------------------------------------------------------------


def test_exact_comes_before_partial(org: World) -> None:
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    org.by_hand("double", firstName="Jane", lastName="Doe")
    hr = org.app("HR", asking(Matching(allow_partial=True)))
    org.send(hr, [named("E1", "Jane", "Doe", email="jane@example.com")])
    assert org.queue(hr)["E1"] == ("EXACT", "exact", ["jane@example.com"])


def test_several_of_the_best_kind_are_ambiguous_and_never_guessed_between(org: World) -> None:
    for name in ("ann", "bea"):
        org.by_hand(name, email="shared@x.org", firstName="Jane", lastName="Doe")
    org.by_hand("cid", firstName="Jane", lastName="Doe")
    exact = calm(matching=Matching(username=False, email=True, allow_partial=True), username=Username(UsernameFormat.CUSTOM, "appuser.upn"))
    hr = org.app("HR", exact)
    run = org.send(hr, [named("E1", "Jane", "Doe", email="shared@x.org", upn="u1@x.org"), named("E2", "Jane", "Doe", upn="u2@x.org")])
    assert org.situations(run) == {"AMBIGUOUS": 2}
    assert org.queue(hr) == {
        "E1": ("AMBIGUOUS", "ambiguous", ["ann@example.com", "bea@example.com"]),
        "E2": ("AMBIGUOUS", "ambiguous", ["ann@example.com", "bea@example.com", "cid@example.com"]),
    }


def test_ambiguous_comes_before_a_login_claimed_twice_or_held_by_somebody_else(org: World) -> None:
    for name in ("ann", "bea"):
        org.by_hand(name, firstName="Jane", lastName="Doe")
    org.by_hand("holder", login="held@x.org")
    hr = org.app("HR", calm(matching=Matching(username=False, allow_partial=True)))
    records = [
        named("E1", "Jane", "Doe", email="new@x.org"),
        person("E2", email="new@x.org"),
        named("E3", "Jane", "Doe", email="held@x.org"),
    ]
    org.send(hr, records)
    assert {name: waits[0] for name, waits in org.queue(hr).items()} == {"E1": "AMBIGUOUS", "E2": "CONFLICT", "E3": "AMBIGUOUS"}


def test_a_candidate_whose_place_is_taken_by_an_active_account_is_a_conflict(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", email="jane@x.org")])
    run = org.send(hr, [person("E1", email="jane@x.org"), person("E2", email="jane@x.org")])
    assert org.queue(hr)["E2"] == ("CONFLICT", "place_taken", ["jane@x.org"])
    assert org.change(run, "E2").reason == "place_taken"


@pytest.mark.parametrize("gone", [[person("E1", email="jane@x.org", active=False)], []], ids=["inactive", "missing"])
def test_a_candidates_own_account_that_is_gone_does_not_stand_in_the_way(org: World, gone: list[dict[str, Any]]) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1", email="jane@x.org"), person("E9")])
    jane = org.user_of(hr, "E1")
    org.send(hr, [*gone, person("E9")])
    org.delta(hr, [person("E2", email="jane@x.org")])
    assert org.user_of(hr, "E2").id == jane.id
    assert (org.account(hr, "E1").released, org.account(hr, "E2").released) == (True, False)
    assert org.account(hr, "E1").user_id == jane.id


def test_two_records_that_match_one_person_are_both_in_conflict(org: World) -> None:
    org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr = org.app("HR", calm(matching=Matching(allow_partial=True)))
    run = org.send(hr, [named("E1", "Jane", "Doe"), named("E2", "jane", "doe")])
    assert org.situations(run) == {"CONFLICT": 2}
    assert org.queue(hr)["E1"] == ("CONFLICT", "user_claimed_twice", ["jane@example.com"])


@pytest.mark.parametrize("turned", [True, False])
def test_an_exact_claim_beats_partial_ones(org: World, turned: bool) -> None:
    jane = org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr = org.app("HR", calm(matching=Matching(allow_partial=True)))
    records = [named("E1", "Jane", "Doe"), named("E2", "Jane", "Doe"), named("E3", "X", "Y", email="jane@example.com")]
    run = org.send(hr, records[::-1] if turned else records)
    assert org.user_of(hr, "E3").id == jane.id
    assert [org.change(run, name).situation for name in ("E1", "E2", "E3")] == ["CONFLICT", "CONFLICT", "EXACT"]


def test_a_login_held_by_a_user_whom_the_record_does_not_match_is_a_conflict(org: World) -> None:
    org.by_hand("holder", login="held@x.org")
    jane = org.by_hand("jane", firstName="Jane", lastName="Doe")
    hr = org.app("HR", calm(matching=Matching(username=False, allow_partial=True)))
    run = org.send(hr, [named("E1", "Jane", "Doe", email="held@x.org"), person("E2", email="HELD@x.org", firstName="Z")])
    assert org.situations(run) == {"CONFLICT": 2}
    run = org.send(hr, [named("E1", "Jane", "Doe", email="held@x.org")])
    assert (org.change(run, "E1").reason, org.queue(hr)["E1"][2]) == ("login_taken", [jane.login])


def test_an_inactive_stranger_is_not_pulled_in_whomever_it_would_match(org: World) -> None:
    org.by_hand("jane")
    hr = org.app("HR", calm())
    run = org.send(hr, [person("E1", email="jane@example.com", active=False)])
    assert (org.situations(run), org.queue(hr)) == ({"INACTIVE_UNKNOWN": 1}, {})


def test_a_linked_record_is_found_by_its_external_id_alone(org: World) -> None:
    hr = org.app("HR", calm(matching=Matching(username=False, email=True), username=Username(UsernameFormat.CUSTOM, "appuser.upn")))
    org.send(hr, [person("E1", upn="one@x.org")])
    other = org.by_hand("other")
    run = org.send(hr, [person("E1", upn="one@x.org", email="other@example.com")])
    assert (org.situations(run), org.user_of(hr, "E1").login) == ({"CHANGED": 1}, "one@x.org")
    assert org.user_of(hr, "E1").id != other.id
