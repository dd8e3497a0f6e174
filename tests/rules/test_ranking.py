"""Who has authority over a user (SPEC §3): every state of three accounts under every ranking of their apps."""

from itertools import permutations, product

import pytest

from mastering.errors import Invalid
from mastering.rules.ranking import Link, authority, reordered
from mastering.rules.record import AccountState

APPS = ("hr", "directory", "badge")
RANKINGS = [order for size in range(4) for order in permutations(APPS, size)]

ACTIVE, INACTIVE, MISSING = AccountState.ACTIVE, AccountState.INACTIVE, AccountState.MISSING
LINKS = [None, *product(AccountState, (True, False), (True, False))]
"""No link, or (account state, released, seen active)."""


def link(app: str, account: AccountState = ACTIVE, *, released: bool = False, seen_active: bool = True) -> Link:
    return Link(app, f"account-in-{app}", account, released, seen_active)


def links_of(states: tuple[tuple[AccountState, bool, bool] | None, ...]) -> list[Link]:
    return [link(app, each[0], released=each[1], seen_active=each[2]) for app, each in zip(APPS, states, strict=True) if each is not None]


@pytest.mark.parametrize("ranking", RANKINGS)
def test_authority_is_the_highest_ranked_master_with_an_assignment_whatever_the_account_says(ranking: tuple[str, ...]) -> None:
    for states in product(LINKS, repeat=3):
        speaking = {app for app, each in zip(APPS, states, strict=True) if each is not None and each[1:] == (False, True)}
        expected = next((app for app in ranking if app in speaking), None)
        found = authority(links_of(states), ranking)
        assert (found.app_id if found else None) == expected


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_authority_does_not_depend_on_the_order_of_the_links(order: tuple[int, ...]) -> None:
    links = [link("hr", released=True), link("directory", INACTIVE), link("badge")]
    assert authority([links[index] for index in order], APPS) == links[1]


@pytest.mark.parametrize(("released", "seen_active"), list(product([True, False], repeat=2)))
@pytest.mark.parametrize("account", list(AccountState))
def test_an_assignment_is_an_unreleased_link_that_was_once_shown_active(account: AccountState, released: bool, seen_active: bool) -> None:
    assert link("hr", account, released=released, seen_active=seen_active).assigned is (not released and seen_active)


@pytest.mark.parametrize("account", [INACTIVE, MISSING])
def test_an_inactive_account_still_speaks_so_that_a_lower_directory_brings_nobody_back(account: AccountState) -> None:
    ended, active = link("hr", account), link("directory", ACTIVE)
    assert authority([ended, active], ("hr", "directory")) == ended


def test_after_a_release_the_next_master_with_an_assignment_has_authority_at_once() -> None:
    first, second, third = link("hr", INACTIVE, released=True), link("directory", MISSING), link("badge")
    assert authority([first, second, third], APPS) == second


def test_an_app_that_is_no_master_ranks_nowhere() -> None:
    assert authority([link("badge")], ("hr", "directory")) is None


def test_with_no_master_at_all_the_directory_itself_masters_the_user() -> None:
    assert authority([link(app) for app in APPS], ()) is None
    assert authority([], APPS) is None


def test_an_account_that_took_the_place_of_a_released_one_of_its_app_has_the_say() -> None:
    former = Link("hr", "E1", INACTIVE, released=True, seen_active=True)
    present = Link("hr", "E2", ACTIVE, released=False, seen_active=True)
    assert authority([former, present], ("hr",)) == present
    assert authority([present, former], ("hr",)) == present


WANTED = [order for size in range(5) for order in product((*APPS, "stranger"), repeat=size)]


@pytest.mark.parametrize("ranking", RANKINGS)
def test_setting_the_order_names_exactly_the_enabled_masters(ranking: tuple[str, ...]) -> None:
    for wanted in WANTED:
        if sorted(wanted) == sorted(ranking):
            assert reordered(ranking, wanted) == wanted
        else:
            with pytest.raises(Invalid) as refusal:
                reordered(ranking, wanted)
            assert refusal.value.causes


def test_a_refused_order_says_what_is_missing_unknown_or_named_twice() -> None:
    with pytest.raises(Invalid) as refusal:
        reordered(("hr", "directory"), ("hr", "hr", "stranger"))
    assert refusal.value.causes == (
        "masters: stranger is not an enabled master",
        "masters: directory is missing from the order",
        "masters: hr is named twice",
    )
