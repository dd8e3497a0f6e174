"""All users of a SCIM server, page by page, or none: what makes a snapshot of pages (RFC 7644 §3.4.2.4; SPEC §5.1).

*Could not read* is never *gone*, so a reading ends well only if as many users came as the server says it has, each once, and if it said the
same number on every page, and there was nothing behind the last. Everything else ends it with a `ReadingFailed` that says what happened:

* pages go on after what has come, whatever `count` the server keeps to, and whatever it says in `itemsPerPage` and `startIndex`;
* a page that brings somebody a second time is asked for once more: a proxy may have kept the page before;
* a server that is busy or away, hangs or breaks off, is asked again, `TRIES` times a page, after the pause that it asks for or a growing one;
* a server that fails with status 500 on the first page, twice, is asked for pages of whatever size it likes: there are some that fail on `count`;
* there is a bound to users, to each pause, and to the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from mastering.connectors.peerfaults import NotThere, NotTrusted, PeerFailed, Refused, Temporary, Unusable
from mastering.connectors.scimpeer import Peer

COUNT = 100
"""Users that a page is asked for."""
TRIES = 6
"""How often a page is asked for, in all, from a server that may answer later."""
MOST_USERS = 5_000_000
LONGEST_PAUSE = 300.0
"""Seconds that a server can ask for between two tries."""
LONGEST = 6 * 3600.0
"""Seconds that a reading may take in all."""
_FIRST_PAUSE = 0.5
_FAILED, _SIZED_TRIES = 500, 2

Resource = Any


class ReadingFailed(Exception):
    """The users could not all be read. The message is the sentence that the run fails with, and names nobody."""


class FilterRefused(ReadingFailed):
    """The server does not take the filter; without it all users may be read."""


@dataclass(frozen=True, slots=True)
class _Page:
    total: int
    resources: list[Resource]


class UserPages:
    """One reading. `ready` is called before each call, `pause` waits for a number of seconds, `seconds` bounds each call.

    `pages` and `tries` tell what it took. Whatever `ready` and `pause` raise ends the reading.
    """

    def __init__(
        self,
        peer: Peer,
        ready: Callable[[], None],
        pause: Callable[[float], None],
        *,
        filter: str | None = None,
        seconds: float | None = None,
        look_behind: bool = True,
    ) -> None:
        self._peer, self._ready, self._pause, self._filter, self._seconds = peer, ready, pause, filter, seconds
        self._look_behind = look_behind
        self._seen: set[str] = set()
        self._total: int | None = None
        self._sized = True
        self._until = monotonic() + LONGEST
        self.pages = 0
        self.tries = 0

    def __iter__(self) -> Iterator[list[Resource]]:
        """The pages' resources in their order. What has come counts only when the last page has: raises `ReadingFailed`."""
        received = 0
        while True:
            page = self._next(received)
            received += len(page.resources)
            if received > page.total:
                raise ReadingFailed(f"it says that it has {page.total} users, and sent {received}")
            if page.resources:
                yield page.resources
            if received == page.total:
                break
            if not page.resources:
                raise ReadingFailed(f"it says that it has {page.total} users, and after {received} there came an empty page")
        if self._look_behind and received:
            self._look(received)

    def _next(self, received: int) -> _Page:
        """The page after what has been received, with nobody on it who has come already."""
        for again in (False, True):
            page = self._page(received + 1)
            ids = [_identity(resource) for resource in page.resources]
            named = [each for each in ids if each is not None]
            if len(set(named)) == len(named) and self._seen.isdisjoint(named):
                self._seen.update(named)
                return page
            if again:
                break
        raise ReadingFailed(
            f"after {received} of {page.total} users it sent some of them twice: they changed meanwhile, or its pages repeat"
        )

    def _look(self, received: int) -> None:
        """Nothing must be behind the last page: a server that counts only its first page would make leavers of all the others."""
        try:
            page = self._page(received + 1)
        except ReadingFailed as fault:
            if isinstance(fault.__cause__, Refused | NotThere | Unusable):
                return  # it does not like to be asked for what is not there
            raise
        if any(identity is None or identity not in self._seen for identity in map(_identity, page.resources)):
            raise ReadingFailed(f"it says that it has {page.total} users, and there are more behind them")

    def _page(self, start: int) -> _Page:
        asked: dict[str, str | int] = {"startIndex": start, **({"count": COUNT} if self._sized else {})}
        if self._filter is not None:
            asked["filter"] = self._filter
        document = self._answer(asked)
        page = _read(document)
        if page.total > MOST_USERS:
            raise ReadingFailed(f"it says that it has {page.total} users; the most is {MOST_USERS}")
        if self._total is not None and page.total != self._total:
            raise ReadingFailed(f"its totalResults changed from {self._total} to {page.total} while it was read")
        self._total = page.total
        self.pages += 1
        return page

    def _answer(self, asked: dict[str, str | int]) -> dict[str, Any]:
        for tries in range(1, TRIES + 1):
            if monotonic() > self._until:
                raise ReadingFailed(f"reading took longer than {LONGEST / 3600:g} hours")
            self._ready()
            self.tries += 1
            try:
                return self._peer.get("/Users", asked, seconds=self._seconds).document
            except NotTrusted as fault:
                raise ReadingFailed(str(fault)) from fault
            except Temporary as fault:
                self._wait(fault, tries)
                if fault.status == _FAILED and self.pages == 0 and tries >= _SIZED_TRIES:
                    self._sized = False
                    asked.pop("count", None)
            except PeerFailed as fault:
                failed = FilterRefused if self._filter is not None and _is_about_the_call(fault) else ReadingFailed
                raise failed(str(fault)) from fault
        raise AssertionError("the last try ends in an answer or a fault")

    def _wait(self, fault: Temporary, tries: int) -> None:
        if tries == TRIES:
            raise ReadingFailed(f"{fault}, {TRIES} times in a row") from fault
        seconds = _FIRST_PAUSE * 2 ** (tries - 1) if fault.retry_after is None else fault.retry_after
        if seconds > LONGEST_PAUSE:
            raise ReadingFailed(f"{fault} and asks to be left alone for {seconds:.0f} seconds") from fault
        self._pause(seconds)


def _is_about_the_call(fault: PeerFailed) -> bool:
    return isinstance(fault, Refused | NotThere)


def _identity(resource: Resource) -> str | None:
    """What tells a resource from others; `None` where it has nothing of the kind, which is the plan's affair."""
    if not isinstance(resource, dict):
        return None
    names = {name.casefold(): value for name, value in resource.items()}
    found = next((names[name] for name in ("id", "externalid", "username") if names.get(name) not in (None, "")), None)
    return None if found is None else str(found)


def _read(document: dict[str, Any]) -> _Page:
    message = {name.casefold(): value for name, value in document.items()}
    total, resources = message.get("totalresults"), message.get("resources")
    if isinstance(total, str) and total.isascii() and total.isdigit():
        total = int(total[:12])
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise ReadingFailed("its answer has no totalResults, so that nobody can tell whether all users have come")
    if resources is None:
        resources = []
    if not isinstance(resources, list):
        raise ReadingFailed("its answer is no ListResponse: Resources is no list")
    return _Page(total, resources)
