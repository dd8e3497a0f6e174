"""Imports from a real SCIM server, through a proxy that spoils its answers: read to the end or not at all (SPEC §5.1; docs/faults.md)."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.peers.directory import MASTER, Directory
from tests.peers.proxy import Asked, Fault, Proxy, Told, cut_off, failing, html, late, only, too_many
from tests.peers.servers import Server, canaille, resource

_NAMES = count()


@pytest.fixture
def people() -> list[str]:
    """Names that nobody has had before."""
    number = next(_NAMES)
    return [f"p{number}-{each}" for each in ("ada", "grace", "jane")]


@pytest.fixture
def app_id(service: Directory, hr: Server, proxy: Proxy, people: list[str]) -> str:
    """An app whose server has three people, all of whom have been imported."""
    hr.add(*(resource(name, title="Analyst") for name in people))
    app_id = service.app("HR", MASTER, proxy.base_url)
    assert service.completed(app_id)["situations"] == {"UNMATCHED": 3}
    proxy.heal()
    return app_id


def of_users(fault: Fault) -> Fault:
    return only("GET", "/Users", fault)


def one_to_a_page(_: Asked, told: Told) -> Told:
    """A server that caps its pages at one person."""
    return told.saying(Resources=told.document()["Resources"][:1], itemsPerPage=1)


def repeated_page() -> Fault:
    """Whatever page is asked for, the first one comes."""
    first: list[Told] = []

    def fault(asked: Asked, told: Told) -> Told:
        first.append(one_to_a_page(asked, told))
        return first[0]

    return fault


def growing_total() -> Fault:
    """Every page has another opinion of how many people there are."""
    said = count(3)
    return lambda asked, told: one_to_a_page(asked, told).saying(totalResults=next(said))


@pytest.mark.parametrize(
    "fault",
    [too_many("0"), failing(500), failing(503), cut_off, late(0.5)],
    ids=["too many requests", "a bad moment", "unavailable", "the line goes dead", "late"],
)
def test_what_passes_is_waited_for_and_the_import_is_whole(service: Directory, app_id: str, hr: Server, proxy: Proxy, fault: Fault) -> None:
    hr.replace(next(iter(hr.users())), title="Director")
    proxy.spoil(of_users(fault))
    assert service.completed(app_id)["situations"] == {"CHANGED": 1, "UNCHANGED": 2}


def test_a_server_that_asks_to_be_left_alone_is_left_alone_that_long(service: Directory, app_id: str, proxy: Proxy) -> None:
    proxy.spoil(of_users(too_many("1")))
    run = service.completed(app_id)
    assert run["durationMs"] > 1000
    assert [status for asked, status in proxy.seen if asked.path.endswith("/Users")][:2] == [429, 200]


@pytest.mark.parametrize(
    ("fault", "said"),
    [(html, "text/html"), (repeated_page(), "twice"), (growing_total(), "totalResults")],
    ids=["a login page", "a page that repeats", "a total that grows"],
)
def test_what_cannot_be_read_whole_changes_nothing_and_takes_nobody_for_gone(
    service: Directory, app_id: str, hr: Server, proxy: Proxy, people: list[str], fault: Fault, said: str
) -> None:
    hr.delete(f"{people[0]}@example.com")  # two are left
    proxy.spoil(of_users(fault), times=1000)
    run = service.pull(app_id)
    assert run["status"] == "FAILED"
    assert "could not be read" in run["error"]
    assert run["situations"] == {}
    assert service.user(f"{people[0]}@example.com")["status"] == "ACTIVE"
    proxy.heal()
    assert service.completed(app_id)["situations"] == {"WENT_MISSING": 1, "UNCHANGED": 2}


def test_a_server_that_caps_its_pages_is_read_to_the_end(service: Directory, app_id: str, proxy: Proxy) -> None:
    proxy.spoil(of_users(one_to_a_page), times=1000)
    run = service.completed(app_id)
    assert run["situations"] == {"UNCHANGED": 3}
    assert [asked.start for asked in proxy.asked("GET", "/Users")][:3] == [1, 2, 3]


def test_a_delta_asks_for_what_has_changed_and_concludes_nothing_from_absence(
    service: Directory, app_id: str, hr: Server, proxy: Proxy, people: list[str]
) -> None:
    hr.delete(f"{people[2]}@example.com")
    hr.replace(f"{people[0]}@example.com", title="Director")
    run = service.completed(app_id, "INCREMENTAL")
    assert run["situations"]["CHANGED"] == 1
    assert "WENT_MISSING" not in run["situations"]
    (asked,) = {asked.params.get("filter", "")[:20] for asked in proxy.asked("GET", "/Users")}
    assert asked == "meta.lastModified gt"


def statuses(service: Directory, people: list[str]) -> list[Any]:
    return [service.user(f"{name}@example.com")["status"] for name in people]


def test_leavers_and_returners_of_a_real_server_leave_and_return(service: Directory, app_id: str, hr: Server, people: list[str]) -> None:
    hr.replace(f"{people[0]}@example.com", active=False)
    hr.delete(f"{people[1]}@example.com")
    assert service.completed(app_id)["situations"] == {"WENT_INACTIVE": 1, "WENT_MISSING": 1, "UNCHANGED": 1}
    assert statuses(service, people) == ["DEPROVISIONED", "DEPROVISIONED", "ACTIVE"]
    hr.replace(f"{people[0]}@example.com", active=True)
    assert service.completed(app_id)["situations"] == {"CAME_BACK": 1, "UNCHANGED": 2}
    assert statuses(service, people) == ["ACTIVE", "DEPROVISIONED", "ACTIVE"]


def test_a_server_that_fails_on_a_page_size_and_does_not_filter_is_read_all_the_same(
    service: Directory, people: list[str], tmp_path: Path
) -> None:
    with canaille(tmp_path) as server:
        server.add(*(resource(name, title="Analyst") for name in people))
        app_id = service.app("HR", MASTER, server.base_url)
        assert service.completed(app_id)["situations"] == {"UNMATCHED": 3}
        server.replace(f"{people[0]}@example.com", active=False)
        server.delete(f"{people[1]}@example.com")
        run = service.completed(app_id, "INCREMENTAL")
        assert run["situations"] == {"WENT_INACTIVE": 1, "UNCHANGED": 1}
        assert run["pull"]["fallback"] == "its /ServiceProviderConfig says that it does not filter"
        assert service.completed(app_id)["situations"] == {"WENT_MISSING": 1, "UNCHANGED": 2}
        assert statuses(service, people) == ["DEPROVISIONED", "DEPROVISIONED", "ACTIVE"]
