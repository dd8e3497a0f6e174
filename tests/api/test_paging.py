"""Lists come in pages that lead to each other (API.md, habits)."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from httpx import URL

from mastering.clock import now
from tests.api.service import Service, causes, profile, record, refusal


def walk(service: Service, path: str, **params: Any) -> Iterator[list[Any]]:
    """The pages of a list, by their links."""
    answer = service.ask("GET", path, params=params)
    while True:
        yield answer.json()
        here = URL(answer.links["self"]["url"])
        assert (here.copy_with(query=None), set(here.params.multi_items())) == (
            answer.request.url.copy_with(query=None),
            set(answer.request.url.params.multi_items()),
        )
        if "next" not in answer.links:
            return
        answer = service.ask("GET", answer.links["next"]["url"])


@pytest.fixture
def busy(service: Service) -> tuple[Service, dict[str, str]]:
    """A service with five of everything, and the paths of its lists."""
    app_id = service.source()
    run = service.send(app_id, [record(f"p{number}") for number in range(5)])
    for number in range(4):
        service.app(f"App {number}")
        service.send(app_id, [], mode="INCREMENTAL")
        service.caller("auditor")
    service.policy(app_id, mastering={"enabled": True})
    service.send(app_id, [record(f"q{number}") for number in range(5)], mode="INCREMENTAL")
    user = service.get("/users/p0@example.com")
    for number in range(4):
        service.put(f"/users/{user['id']}/hold", json={"reason": f"hold {number}"})
    return service, {
        "users": "/users",
        "history": f"/users/{user['id']}/history",
        "apps": "/apps",
        "app users": f"/apps/{app_id}/users",
        "runs": "/imports",
        "an app's runs": f"/apps/{app_id}/imports",
        "changes": f"/imports/{run['id']}/changes",
        "review": "/review",
        "mappings": "/mappings",
        "tokens": "/tokens",
        "logs": "/logs",
    }


def test_the_pages_of_every_list_have_everything_once_and_in_order(busy: tuple[Service, dict[str, str]]) -> None:
    service, lists = busy
    for name, path in lists.items():
        bounded = {"until": "9999-01-01T00:00:00Z"} if name == "logs" else {}
        whole = service.get(path, params=bounded)
        pages = list(walk(service, path, limit=2, **bounded))
        assert len(whole) >= 5, name
        assert [item for page in pages for item in page] == whole, name
        assert {len(page) for page in pages[:-1]} == {2}, name


def test_a_page_keeps_the_questions_that_were_asked(service: Service) -> None:
    for name in ("jane", "john", "jim"):
        service.user(name, activate=False)
    asked = {"filter": 'status eq "STAGED"', "limit": 2}
    assert [len(page) for page in walk(service, "/users", **asked)] == [2, 1]


@pytest.mark.parametrize(
    ("path", "most"),
    [("/users", 200), ("/apps", 200), ("/mappings", 200), ("/imports", 200), ("/review", 200), ("/tokens", 200), ("/logs", 1000)],
)
def test_a_limit_is_a_number_and_bounded(service: Service, path: str, most: int) -> None:
    assert service.ask("GET", path, params={"limit": most}).is_success
    for limit in (-1, most + 1, 10**30) if path == "/logs" else (0, -1, most + 1, 10**30):  # Okta's log takes 0: where polling begins
        answer = service.ask("GET", path, params={"limit": limit})
        assert refusal(answer) == (400, "E0000001")
        assert causes(answer)[0].startswith("limit: expected int")
    assert causes(service.ask("GET", path, params={"limit": "1.5"})) == ["limit: expected int, got str"]


@pytest.mark.parametrize("after", ["abc", "-1", "9" * 30])
def test_an_after_that_no_page_gave_is_refused_where_it_shows(service: Service, after: str) -> None:
    user = service.user("jane")
    answer = service.ask("GET", f"/users/{user['id']}/history", params={"after": after})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer)[0].startswith("after: expected int")


@pytest.mark.parametrize(
    "login", ["محمد@example.com", "jos\u00e9@example.com", "a>;rel=x@example.com", "what?@example.com", "a b\r\nX: y@example.com"]
)
def test_a_link_can_hold_any_login(service: Service, login: str) -> None:
    service.post("/users", json={"profile": {**profile("jane"), "login": login}})
    answer = service.ask("GET", f"/users/{quote(login)}/history", params={"limit": 1})
    assert answer.is_success, answer.text
    assert answer.headers["link"].isascii()
    assert len(answer.headers["link"].split(">; rel=")) == 3
    assert service.ask("GET", answer.links["next"]["url"]).json()[0]["type"] == "user.create"


@pytest.mark.parametrize("host", ["people.example", "people.example:8443", "10.0.0.1:80", "[::1]", "[2001:db8::1]:65535", "host_1"])
def test_a_link_leads_to_the_host_that_was_asked(service: Service, host: str) -> None:
    answer = service.ask("GET", "/users", headers={"Host": host})
    assert answer.links["self"]["url"] == f"http://{host}/api/v1/users"


@pytest.mark.parametrize(
    "host",
    ["a>b", "a b", "[::1]:x", "evil.example/path?x=", "user@evil.example", "a,b", "x:999999", "x:65536", "[:::::]", "[1]", "[fe80::1%>]"],
)
def test_a_host_that_could_be_something_else_is_refused(service: Service, host: str) -> None:
    answer = service.ask("GET", "/users", headers={"Host": host})
    assert refusal(answer) == (400, "E0000001")
    assert causes(answer) == ["Host: is not the name of a host"]


def test_timestamps_are_utc_with_milliseconds(service: Service) -> None:
    user = service.user("jane")
    for name in ("created", "lastUpdated", "statusChanged", "activated"):
        assert len(user[name]) == len("2026-01-31T00:00:00.000Z")
        assert (user[name][10], user[name][19], user[name][-1]) == ("T", ".", "Z")
    assert user["created"][:4] == str(now().year)
