"""The ranked list of masters (API.md, /profile-masters; SPEC §3)."""

import pytest

from tests.api.service import Service, causes, record, refusal


def test_a_newly_enabled_master_goes_last(service: Service) -> None:
    first, second = service.master("HR"), service.master("AD")
    service.app("Chat")
    expected = [{"appId": first, "label": "HR", "rank": 1}, {"appId": second, "label": "AD", "rank": 2}]
    assert service.get("/profile-masters") == {"masters": expected}


def test_one_that_comes_back_goes_last(service: Service) -> None:
    first = service.master("HR")
    service.master("AD")
    service.post(f"/apps/{first}/lifecycle/deactivate")
    assert service.ranking() == ["AD"]
    service.post(f"/apps/{first}/lifecycle/activate")
    assert service.ranking() == ["AD", "HR"]


def test_what_was_read_can_be_put_in_another_order(service: Service) -> None:
    service.master("HR")
    service.master("AD")
    read = service.get("/profile-masters")["masters"]
    told = service.put("/profile-masters", json={"masters": read[::-1]})
    assert [(master["label"], master["rank"]) for master in told["masters"]] == [("AD", 1), ("HR", 2)]
    event = service.last_event()
    assert (event["type"], event["new"]) == ("masters.update", event["old"][::-1])


def test_the_order_names_exactly_the_enabled_masters(service: Service) -> None:
    hr, ad, chat = service.master("HR"), service.master("AD"), service.app("Chat")
    wrong: list[list[str]] = [[], [hr], [hr, hr], [hr, ad, chat], [hr, ad, "0oaNobody"], [hr, ad, ad]]
    for order in wrong:
        answer = service.ask("PUT", "/profile-masters", json={"masters": [{"appId": app_id} for app_id in order]})
        assert refusal(answer) == (400, "E0000001"), order
        assert causes(answer), order
        assert all(cause.startswith("masters: ") for cause in causes(answer))
    assert service.ranking() == ["HR", "AD"]


@pytest.mark.parametrize("body", [{}, {"masters": None}, {"masters": ["0oa1"]}, {"masters": [], "order": 1}, []])
def test_a_list_of_another_shape_is_refused(service: Service, body: object) -> None:
    assert refusal(service.ask("PUT", "/profile-masters", json=body)) == (400, "E0000001")


def test_another_order_maps_profiles_again_and_moves_no_status(service: Service) -> None:
    hr, ad = service.source("HR"), service.source("AD")
    service.send(hr, [record("jane", department="Sales")])
    service.send(ad, [record("jane", department="IT")])
    assert service.get("/users/jane@example.com")["profile"]["department"] == "Sales"
    service.put("/profile-masters", json={"masters": [{"appId": ad}, {"appId": hr}]})
    jane = service.get("/users/jane@example.com")
    assert (jane["profile"]["department"], jane["status"]) == ("IT", "ACTIVE")
    assert service.get(f"/users/{jane['id']}/masters")["authority"] == {"appId": ad, "label": "AD"}
