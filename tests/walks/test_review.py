"""What a reviewer decides, and what follows from it (SPEC §6)."""

from typing import Any

import pytest

from mastering import assignments, review
from mastering.clock import now
from mastering.errors import Invalid, WrongState
from mastering.proof import verify_chain
from mastering.replay import replay
from mastering.review import Item, Verdict
from mastering.rules.policy import AttributePair, Confirmation, Matching, Username, UsernameFormat
from tests.walks.imports_world import ADMIN, World, calm, master, person

WAITING = Confirmation()
BY_UPN = Username(UsernameFormat.CUSTOM, "appuser.upn")
RETURNS = master(suspended=True, deactivated=True)


def queue_of(org: World, *records: dict[str, Any], **parts: Any) -> str:
    """An app that confirms nothing, and has sent these records."""
    hr = org.app("HR", calm(**{"confirmation": WAITING, **parts}))
    org.send(hr, list(records))
    return hr


def refused(result: review.Result) -> type[Exception] | None:
    assert result.user is None
    return type(result.error) if result.error else None


# -- link -----------------------------------------------------------------------------------------------------------------


def test_a_link_to_the_proposed_match_maps_the_record_and_tells_who_decided(org: World) -> None:
    jane = org.by_hand("jane")
    hr = queue_of(org, person("E1", email="jane@example.com", department="Legal"))
    result = org.review(hr, "E1", Verdict.LINK)
    assert (result.error, result.user and result.user.id) == (None, jane.id)
    assert (org.user_of(hr, "E1").id, org.user(jane.id).profile["department"], org.queue(hr)) == (jane.id, "Legal", {})
    assert org.kinds(jane.id)[-2:] == ["account.link", "user.update"]
    assert '"reviewed"' in org.events(jane.id)[-2].body
    assert org.situations(org.send(hr, [person("E1", email="jane@example.com", department="Legal")])) == {"UNCHANGED": 1}


def test_a_link_to_somebody_else_is_the_reviewers_to_make(org: World) -> None:
    org.by_hand("jane")
    john = org.by_hand("john")
    hr = queue_of(
        org, person("E1", email="jane@example.com", upn="e1@x.org"), username=BY_UPN, matching=Matching(username=False, email=True)
    )
    org.review(hr, "E1", Verdict.LINK, user_id=john.id)
    assert (org.user_of(hr, "E1").id, org.user(john.id).login) == (john.id, "e1@x.org")


def test_of_several_candidates_the_reviewer_names_one(org: World) -> None:
    users = [org.by_hand(name, firstName="Jane", lastName="Doe") for name in ("ann", "bea")]
    hr = queue_of(org, person("E1", firstName="Jane", lastName="Doe"), matching=Matching(allow_partial=True))
    assert refused(org.review(hr, "E1", Verdict.LINK)) is Invalid
    assert org.review(hr, "E1", Verdict.LINK, user_id=users[1].id).error is None
    assert org.user_of(hr, "E1").id == users[1].id


def test_a_link_is_refused_where_the_place_or_the_login_is_taken_and_leaves_nothing_behind(org: World) -> None:
    hr = queue_of(org, person("E1", email="jane@x.org"))
    org.review(hr, "E1", Verdict.CREATE)
    jane, john = org.user_of(hr, "E1"), org.by_hand("john")
    org.delta(hr, [person("E2", email="jane@x.org")])
    for user_id in (jane.id, john.id):
        before = (org.kinds(user_id), org.queue(hr))
        assert refused(org.review(hr, "E2", Verdict.LINK, user_id=user_id)) is Invalid
        assert (org.kinds(user_id), org.queue(hr)) == before


def test_the_candidates_own_inactive_account_gives_way_to_a_reviewers_link(org: World) -> None:
    hr = queue_of(org, person("E1", email="jane@x.org"), mastering=RETURNS)
    org.review(hr, "E1", Verdict.CREATE)
    org.delta(hr, [person("E1", email="jane@x.org", active=False)])
    org.delta(hr, [person("E2", email="jane@x.org")])
    org.review(hr, "E2", Verdict.LINK)
    assert (org.account(hr, "E1").released, org.account(hr, "E2").released) == (True, False)


@pytest.mark.parametrize("status", ["suspend", "deactivate"])
@pytest.mark.parametrize(("matching", "exact"), [(Matching(), False), (Matching(username=False, email=True), True)])
def test_a_link_to_who_is_gone_is_a_return_judged_by_the_apps_options_and_not_by_the_reviewers_word(
    org: World, status: str, matching: Matching, exact: bool
) -> None:
    jane = org.by_hand("jane")
    org.act(jane.id, status)
    hr = queue_of(org, person("E1", email="jane@example.com", upn="new@x.org"), username=BY_UPN, matching=matching, mastering=RETURNS)
    result = org.review(hr, "E1", Verdict.LINK, user_id=jane.id)
    assert result.user is not None
    assert (result.user.status, org.user(jane.id).status) == ("ACTIVE", "ACTIVE") if exact else ("PENDING_ACTIVATION",) * 2


def test_a_partial_match_is_no_exact_one_though_a_reviewer_confirms_it(org: World) -> None:
    jane = org.by_hand("jane", firstName="Jane", lastName="Doe")
    org.act(jane.id, "deactivate")
    hr = queue_of(org, person("E1", firstName="Jane", lastName="Doe"), matching=Matching(allow_partial=True), mastering=RETURNS)
    org.review(hr, "E1", Verdict.LINK)
    assert org.user(jane.id).status == "PENDING_ACTIVATION"


def test_a_switch_that_is_off_keeps_who_was_suspended_suspended_and_the_word_stands(org: World) -> None:
    jane = org.by_hand("jane")
    org.act(jane.id, "suspend")
    hr = queue_of(org, person("E1", email="jane@example.com", department="Legal"))
    org.review(hr, "E1", Verdict.LINK)
    account = org.account(hr, "E1")
    assert (org.user(jane.id).status, org.user(jane.id).profile["department"]) == ("SUSPENDED", "Legal")
    assert (account.unheeded, account.unheeded_reason) == ("unsuspend", "switch_off")


def test_a_link_by_an_app_without_authority_moves_nobody_and_maps_nothing(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("H1", email="jane@example.com", department="Sales")])
    org.act(org.user_of(hr, "H1").id, "suspend")
    ad = org.app("AD", calm(confirmation=WAITING, mastering=RETURNS))
    org.send(ad, [person("a1", email="jane@example.com", department="IT")])
    org.review(ad, "a1", Verdict.LINK)
    jane = org.user_of(ad, "a1")
    assert (jane.status, jane.profile["department"]) == ("SUSPENDED", "Sales")
    assert org.account(ad, "a1").unheeded_reason == "not_authority"


def test_a_released_account_is_linked_to_another_user_at_any_time_and_both_histories_know(org: World) -> None:
    hr = org.app("HR", calm())
    org.send(hr, [person("E1")])
    wrong, right = org.user_of(hr, "E1"), org.by_hand("right")
    assert refused(org.review(hr, "E1", Verdict.LINK, user_id=right.id)) is WrongState
    assignments.unassign(org.engine, ADMIN, now(), hr, wrong.id)
    org.rename(wrong.id, "wrong@x.org")
    assert org.review(hr, "E1", Verdict.LINK, user_id=right.id).error is None
    assert (org.account(hr, "E1").user_id, org.user(wrong.id).links) == (right.id, [])
    assert (org.kinds(wrong.id)[-1], org.user(right.id).login) == ("account.taken", "e1@example.com")
    for user_id in (wrong.id, right.id):
        assert_told(org, user_id)


def assert_told(org: World, user_id: str) -> None:
    """The user is what the own history says, and the history is whole."""
    events, kept = org.events(user_id), org.user(user_id)
    rebuilt = replay(events)
    assert rebuilt is not None
    assert verify_chain(events, (kept.history_seq, kept.history_hash)) is None
    assert (rebuilt.status, rebuilt.profile, {link.id for link in rebuilt.links}) == (
        kept.status,
        kept.profile,
        {link.id for link in kept.links},
    )
    told = {(link.id, link.account, link.released, link.ignored, link.situation) for link in rebuilt.links}
    assert told == {(link.id, link.account, link.released, link.ignored, link.situation) for link in kept.links}


# -- a return that waits ----------------------------------------------------------------------------------------------------


def taken(org: World) -> tuple[str, str]:
    """An app where C1, once jane's, is back while E1 has its place; the app and jane."""
    hr = org.app("HR", calm(mastering=RETURNS))
    org.send(hr, [person("C1", email="jane@x.org")])
    org.delta(hr, [person("C1", email="jane@x.org", active=False), person("E1", email="jane@x.org", active=True)])
    org.delta(hr, [person("C1", email="c1@x.org", title="Somebody new", active=True)])
    return hr, org.user_of(hr, "E1").id


def test_a_reviewer_gives_a_returning_account_to_somebody_else_with_all_that_a_return_is(org: World) -> None:
    hr, jane = taken(org)
    john = org.by_hand("john", login="c1@x.org")
    org.act(john.id, "deactivate")
    assert refused(org.review(hr, "C1", Verdict.LINK)) is Invalid  # the place of the proposed one is taken
    assert org.review(hr, "C1", Verdict.LINK, user_id=john.id).error is None
    assert (org.user(john.id).status, org.user(john.id).profile["title"]) == ("ACTIVE", "Somebody new")
    assert (org.account(hr, "C1").account, org.account(hr, "C1").released, org.queue(hr)) == ("ACTIVE", False, {})
    for user_id in (jane, john.id):
        assert_told(org, user_id)


def test_a_reviewer_makes_a_new_user_of_a_returning_account(org: World) -> None:
    hr, jane = taken(org)
    result = org.review(hr, "C1", Verdict.CREATE, activate=True)
    assert result.user is not None
    assert (result.user.login, result.user.status, org.account(hr, "C1").user_id) == ("c1@x.org", "ACTIVE", result.user.id)
    assert [link.external_id for link in org.user(jane).links] == ["E1"]
    for user_id in (jane, result.user.id):
        assert_told(org, user_id)


def test_an_account_that_is_assigned_stays_with_its_user_though_it_waits(org: World) -> None:
    hr, jane = taken(org)
    org.send(hr, [person("C1", email="jane@x.org", active=False), person("E1", email="jane@x.org", active=False)])
    org.delta(hr, [person("C1", email="jane@x.org", active=True), person("E1", email="jane@x.org", active=True)])
    john = org.by_hand("john")
    assert refused(org.review(hr, "E1", Verdict.LINK, user_id=john.id)) is WrongState
    assert refused(org.review(hr, "E1", Verdict.CREATE)) is WrongState
    assert org.review(hr, "E1", Verdict.LINK).error is None
    assert (org.user(jane).status, org.account(hr, "E1").account, set(org.queue(hr))) == ("ACTIVE", "ACTIVE", {"C1"})
    assert_told(org, jane)


# -- create ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("activate", "status"), [(True, "ACTIVE"), (False, "PENDING_ACTIVATION")])
def test_a_new_user_is_made_of_the_record_and_activated_or_not(org: World, activate: bool, status: str) -> None:
    hr = queue_of(org, person("E1", department="Legal"))
    result = org.review(hr, "E1", Verdict.CREATE, activate=activate)
    user = org.user_of(hr, "E1")
    assert (user.status, user.profile["department"], user.login) == (status, "Legal", "e1@example.com")
    assert result.user is not None
    assert (result.user.id, org.queue(hr)) == (user.id, {})
    assert org.kinds(user.id) == ["user.create"] + ["user.activate"] * activate


def test_of_two_rows_for_one_login_the_second_creation_is_refused(org: World) -> None:
    hr = queue_of(org, person("E1", email="one@x.org"), person("E2", email="one@x.org"))
    items = [Item(org.account(hr, name).id, Verdict.CREATE) for name in ("E1", "E2")]
    made, second = review.decide(org.engine, ADMIN, now(), items)
    assert (made.error, refused(second)) == (None, Invalid)
    assert org.by_login("one@x.org") is not None
    assert set(org.queue(hr)) == {"E2"}


def test_a_record_that_todays_policy_finds_invalid_cannot_be_made_a_user(org: World) -> None:
    hr = queue_of(org, person("E1"))
    org.set_policy(hr, calm(confirmation=WAITING, username=BY_UPN))
    assert refused(org.review(hr, "E1", Verdict.CREATE)) is Invalid
    assert refused(org.review(hr, "E1", Verdict.LINK, user_id=org.by_hand("jane").id)) is Invalid


# -- ignore ---------------------------------------------------------------------------------------------------------------


def test_ignore_sticks_to_the_external_id_through_inactivity_and_absence_until_it_is_taken_back(org: World) -> None:
    hr = queue_of(org, person("E1"), person("X"))
    org.review(hr, "E1", Verdict.IGNORE)
    org.set_policy(hr, calm())
    stories = [[person("E1")], [person("E1", active=False)], [], [person("E1", title="Lead")], [person("E1", email="e9@x.org")]]
    for records in stories:
        org.send(hr, [*records, person("X")])
        assert (org.account(hr, "E1").user_id, "E1" in org.queue(hr), set(org.queue(hr, ignored=True))) == (None, False, {"E1"})
    org.delta(hr, [])
    org.by_hand("e9", login="e9@x.org")
    assert org.account(hr, "E1").user_id is None
    org.review(hr, "E1", Verdict.UNIGNORE)
    assert org.queue(hr)["E1"] == ("EXACT", "exact", ["e9@x.org"])
    org.delta(hr, [])
    assert org.user_of(hr, "E1").profile["title"] == "Lead"


def test_the_plan_names_an_ignored_record_and_does_nothing(org: World) -> None:
    hr = queue_of(org, person("E1"))
    org.review(hr, "E1", Verdict.IGNORE)
    row = org.change(org.send(hr, [person("E1")]), "E1")
    assert (row.situation, row.action, row.rule) == ("UNMATCHED", "ignore", "ignored")


def test_an_ignored_row_is_nobodys_absence(org: World) -> None:
    hr = queue_of(org, person("E1"))
    org.review(hr, "E1", Verdict.IGNORE)
    run = org.send(hr, [{"profile": {}}])
    assert (run.status, org.situations(run)) == ("COMPLETED", {"INACTIVE_UNKNOWN": 1, "INVALID": 1})
    assert org.change(run, "E1").action == "ignore"


def test_who_is_inactive_when_ignore_is_taken_back_does_not_wait(org: World) -> None:
    hr = queue_of(org, person("E1"))
    org.review(hr, "E1", Verdict.IGNORE)
    org.delta(hr, [person("E1", active=False)])
    assert org.review(hr, "E1", Verdict.UNIGNORE).error is None
    assert (org.queue(hr), org.queue(hr, ignored=True)) == ({}, {})
    assert org.situations(org.delta(hr, [person("E1", active=True)])) == {"UNMATCHED": 1}


def test_linking_an_ignored_row_takes_the_ignoring_back(org: World) -> None:
    jane = org.by_hand("jane")
    hr = queue_of(org, person("E1", email="jane@example.com"))
    org.review(hr, "E1", Verdict.IGNORE)
    assert org.review(hr, "E1", Verdict.LINK).error is None
    assert (org.account(hr, "E1").user_id, org.account(hr, "E1").ignored) == (jane.id, False)


# -- one or many ------------------------------------------------------------------------------------------------------------


def test_each_decision_has_its_own_result_and_none_takes_the_others_with_it(org: World) -> None:
    hr = queue_of(org, person("E1"), person("E2"), person("E3"))
    ids = [org.account(hr, name).id for name in ("E1", "E2", "E3")]
    verdicts = [
        Item(ids[0], Verdict.CREATE),
        Item(ids[1], Verdict.LINK),
        Item("0uaNoSuchAccount0000", Verdict.IGNORE),
        Item(ids[2], Verdict.IGNORE),
    ]
    results = review.decide(org.engine, ADMIN, now(), verdicts)
    assert [result.account_id for result in results] == [item.account_id for item in verdicts]
    assert [result.error is None for result in results] == [True, False, False, True]
    assert (set(org.queue(hr)), set(org.queue(hr, ignored=True))) == ({"E2"}, {"E3"})


def test_a_row_that_no_longer_waits_is_nobodys_to_decide(org: World) -> None:
    hr = queue_of(org, person("E1"), person("E2"))
    org.review(hr, "E1", Verdict.CREATE)
    org.send(hr, [person("E1"), person("E2", active=False)])
    jane = org.by_hand("jane")
    for name in ("E1", "E2"):
        for verdict, more in ((Verdict.LINK, {"user_id": jane.id}), (Verdict.CREATE, {}), (Verdict.IGNORE, {}), (Verdict.UNIGNORE, {})):
            assert refused(org.review(hr, name, verdict, **more)) is WrongState


def test_a_reviewer_decides_while_a_run_is_held_and_the_run_finds_it_done(org: World) -> None:
    hr = queue_of(org, person("E1"), person("E2"))
    org.review(hr, "E1", Verdict.CREATE, activate=True)
    held = org.send(hr, [{"profile": {}}, person("E2")])
    assert held.status == "HELD"
    org.review(hr, "E2", Verdict.CREATE, activate=True)
    assert org.run(held.id).status == "HELD"
    org.approve(held)
    assert (org.run(held.id).status, org.user_of(hr, "E2").status, org.user_of(hr, "E1").status) == ("COMPLETED", "ACTIVE", "DEACTIVATED")


def test_one_decision_refreshes_the_rows_that_wanted_the_same(org: World) -> None:
    hr = queue_of(org, person("E1", email="jane@x.org"))
    ad = org.app("AD", calm(confirmation=WAITING))
    org.send(ad, [person("a1", email="jane@x.org")])
    org.review(hr, "E1", Verdict.CREATE)
    assert org.queue(ad)["a1"] == ("EXACT", "exact", ["jane@x.org"])


def test_the_apps_options_of_the_moment_judge_a_reviewers_link(org: World) -> None:
    jane = org.by_hand("jane", employeeNumber="B7")
    org.act(jane.id, "deactivate")
    hr = queue_of(org, person("E1", badge="B7"), mastering=RETURNS)
    by_badge = Matching(username=False, attributes=(AttributePair("badge", "employeeNumber"),))
    org.set_policy(hr, calm(confirmation=WAITING, matching=by_badge, mastering=RETURNS))
    org.review(hr, "E1", Verdict.LINK, user_id=jane.id)
    assert org.user(jane.id).status == "ACTIVE"


# -- who is ignored and gone ------------------------------------------------------------------------------------------------


def test_who_was_absent_while_ignored_does_not_wait_when_ignore_is_taken_back_and_no_delta_makes_them_a_user(org: World) -> None:
    hr = queue_of(org, person("E1"), person("X"))
    org.review(hr, "E1", Verdict.IGNORE)
    org.set_policy(hr, calm())
    for _ in range(2):
        run = org.send(hr, [person("X")])
        assert (org.account(hr, "E1").account, org.account(hr, "E1").ignored) == ("MISSING", True)
    assert [row.external_id for row in org.changes(run)] == []
    assert org.review(hr, "E1", Verdict.UNIGNORE).error is None
    assert org.queue(hr) == {}
    org.delta(hr, [])
    assert (org.account(hr, "E1").user_id, org.by_login("e1@example.com")) == (None, None)
    org.delta(hr, [person("E1", active=True)])
    assert org.user_of(hr, "E1").login == "e1@example.com"


@pytest.mark.parametrize("gone", ["inactive", "absent"])
@pytest.mark.parametrize("back", [False, True])
def test_a_return_that_is_ignored_and_goes_again_does_not_wait_when_ignore_is_taken_back(org: World, gone: str, back: bool) -> None:
    hr = org.app("HR", calm(mastering=master(deactivated=True)))
    org.send(hr, [person("C1", email="jane@x.org"), person("X")])
    user = org.user_of(hr, "C1").id
    org.send(hr, [person("E1", email="jane@x.org"), person("X")])
    org.delta(hr, [person("C1", email="jane@x.org", active=True)])
    assert org.queue(hr) == {"C1": ("CONFLICT", "place_taken", ["jane@x.org"])}
    org.review(hr, "C1", Verdict.IGNORE)
    left = [person("C1", email="jane@x.org", active=False)] if gone == "inactive" else []
    for _ in range(2):
        org.send(hr, [*left, person("E1", email="jane@x.org"), person("X")])
        assert (set(org.queue(hr)), set(org.queue(hr, ignored=True))) == (set(), {"C1"})
    if back:
        org.delta(hr, [person("C1", email="jane@x.org", active=True)])
    assert org.review(hr, "C1", Verdict.UNIGNORE).error is None
    assert set(org.queue(hr)) == ({"C1"} if back else set())
    org.delta(hr, [person("E1", email="jane@x.org", active=False)])
    assert org.user(user).status == ("ACTIVE" if back else "DEACTIVATED")
