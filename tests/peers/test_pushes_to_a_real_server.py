"""Deliveries to a real SCIM server through a proxy that spoils its answers: done once, and in the end done (SPEC §10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count

import pytest

from tests.peers.directory import MASTER, MATCHED_ONLY, Directory, until
from tests.peers.proxy import Proxy, cut_off, failing, html, late, only, proxy_before, too_many
from tests.peers.servers import TOKEN, Server, resource

_NAMES = count()
LOST = {
    "too many requests": too_many("0"),
    "a bad moment": failing(500),
    "unavailable": failing(503),
    "the line goes dead": cut_off,
    "a login page": html,
    "late": late(0.5),
}
"""What was asked has been done each time: it is the answer that is lost."""


@pytest.fixture
def name() -> str:
    """A name that nobody has had before."""
    return f"push{next(_NAMES)}"


def made(service: Directory, name: str) -> str:
    """A person whom an admin makes; their id."""
    profile = {"login": f"{name}@example.com", "email": f"{name}@example.com", "firstName": name.title(), "lastName": "Doe"}
    user_id: str = service.ask("POST", "/users", params={"activate": "true"}, json={"profile": profile})["id"]
    return user_id


def accounts(server: Server) -> list[tuple[str, bool]]:
    return [(user_name, found["active"]) for user_name, found in server.users().items()]


def test_what_has_been_done_is_done_once_though_the_answer_is_lost(service: Directory, servers: Callable[[], Server], name: str) -> None:
    with ExitStack() as stack:  # an app to a fault, all at once, as each is waited for
        proxies = {fault: stack.enter_context(proxy_before(servers().base_url)) for fault in LOST}
        user_id = made(service, name)
        apps = {fault: service.app(fault, MATCHED_ONLY, proxy.base_url, push=True) for fault, proxy in proxies.items()}
        for fault, proxy in proxies.items():
            proxy.spoil(only("POST", "/Users", LOST[fault]))
            service.assign(apps[fault], user_id)
        until(lambda: synchronized(service, apps, user_id), "the accounts are there, and known")
        for fault, proxy in proxies.items():
            assert accounts(Server(proxy.base_url)) == [(f"{name}@example.com", True)], fault
            assert service.completed(apps[fault])["situations"] == {"UNCHANGED": 1}, fault

        for fault, proxy in proxies.items():
            proxy.spoil(only("PATCH", "", LOST[fault]))
        service.ask("POST", f"/users/{user_id}/lifecycle/deactivate")
        until(lambda: synchronized(service, apps, user_id), "the deactivation has been delivered")
        for fault, proxy in proxies.items():
            assert accounts(Server(proxy.base_url)) == [(f"{name}@example.com", False)], fault


def synchronized(service: Directory, apps: Mapping[str, str], user_id: str) -> bool:
    return {service.sync_state(app_id, user_id) for app_id in apps.values()} == {"SYNCHRONIZED"}


def test_a_server_that_takes_our_credentials_no_more_loses_nothing_by_it(service: Directory, hr: Server, proxy: Proxy, name: str) -> None:
    app_id = service.app("Wiki", MATCHED_ONLY, proxy.base_url, push=True)
    proxy.spoil(failing(401), times=1000)
    user_id = made(service, name)
    service.assign(app_id, user_id)
    until(lambda: len(proxy.seen) > 0, "the delivery has been tried")
    service.ask("POST", f"/users/{user_id}/lifecycle/suspend")
    service.ask("POST", f"/users/{user_id}/lifecycle/unsuspend")
    assert accounts(hr) == []
    proxy.heal()
    service.connect(app_id, proxy.base_url, TOKEN)
    until(lambda: accounts(hr) == [(f"{name}@example.com", True)], "what waited has been delivered")


def test_somebody_who_has_an_account_already_keeps_it(service: Directory, hr: Server, proxy: Proxy, name: str) -> None:
    (there,) = hr.add(resource(name, nickName="the first", active=False))
    app_id = service.app("Wiki", MATCHED_ONLY, proxy.base_url, push=True)
    service.assign(app_id, made(service, name))
    until(lambda: accounts(hr) == [(f"{name}@example.com", True)], "the account is taken over")
    found = hr.users()[f"{name}@example.com"]
    assert (found["id"], found["nickName"]) == (there, "the first")
    assert proxy.asked("POST", "/Users") == []


def test_nothing_is_said_twice_and_a_master_is_not_told_what_it_said(service: Directory, hr: Server, proxy: Proxy, name: str) -> None:
    hr.add(resource(name, title="Analyst"))
    app_id = service.app("HR", MASTER, proxy.base_url, push=True)
    service.completed(app_id)
    hr.replace(f"{name}@example.com", title="Director")
    proxy.heal()
    assert service.completed(app_id)["situations"] == {"CHANGED": 1}
    assert service.completed(app_id)["situations"] == {"UNCHANGED": 1}
    assert proxy.writes() == []
