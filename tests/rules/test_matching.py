"""Exact and partial matches (SPEC §6): every choice of options against every way a record and a user can agree or differ."""

from itertools import permutations, product
from typing import Any

import pytest

from mastering.rules.matching import NO_MATCH, Crowd, Keys, Kind, Match, correlate, is_exact, keys_of_record, keys_of_user
from mastering.rules.policy import AttributePair, Matching

NUMBER, BADGE = AttributePair("number", "employeeNumber"), AttributePair("badge", "badgeId")
RELATIONS = ("equal", "different", "empty in the record", "empty in the user", "empty in both")


def sides(relation: str) -> tuple[str | None, str | None]:
    """What a record and a user say where they stand in this relation."""
    return {
        "equal": ("same", "same"),
        "different": ("one", "other"),
        "empty in the record": (None, "other"),
        "empty in the user": ("one", None),
        "empty in both": (None, None),
    }[relation]


def pair_of_keys(login: str, email: str, name: str, *attributes: str) -> tuple[Keys, Keys]:
    """The keys of a record and of a user who stand in the relations given."""
    pairs = [sides(relation) for relation in attributes]
    record, user = (Keys(sides(login)[side], sides(email)[side], sides(name)[side], tuple(pair[side] for pair in pairs)) for side in (0, 1))
    return record, user


CASES = list(product(RELATIONS, repeat=3))


@pytest.mark.parametrize(("username", "email", "allow_partial"), list(product([True, False], repeat=3)))
def test_every_option_chosen_must_hold_and_none_chosen_is_never_exact(username: bool, email: bool, allow_partial: bool) -> None:
    matching = Matching(username=username, email=email, allow_partial=allow_partial)
    for login_is, email_is, name_is in CASES:
        record, user = pair_of_keys(login_is, email_is, name_is)
        chosen = [relation for relation, on in ((login_is, username), (email_is, email)) if on]
        exact = bool(chosen) and all(relation == "equal" for relation in chosen)
        assert is_exact(matching, record, user) is exact
        expected = Kind.EXACT if exact else Kind.PARTIAL if allow_partial and name_is == "equal" else Kind.NONE
        assert correlate(matching, record, [("u1", user)]) == Match(expected, () if expected is Kind.NONE else ("u1",))


@pytest.mark.parametrize(("pairs", "allow_partial"), list(product([1, 2], [True, False])))
def test_by_attributes_every_pair_must_hold_and_login_and_email_have_no_say(pairs: int, allow_partial: bool) -> None:
    matching = Matching(username=False, attributes=(NUMBER, BADGE)[:pairs], allow_partial=allow_partial)
    for relations in product(RELATIONS, repeat=pairs):
        for others, name_is in product(("equal", "different"), RELATIONS):
            record, user = pair_of_keys(others, others, name_is, *relations)
            exact = all(relation == "equal" for relation in relations)
            assert is_exact(matching, record, user) is exact
            expected = Kind.EXACT if exact else Kind.PARTIAL if allow_partial and name_is == "equal" else Kind.NONE
            assert correlate(matching, record, [("u1", user)]).kind is expected


def test_the_kinds_are_spelled_as_they_are_named() -> None:
    assert [(kind.name, kind.value) for kind in Kind] == [(name, name) for name in ("NONE", "PARTIAL", "EXACT")]


JANE: dict[str, Any] = {"email": "jane@example.com", "firstName": "Jane", "lastName": "Smith", "employeeNumber": "A7", "badgeId": "x"}


def keys(matching: Matching, *, login: str = "jane@example.com", **profile: Any) -> Keys:
    return keys_of_user(matching, login, {**JANE, **profile})


def record_keys(matching: Matching, *, login: str | None = "jane@example.com", **values: Any) -> Keys:
    return keys_of_record(matching, login, {**JANE, **values}, {"number": "A7", "badge": "x", **values})


@pytest.mark.parametrize("spelling", ["JANE@Example.com", "  jane@example.com ", "jane@example.com"])
def test_login_and_email_are_compared_without_case_and_outer_blanks(spelling: str) -> None:
    matching = Matching(username=True, email=True)
    assert is_exact(matching, record_keys(matching, login=spelling, email=spelling), keys(matching))
    assert is_exact(matching, record_keys(matching), keys(matching, login=spelling, email=spelling))


@pytest.mark.parametrize(("first", "last"), [(" JANE", "smith"), ("Ｊane", "Smith  ")])
def test_names_are_compared_as_folded(first: str, last: str) -> None:
    matching = Matching(username=False, allow_partial=True)
    found = correlate(matching, record_keys(matching, firstName=first, lastName=last), [("u1", keys(matching))])
    assert found == Match(Kind.PARTIAL, ("u1",))


@pytest.mark.parametrize("changed", ["firstName", "lastName"])
@pytest.mark.parametrize("other", ["Joan", "", None])
def test_both_names_must_be_equal_for_a_partial_match(changed: str, other: Any) -> None:
    matching = Matching(username=False, allow_partial=True)
    assert correlate(matching, record_keys(matching, **{changed: other}), [("u1", keys(matching))]) == NO_MATCH
    assert correlate(matching, record_keys(matching), [("u1", keys(matching, **{changed: other}))]) == NO_MATCH
    both = correlate(matching, record_keys(matching, **{changed: other}), [("u1", keys(matching, **{changed: other}))])
    assert both.kind is (Kind.PARTIAL if other else Kind.NONE)


def test_attributes_are_compared_exactly_case_and_all() -> None:
    matching = Matching(username=False, attributes=(NUMBER,))
    equal: list[tuple[Any, Any]] = [("A7", "A7"), (7, 7), (0, 0), (True, True), (False, False)]
    unequal: list[tuple[Any, Any]] = [("a7", "A7"), (" A7", "A7"), ("A7", None), ("007", 7), (True, 1), (True, "True"), (["A7"], ["A7"])]
    for theirs, ours in equal:
        assert is_exact(matching, record_keys(matching, number=theirs), keys(matching, employeeNumber=ours))
    for theirs, ours in unequal:
        assert not is_exact(matching, record_keys(matching, number=theirs), keys(matching, employeeNumber=ours))


def test_a_number_and_a_truth_value_equal_the_text_that_a_csv_has_for_them() -> None:
    matching = Matching(username=False, attributes=(NUMBER,))
    for text, value in (("7", 7), ("7.5", 7.5), ("true", True), ("false", False)):
        assert is_exact(matching, record_keys(matching, number=text), keys(matching, employeeNumber=value))


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_or_null_value_is_never_an_exact_match_not_even_of_another(empty: str | None) -> None:
    matching = Matching(username=False, attributes=(NUMBER, BADGE))
    assert not is_exact(matching, record_keys(matching, number=empty), keys(matching, employeeNumber=empty))
    by_email = Matching(username=False, email=True)
    assert not is_exact(by_email, record_keys(by_email, email=empty), keys(by_email, email=empty))
    by_login = Matching(username=True)
    assert not is_exact(by_login, record_keys(by_login, login=empty), keys(by_login, login=""))


def test_a_login_of_blanks_is_as_good_as_empty() -> None:
    matching = Matching(username=True)
    assert record_keys(matching, login="  ").login is None
    assert keys(matching, email=" \t").email is None


def test_the_third_option_reads_the_app_profile_of_a_record_and_the_user_profile_of_a_user() -> None:
    matching = Matching(username=False, attributes=(AttributePair("employeeNumber", "badgeId"),))
    record = keys_of_record(matching, None, {"employeeNumber": "mapped", "badgeId": "mapped"}, {"employeeNumber": "raw"})
    assert record.attributes == ("raw",)
    assert keys_of_user(matching, "jane", {"employeeNumber": "theirs", "badgeId": "ours"}).attributes == ("ours",)


EXACT_KEYS, PARTIAL_KEYS, OTHER_KEYS = Keys("same", None, "other"), Keys("other", None, "same"), Keys("other", None, "other")
BOTH_KEYS = Keys("same", None, "same")


@pytest.mark.parametrize("users", list(product((EXACT_KEYS, PARTIAL_KEYS, OTHER_KEYS, BOTH_KEYS), repeat=3)))
def test_the_best_kind_wins_several_of_it_are_all_named_and_who_is_beaten_too_in_whatever_order_they_were_found(
    users: tuple[Keys, ...],
) -> None:
    matching = Matching(username=True, allow_partial=True)
    named = list(zip(("u1", "u2", "u3"), users, strict=True))
    exact = tuple(user_id for user_id, user in named if user in (EXACT_KEYS, BOTH_KEYS))
    partial = tuple(user_id for user_id, user in named if user == PARTIAL_KEYS)
    expected = Match(Kind.EXACT, exact, partial) if exact else Match(Kind.PARTIAL, partial) if partial else Match(Kind.NONE)
    for order in permutations(named):
        assert correlate(matching, Keys("same", None, "same"), order) == expected


def test_partial_matches_are_proposed_only_where_that_is_allowed() -> None:
    record = Keys("same", None, "same")
    assert correlate(Matching(allow_partial=True), record, [("u1", PARTIAL_KEYS)]) == Match(Kind.PARTIAL, ("u1",))
    assert correlate(Matching(), record, [("u1", PARTIAL_KEYS)]) == NO_MATCH


def test_a_user_found_by_two_keys_is_one_candidate() -> None:
    record = Keys("same", None, "same")
    assert correlate(Matching(allow_partial=True), record, [("u1", BOTH_KEYS), ("u1", BOTH_KEYS)]) == Match(Kind.EXACT, ("u1",))


def test_nobody_found_is_no_match() -> None:
    assert correlate(Matching(email=True, allow_partial=True), Keys("same", "same", "same"), []) == NO_MATCH == Match(Kind.NONE, ())


@pytest.mark.parametrize(
    "matching",
    [
        Matching(username=username, email=email, attributes=attributes, allow_partial=allow_partial)
        for username, email, attributes in ((True, False, ()), (False, True, ()), (True, True, ()), (False, False, (NUMBER, BADGE)))
        for allow_partial in (True, False)
    ],
    ids=str,
)
def test_a_record_meets_everybody_it_could_match(matching: Matching) -> None:
    said = ("same", "other", None)
    attributes = list(product(said, repeat=len(matching.attributes)))
    everybody = [Keys(login, email, name, pairs) for login, email, name, pairs in product(said, said, said, attributes)]
    users = {f"u{number:03}": keys for number, keys in enumerate(everybody)}
    crowd = Crowd(users)
    for record in everybody:
        assert correlate(matching, record, crowd.near(record)) == correlate(matching, record, users.items())


def test_a_record_meets_only_those_who_share_a_whole_key_with_it() -> None:
    said = ("same", "other", None)
    pairs = [("same", "same"), ("same", None), (None, None)]
    everybody = [Keys(login, email, name, attributes) for login, email, name, attributes in product(said, said, said, pairs)]
    users = {f"u{number:03}": keys for number, keys in enumerate(everybody)}
    crowd = Crowd(users)
    for record in everybody:
        keys_of_it = [record.login, record.email, record.name, record.attributes if None not in record.attributes else None]
        sharing = {
            user_id
            for user_id, user in users.items()
            if any(
                key is not None and key == other
                for key, other in zip(keys_of_it, (user.login, user.email, user.name, user.attributes), strict=True)
            )
        }
        assert {user_id for user_id, _ in crowd.near(record)} == sharing


def test_without_the_third_option_nobody_is_met_for_having_no_attributes() -> None:
    assert Crowd({"u1": Keys("jane", None, None)}).near(Keys("joan", None, None)) == []
