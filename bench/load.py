"""The API while an import runs: people asked for one by one and page by page, by several clients at once, until the run has ended.

By one process on either database, and on PostgreSQL by two as well, which share the work of the import and the questions. An answer that is
not 200 is an error, and so is one that does not come.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import perf_counter

import httpx

from bench.databases import Place
from bench.people import lines, lines_of
from bench.server import Service, blocks, serving

_KNOWN = 2_000
_CLIENTS = 4
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many questions were asked, how many were not answered with 200, and percentiles of the answers' times in milliseconds.

    `rate`: people imported a second meanwhile.
    """

    processes: int
    rate: float
    asked: int
    errors: int
    people: tuple[float, float]
    pages: tuple[float, float]


@dataclass(slots=True)
class _Heard:
    """What the clients have heard so far, in seconds."""

    people: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    errors: int = 0


def measure(place: Place, processes: int, count: int) -> Loaded:
    """Import some people, then many more, and ask so many processes for the first ones meanwhile."""
    url = place.new()
    with ExitStack() as stack:
        services = [stack.enter_context(serving(place.folder, MASTERING_DATABASE_URL=url)) for _ in range(processes)]
        first = services[0]
        first.carry_out(first.make_app("Known"), blocks(lines(_KNOWN)))
        ids = [user["id"] for user in first.client.get(f"/api/v1/users?limit={_PAGE}").raise_for_status().json()]
        app, body = first.make_app("New"), blocks(lines_of(range(_KNOWN, _KNOWN + count)))
        heard, ended = _Heard(), threading.Event()
        clients = [
            threading.Thread(target=_ask, args=(services[number % processes], ids, heard, ended), daemon=True) for number in range(_CLIENTS)
        ]
        for client in clients:
            client.start()
        try:
            took = first.carry_out(app, body)[1]
        finally:
            ended.set()
            for client in clients:
                client.join()
    asked = len(heard.people) + len(heard.pages) + heard.errors
    return Loaded(processes, count / took, asked, heard.errors, _percentiles(heard.people), _percentiles(heard.pages))


def _ask(service: Service, ids: Sequence[str], heard: _Heard, ended: threading.Event) -> None:
    """One client: nine people, then the next page of the list, and again, a little apart, as somebody would who reads the answers."""
    page: str | None = None
    with httpx.Client(base_url=service.address, headers=service.headers, timeout=60) as client:
        number = 0
        while not ended.wait(0.01):
            number += 1
            address = f"/api/v1/users/{ids[number % len(ids)]}" if number % 10 else page or f"/api/v1/users?limit={_PAGE}"
            started = perf_counter()
            try:
                answer = client.get(address)
            except httpx.HTTPError:
                heard.errors += 1
                continue
            took = perf_counter() - started
            if not answer.is_success:
                heard.errors += 1
            elif number % 10:
                heard.people.append(took)
            else:
                heard.pages.append(took)
                page = answer.links.get("next", {}).get("url")


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return _at(ordered, 50), _at(ordered, 99)


def _at(ordered: Sequence[float], percent: int) -> float:
    return 1_000 * ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
