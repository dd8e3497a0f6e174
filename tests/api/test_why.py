"""Why, over HTTP: what decided an event, or keeps an account waiting, and what would have changed it (SPEC §13)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.service import Service, causes, record, refusal

CONFIRMED = {"autoConfirmExact": True, "autoConfirmNew": True, "autoActivateNew": True}


def master(service: Service, label: str, **mastering: Any) -> str:
    app_id = service.app(label)
    service.policy(app_id, confirmation=CONFIRMED, mastering={"enabled": True, **mastering}, safeguard={"enabled": False})
    return app_id


@pytest.fixture
def org(service: Service) -> tuple[Service, str, str]:
    """HR above AD, both with an account of Jane's."""
    service.put("/org/safeguard", json={"enabled": False})
    hr, ad = master(service, "HR"), master(service, "AD")
    service.send(hr, [record("jane"), record("ann")])
    service.send(ad, [record("jane"), record("ann")])
    return service, hr, ad


def why(service: Service, user: str = "jane@example.com", **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = service.get(f"/users/{user}/why", params=params)
    return answer


def named(told: dict[str, Any]) -> dict[tuple[str, Any], dict[str, Any]]:
    return {(each["flips"][0]["what"], each["flips"][0]["to"]): each for each in told["wouldChange"] if len(each["flips"]) == 1}


def test_a_leaver_is_told_with_who_had_authority_who_had_not_and_what_would_have_kept_them(org: tuple[Service, str, str]) -> None:
    service, hr, ad = org
    service.send(hr, [record("jane", active=False), record("ann")])
    told = why(service)
    assert (told["event"]["type"], told["decidedBy"], told["statusBefore"], told["agrees"]) == ("user.deactivate", "import", "ACTIVE", True)
    assert (told["event"]["rule"], told["event"]["facts"]["situation"]) == ("when_deactivated", "WENT_INACTIVE")
    assert [(each["appId"], each["rank"], each["authority"], each["silent"]) for each in told["voices"]] == [
        (hr, 1, True, None),
        (ad, 2, False, "outranked"),
    ]
    found = named(told)
    assert found["hold", True]["reason"] == "held_by_admin"
    assert found["mastering.whenDeactivated", "SUSPEND"]["to"] == "SUSPENDED"
    assert found["rank", 2]["reason"] == "not_authority"
    assert told["safeguards"]["app"] == {"unassigned": 1, "assigned": 2, "limit": 20, "inForce": False, "wouldHoldAt": 49}
    distances = [each["distance"] for each in told["wouldChange"]]
    assert distances == sorted(distances)


def test_a_word_that_was_not_followed_is_told_by_its_event_and_listed_with_what_happened_before(org: tuple[Service, str, str]) -> None:
    service, _, ad = org
    service.send(ad, [record("jane", active=False), record("ann")])
    refused = why(service)["refusedSince"]
    assert [(each["type"], each["reason"]) for each in refused] == [("account.inactive", "not_authority")]
    told = why(service, event=refused[0]["id"])
    assert told == why(service, event=str(refused[0]["seq"]))
    assert (told["event"]["reason"], [each["spoke"] for each in told["voices"]]) == ("not_authority", [False, True])
    assert named(told)["rank", 1]["to"] == "DEACTIVATED"
    assert named(told)["account.assigned", False]["to"] == "DEACTIVATED"


def test_an_admins_act_is_the_admins_and_says_what_else_was_open(org: tuple[Service, str, str]) -> None:
    service, _, _ = org
    service.post("/users/jane@example.com/lifecycle/suspend", json={"reason": "lost laptop"})
    told = why(service)
    assert (told["decidedBy"], told["event"]["reason"], told["wouldChange"], told["openMoves"]) == (
        "admin",
        "lost laptop",
        [],
        ["deactivate"],
    )


def test_the_ranking_and_the_policy_are_those_of_the_event_and_not_those_of_now(org: tuple[Service, str, str]) -> None:
    service, hr, ad = org
    service.send(hr, [record("jane", active=False), record("ann")])
    before = why(service)
    service.put("/profile-masters", json={"masters": [{"appId": ad}, {"appId": hr}]})
    service.policy(hr, mastering={"enabled": True, "whenDeactivated": "DO_NOTHING"})
    service.put("/org/safeguard", json={"enabled": True})
    after = why(service, event=before["event"]["id"])
    assert after == before


def test_until_an_instant_it_is_the_last_move_until_then(org: tuple[Service, str, str]) -> None:
    service, hr, _ = org
    created = why(service)
    service.send(hr, [record("jane", active=False), record("ann")])
    assert why(service, at=created["event"]["at"])["event"]["id"] == created["event"]["id"]
    assert why(service)["event"]["type"] == "user.deactivate"


def test_a_deleted_user_is_explained_by_id(org: tuple[Service, str, str]) -> None:
    service, _, _ = org
    user_id = service.get("/users/jane@example.com")["id"]
    for _ in range(2):
        service.ask("DELETE", f"/users/{user_id}")
    assert why(service, user_id)["event"]["type"] == "user.delete"


def test_what_cannot_be_explained_is_refused_by_name(org: tuple[Service, str, str]) -> None:
    service, _, _ = org
    assert refusal(service.ask("GET", "/users/nobody@example.com/why"))[0] == 404
    assert refusal(service.ask("GET", "/users/jane@example.com/why?event=evt0"))[0] == 404
    assert refusal(service.ask("GET", "/users/jane@example.com/why?at=2001-01-01T00:00:00Z"))[0] == 404
    both = service.ask("GET", "/users/jane@example.com/why?event=1&at=2026-01-01T00:00:00Z")
    assert causes(both) == ["event: name an event or an instant, not both"]
    assert refusal(service.ask("GET", "/review/0uaNobody/why"))[0] == 404


def test_a_waiting_account_says_why_each_candidate_lost_and_what_would_confirm_it(service: Service) -> None:
    jane, ann = (service.user(name, firstName="Jane")["id"] for name in ("jane", "ann"))
    app_id = service.app()
    service.policy(app_id, matching={"username": True, "allowPartial": True})
    service.send(app_id, [record("jane", firstName="Jane")])
    (row,) = service.get("/review")
    told = service.get(f"/review/{row['appUserId']}/why")
    assert (told["situation"], told["wouldBe"], told["fault"], told["rivals"]) == ("EXACT", "EXACT", None, [])
    lost = {each["userId"]: (each["match"], each["lost"]) for each in told["considered"]}
    assert lost == {jane: ("EXACT", "not_confirmed"), ann: ("PARTIAL", "exact_beats_partial")}
    first = told["wouldChange"][0]
    assert (first["flips"][0]["what"], first["action"], first["userId"]) == ("confirmation.autoConfirmExact", "link", jane)
    assert ("matching.username", False) not in named(told), "then two would fit equally well, and it would wait all the same"


def test_a_record_that_claims_what_another_claims_names_the_other(service: Service) -> None:
    service.user("jane")
    app_id = service.app()
    service.policy(app_id, confirmation={"autoConfirmExact": True})
    service.send(app_id, [record("a1", email="jane@example.com"), record("a2", email="jane@example.com")])
    queue = {row["externalId"]: row for row in service.get("/review")}
    told = service.get(f"/review/{queue['a1']['appUserId']}/why")
    assert [each["externalId"] for each in told["rivals"]] == ["a2"]
    assert [each["flips"][0]["what"] for each in told["wouldChange"] if each["action"] == "link"] == ["record.claimedTwice"]


def test_a_record_whose_login_somebody_else_has_names_who_has_it(service: Service) -> None:
    other = service.user("jane", email="other@example.com", lastName="Else")["id"]
    app_id = service.app()
    service.policy(app_id, matching={"username": False, "email": True}, confirmation=CONFIRMED)
    service.send(app_id, [record("jane")])
    (row,) = service.get("/review")
    told = service.get(f"/review/{row['appUserId']}/why")
    assert [(each["userId"], each["lost"], each["agrees"]) for each in told["considered"]] == [
        (other, "no_match_but_has_the_login", ["login"])
    ]
    assert named(told)["login.taken", False]["action"] == "create"


def test_an_auditor_may_ask_and_an_importer_may_not(org: tuple[Service, str, str]) -> None:
    service, hr, _ = org
    path = "/users/jane@example.com/why"
    assert service.caller("auditor").ask("GET", path).status_code == 200
    assert service.caller("importer", hr).ask("GET", path).status_code == 403
