"""What a record or its absence means (SPEC §5.4), written down a second time: every word against everything known."""

from itertools import product

import pytest

from mastering.rules.decision import Known, Situation, Word, assess
from mastering.rules.matching import Kind
from mastering.rules.record import AccountState

WORDS = {
    "absent": Word(present=False, active=False, same=False),
    "inactive, same": Word(present=True, active=False, same=True),
    "inactive, other": Word(present=True, active=False, same=False),
    "active, same": Word(present=True, active=True, same=True),
    "active, other": Word(present=True, active=True, same=False),
}
PRESENT = [word for word in WORDS if word != "absent"]

LINKED = """
account   released  absent        inactive,same  inactive,other  active,same  active,other
ACTIVE    no        WENT_MISSING  WENT_INACTIVE  WENT_INACTIVE   UNCHANGED    CHANGED
ACTIVE    yes       UNCHANGED     WENT_INACTIVE  WENT_INACTIVE   UNCHANGED    CHANGED
INACTIVE  no        UNCHANGED     UNCHANGED      CHANGED         CAME_BACK    CAME_BACK
INACTIVE  yes       UNCHANGED     UNCHANGED      CHANGED         CAME_BACK    CAME_BACK
MISSING   no        UNCHANGED     CHANGED        CHANGED         CAME_BACK    CAME_BACK
MISSING   yes       UNCHANGED     CHANGED        CHANGED         CAME_BACK    CAME_BACK
"""
_ROWS = [line.split() for line in LINKED.strip().splitlines()[1:]]
SPECIFIED = {
    (AccountState(account), released == "yes", word): situation
    for account, released, *cells in _ROWS
    for word, situation in zip(WORDS, cells, strict=True)
}

MATCHES: dict[Kind | Situation | None, str] = {
    None: "UNMATCHED",
    Kind.NONE: "UNMATCHED",
    Kind.PARTIAL: "PARTIAL",
    Kind.EXACT: "EXACT",
    Situation.AMBIGUOUS: "AMBIGUOUS",
    Situation.CONFLICT: "CONFLICT",
}


def linked(account: AccountState, *, released: bool = False, waiting: bool = False) -> Known:
    return Known(linked=True, released=released, waiting=waiting, account=account)


def unlinked(account: AccountState, *, waiting: bool) -> Known:
    return Known(linked=False, released=False, waiting=waiting, account=account)


def test_there_are_thirteen_situations_of_records_and_two_of_undo_each_named_as_it_is_spelled() -> None:
    of_linked = {"UNCHANGED", "CHANGED", "WENT_INACTIVE", "WENT_MISSING", "CAME_BACK"}
    of_unlinked = {"UNMATCHED", "EXACT", "PARTIAL", "AMBIGUOUS", "CONFLICT", "INACTIVE_UNKNOWN", "WITHDRAWN"}
    assert {situation.value for situation in Situation} == of_linked | of_unlinked | {"INVALID", "UNDONE", "CHANGED_SINCE"}
    assert all(situation.name == situation.value for situation in Situation)


@pytest.mark.parametrize(("account", "released", "word"), list(product(AccountState, (True, False), WORDS)))
def test_a_linked_account_is_in_exactly_the_situation_specified(account: AccountState, released: bool, word: str) -> None:
    for match in MATCHES:
        assert assess(WORDS[word], linked(account, released=released), match) == SPECIFIED[account, released, word]


@pytest.mark.parametrize(("account", "released", "word"), list(product(AccountState, (True, False), WORDS)))
def test_a_linked_account_that_waits_leaves_the_queue_with_an_inactive_record_or_none(
    account: AccountState, released: bool, word: str
) -> None:
    expected = SPECIFIED[account, released, word] if WORDS[word].active else Situation.WITHDRAWN
    assert assess(WORDS[word], linked(account, released=released, waiting=True)) == expected


@pytest.mark.parametrize(("word", "match"), list(product(["active, same", "active, other"], MATCHES)), ids=str)
def test_an_active_record_without_a_link_is_what_its_match_is(word: str, match: Kind | Situation | None) -> None:
    assert assess(WORDS[word], None, match) == MATCHES[match]
    for account, waiting in product(AccountState, (True, False)):
        assert assess(WORDS[word], unlinked(account, waiting=waiting), match) == MATCHES[match]


@pytest.mark.parametrize("word", ["inactive, same", "inactive, other"])
def test_an_inactive_record_that_nobody_knows_is_not_pulled_in_whomever_it_would_match(word: str) -> None:
    for match in MATCHES:
        assert assess(WORDS[word], None, match) == "INACTIVE_UNKNOWN"
        for account in AccountState:
            assert assess(WORDS[word], unlinked(account, waiting=False), match) == "INACTIVE_UNKNOWN"


@pytest.mark.parametrize("word", ["absent", "inactive, same", "inactive, other"])
def test_a_waiting_record_that_is_inactive_or_absent_leaves_the_queue(word: str) -> None:
    for account, match in product(AccountState, MATCHES):
        assert assess(WORDS[word], unlinked(account, waiting=True), match) == "WITHDRAWN"


def test_an_account_that_was_not_active_is_never_concluded_missing() -> None:
    for account, released in product((AccountState.INACTIVE, AccountState.MISSING), (True, False)):
        assert assess(WORDS["absent"], linked(account, released=released)) == "UNCHANGED"


def test_rules_fire_on_changes_of_the_accounts_state_and_not_on_its_standing_state() -> None:
    for account, released, word in product(AccountState, (True, False), PRESENT):
        was, is_ = account is AccountState.ACTIVE, WORDS[word].active
        situation = assess(WORDS[word], linked(account, released=released))
        assert (situation in {"WENT_INACTIVE", "CAME_BACK"}) is (was != is_)


def test_being_active_all_along_brings_no_released_account_back() -> None:
    for word in ("active, same", "active, other"):
        assert assess(WORDS[word], linked(AccountState.ACTIVE, released=True)) != "CAME_BACK"


def test_a_missing_account_that_turns_up_inactive_changes_its_mark_and_nothing_else() -> None:
    assert assess(WORDS["inactive, same"], linked(AccountState.MISSING)) == "CHANGED"
