"""What several rows of one run want from each other (SPEC §§4, 5.4): logins, people and returns, against a slow and simple reading."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.rules.claims import Claims, Lost
from mastering.rules.matching import Kind

LOGINS = "abcdef"
HOLDERS = {login: f"user-{login}" for login in LOGINS[:4]}
"""Who has which login before the run; e and f are free."""

Row = tuple[str, str]
"""A row that wants a login: for a linked user who moves, named, or, with an empty name, for an unlinked record."""

ROWS = st.lists(
    st.tuples(st.sampled_from(["", "", *HOLDERS.values()]), st.sampled_from(LOGINS)), max_size=7, unique_by=lambda row: row[0] or id(row)
)


def claimed(rows: list[tuple[int, Row]], returns: set[int] = frozenset()) -> dict[int, Lost]:  # type: ignore[assignment]
    """The losers of these numbered rows; `returns` are rows that come back for one and the same user."""
    claims = Claims()
    for number, (user, login) in rows:
        if user:
            claims.move(number, user, login, HOLDERS.get(login))
        else:
            claims.arrive(number, login, HOLDERS.get(login))
        if number in returns:
            claims.come_back(number, "returner")
    return claims.losers()


def winners_slowly(rows: list[tuple[int, Row]], returns: set[int]) -> set[int]:
    """Everybody, less whoever cannot have the login, asked again until nobody more is lost."""
    wanted = [login for _, (_, login) in rows]
    left = {number for number, (_, login) in rows if wanted.count(login) == 1 and not (number in returns and len(returns) > 1)}
    while True:
        leaving = {user for number, (user, login) in rows if number in left and user and HOLDERS.get(login) != user}
        stay = {
            number
            for number, (user, login) in rows
            if number in left and HOLDERS.get(login) not in {None, user or None} and HOLDERS[login] not in leaving
        }
        if not stay:
            return left
        left -= stay


@given(ROWS, st.sets(st.integers(0, 6), max_size=3), st.integers(0, 2**32))
def test_logins_go_to_whom_the_slow_reading_gives_them_in_whatever_order_they_are_asked_for(
    rows: list[Row], returns: set[int], seed: int
) -> None:
    numbered = list(enumerate(rows))
    returns &= {number for number, _ in numbered}
    lost = claimed(numbered, returns)
    assert set(range(len(rows))) - lost.keys() == winners_slowly(numbered, returns)
    assert claimed(Random(seed).sample(numbered, len(numbered)), returns) == lost


@given(ROWS)
def test_when_all_winners_have_their_logins_nobody_shares_one(rows: list[Row]) -> None:
    lost = claimed(list(enumerate(rows)))
    after = {user: login for login, user in HOLDERS.items()}
    for number, (user, login) in enumerate(rows):
        if number not in lost:
            after[user or f"new-{number}"] = login
    assert len(set(after.values())) == len(after)


@pytest.mark.parametrize(
    ("exact", "partial", "losers"),
    [
        ([1], [], set()),
        ([], [1], set()),
        ([1], [2], {2}),
        ([1], [2, 3], {2, 3}),
        ([], [1, 2], {1, 2}),
        ([1, 2], [], {1, 2}),
        ([1, 2], [3], {1, 2, 3}),
    ],
)
def test_a_person_is_claimed_by_one_record_and_an_exact_claim_beats_partial_ones(
    exact: list[int], partial: list[int], losers: set[int]
) -> None:
    for turned in (False, True):
        claims = Claims()
        wants = [(row, Kind.EXACT) for row in exact] + [(row, Kind.PARTIAL) for row in partial]
        for row, kind in wants[::-1] if turned else wants:
            claims.want(row, "jane", kind)
        assert claims.losers() == dict.fromkeys(losers, Lost.user_claimed_twice)


def test_claims_of_different_people_are_none_of_each_others_business() -> None:
    claims = Claims()
    claims.want(1, "jane", Kind.EXACT)
    claims.want(2, "john", Kind.PARTIAL)
    claims.come_back(3, "jane")
    claims.come_back(4, "john")
    assert claims.losers() == {}


def test_a_return_that_is_refused_takes_its_claim_to_a_login_along() -> None:
    claims = Claims()
    claims.move(1, "user-a", "e", None)
    claims.come_back(1, "user-a")
    claims.come_back(2, "user-a")
    claims.arrive(3, "a", "user-a")
    assert claims.losers() == {1: Lost.several_returns, 2: Lost.several_returns, 3: Lost.login_taken}
