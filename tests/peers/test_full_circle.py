"""The full circle: HR's server, the directory, and an app that is pushed to, all of them real processes (SPEC §§5-7, 10, 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import count
from typing import Any

import pytest

from tests.peers.directory import MASTER, MATCHED_ONLY, Directory, until
from tests.peers.proxy import Proxy, proxy_before
from tests.peers.servers import ENTERPRISE, Server, canaille, resource

_NAMES = count()


@pytest.fixture
def ada() -> str:
    """A name that nobody has had before."""
    return f"ada{next(_NAMES)}"


@pytest.fixture(params=["scim2-server", "canaille"])
def wiki(request: pytest.FixtureRequest, servers: Callable[[], Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of an app that is pushed to: one that keeps to the standard, and one that does not."""
    own = nullcontext(servers()) if request.param == "scim2-server" else canaille(tmp_path_factory.mktemp("canaille"))
    with own as server:
        yield server


def is_active(server: Server, user_name: str) -> bool | None:
    """What an app's server says of an account; `None` where it has none."""
    found = server.users().get(user_name)
    return None if found is None else bool(found["active"])


def test_a_person_leaves_and_comes_back_as_somebody_to_look_at_and_the_app_follows(
    service: Directory, hr: Server, wiki: Server, ada: str
) -> None:
    hr.add(resource(ada, title="Analyst", **{ENTERPRISE: {"department": "Engines"}}))
    hr_app = service.app("HR", MASTER, hr.base_url)
    assert service.completed(hr_app)["actions"] == {"create": 1}
    user_id = service.user(f"{ada}@example.com")["id"]

    wiki_app = service.app("Wiki", MATCHED_ONLY, wiki.base_url, push=True)
    service.map_outbound(wiki_app, name__formatted='user.firstName + " " + user.lastName')  # canaille wants it
    service.keep_usernames(wiki_app)  # and has user names for keys
    service.assign(wiki_app, user_id)
    until(lambda: is_active(wiki, f"{ada}@example.com") is True, "the account is made")
    account = wiki.users()[f"{ada}@example.com"]
    assert account["name"]["givenName"] == ada.title()
    assert [each["value"] for each in account["emails"]] == [f"{ada}@example.com"]
    assert account["title"] == "Analyst"

    hr.replace(f"{ada}@example.com", active=False)
    assert service.completed(hr_app)["actions"] == {"deactivate": 1}
    assert service.user(user_id)["status"] == "DEPROVISIONED"
    until(lambda: is_active(wiki, f"{ada}@example.com") is False, "the account turns inactive")

    hr.replace(f"{ada}@example.com", active=True, emails=[{"value": f"{ada}@lovelace.example"}])
    assert service.completed(hr_app)["actions"] == {"require_activation": 1}
    assert service.user(user_id)["status"] == "STAGED"
    assert is_active(wiki, f"{ada}@example.com") is False

    service.ask("POST", f"/users/{user_id}/lifecycle/activate", params={"sendEmail": "false"})
    until(lambda: any(each["id"] == account["id"] and each["active"] for each in wiki.users().values()), "the account is active again")
    (back,) = [each for each in wiki.users().values() if each["id"] == account["id"]]
    until(lambda: address(wiki, account["id"]) == f"{ada}@lovelace.example", "the account has the new address")
    assert len([each for each in wiki.users() if each.startswith(ada)]) == 1, back

    told = [
        event["type"]
        for event in reversed(service.history(user_id))
        if event["type"].startswith("user.") and event.get("from") != event.get("to")
    ]
    assert [event for event in told if event != "user.update"] == [
        "user.create",
        "user.activate",
        "user.deactivate",
        "user.require_activation",
        "user.activate",
    ]


def address(server: Server, account_id: str) -> str:
    (found,) = [each for each in server.users().values() if each["id"] == account_id]
    value: str = found["emails"][0]["value"]
    return value


def test_an_app_that_is_pulled_and_pushed_settles(service: Directory, hr: Server, servers: Callable[[], Server], ada: str) -> None:
    with proxy_before(servers().base_url) as wiki:
        people = [ada, f"{ada}-grace", f"{ada}-jane"]
        hr.add(*(resource(name, title="Analyst") for name in people))
        Server(wiki.base_url).add(resource(people[1]))  # somebody has an account there already
        hr_app = service.app("HR", MASTER, hr.base_url)
        service.completed(hr_app)
        wiki_app = service.app("Wiki", MATCHED_ONLY, wiki.base_url, push=True)
        service.completed(wiki_app)
        for name in people:
            service.assign(wiki_app, service.user(f"{name}@example.com")["id"])
        until(lambda: titles(wiki) == ["Analyst"] * 3, "everybody has been pushed")
        settled(service, wiki_app, wiki)

        hr.replace(f"{people[0]}@example.com", title="Director")
        service.completed(hr_app)
        until(lambda: "Director" in titles(wiki), "the change has been pushed")
        settled(service, wiki_app, wiki)


def titles(proxy: Proxy) -> list[Any]:
    return [each.get("title") for each in Server(proxy.base_url).users().values()]


def settled(service: Directory, app_id: str, wiki: Proxy) -> None:
    """See that a pull knows everybody again, that a second one finds nothing new, and that neither makes anything go out."""
    wiki.heal()
    assert service.completed(app_id)["situations"].keys() <= {"CHANGED", "UNCHANGED"}
    run = service.completed(app_id)
    assert run["situations"] == {"UNCHANGED": 3}
    assert service.completed(app_id, "INCREMENTAL")["actions"].keys() <= {"none"}
    assert wiki.writes() == []
