"""Reading all users of a SCIM server (SPEC §5.1): a snapshot, or a sentence; never the half of one, and never without an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mastering.connectors import scimpages
from mastering.connectors.outbound import Door
from mastering.connectors.peerauth import header
from mastering.connectors.scimpages import COUNT, TRIES, FilterRefused, ReadingFailed, UserPages
from mastering.connectors.scimpeer import Peer, Target
from tests.hook_server import Reply, hanging
from tests.scim_server import Asked, ScimServer, error, scim_server, user

HTML = Reply(body=b"<html>come back later</html>", headers={"Content-Type": "text/html"})


@pytest.fixture
def server() -> Iterator[ScimServer]:
    with scim_server() as started:
        yield started


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


class Reader:
    """Reads a server, and notes how long it was asked to wait instead of waiting."""

    def __init__(self, door: Door, server: ScimServer) -> None:
        self.peer = Peer(door, Target(server.base_url, header("Authorization", "Bearer", "t")))
        self.pauses: list[float] = []

    def read(self, **options: Any) -> list[str]:
        pages = UserPages(self.peer, lambda: None, self.pauses.append, **options)
        return [resource["id"] for page in pages for resource in page]


@pytest.fixture
def reader(door: Door, server: ScimServer) -> Reader:
    return Reader(door, server)


def people(server: ScimServer, count: int) -> list[str]:
    """Give the server so many users; their ids."""
    server.users = [user(f"u{number:04}") for number in range(count)]
    return [each["id"] for each in server.users]


# -- servers that page in their own way ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_all_users_come_once_in_pages_of_a_hundred(reader: Reader, server: ScimServer, count: int) -> None:
    ids = people(server, count)
    assert reader.read() == ids
    read = [(start, COUNT) for start in range(1, max(count, 1) + 1, COUNT)]
    assert server.pages() == read + ([(count + 1, COUNT)] if count else [])
    assert reader.pauses == []


def test_a_server_that_caps_count_is_read_by_its_own_pages(reader: Reader, server: ScimServer) -> None:
    ids = people(server, 25)
    server.behaves = lambda asked: Reply(body=server.page(server.users, asked.start, min(asked.count, 10)))
    assert reader.read() == ids
    assert [start for start, _ in server.pages()] == [1, 11, 21, 26]


def test_a_server_that_ignores_count_may_send_everybody_at_once(reader: Reader, server: ScimServer) -> None:
    ids = people(server, 250)
    server.behaves = lambda asked: Reply(body=server.page(server.users, asked.start, 10_000))
    assert reader.read() == ids


def test_what_a_server_says_about_the_size_and_start_of_its_pages_counts_for_nothing(reader: Reader, server: ScimServer) -> None:
    ids = people(server, 150)
    server.behaves = lambda asked: Reply(body={**server.page(server.users, asked.start, 100), "itemsPerPage": 7, "startIndex": 0})
    assert reader.read() == ids


def test_names_of_a_list_are_read_without_regard_to_case_and_a_total_may_be_text(reader: Reader, server: ScimServer) -> None:
    ids = people(server, 3)
    server.behaves = lambda asked: Reply(body={"TOTALRESULTS": "3", "resources": server.page(server.users, asked.start, 100)["Resources"]})
    assert reader.read() == ids


def test_nobody_at_all_need_not_be_listed(reader: Reader, server: ScimServer) -> None:
    server.behaves = lambda _: Reply(body={"totalResults": 0})
    assert reader.read() == []


def test_a_server_that_ignores_startindex_and_has_more_than_a_page_cannot_be_read(reader: Reader, server: ScimServer) -> None:
    people(server, 150)
    server.behaves = lambda _: Reply(body=server.page(server.users, 1, 100))
    with pytest.raises(ReadingFailed, match="after 100 of 150 users it sent some of them twice"):
        reader.read()
    assert len(server.pages()) == 3


def test_a_server_that_ignores_startindex_and_has_no_more_than_a_page_is_read(reader: Reader, server: ScimServer) -> None:
    ids = people(server, 40)
    server.behaves = lambda _: Reply(body=server.page(server.users, 1, 100))
    assert reader.read() == ids


def test_a_page_that_is_repeated_once_is_asked_for_again(reader: Reader, server: ScimServer) -> None:
    ids = people(server, 250)

    def stale(asked: Asked) -> Reply | None:
        return Reply(body=server.page(server.users, 1, 100)) if len(server.pages()) == 2 else None

    server.behaves = stale
    assert reader.read() == ids


def test_the_same_user_twice_on_one_page_is_no_snapshot(reader: Reader, server: ScimServer) -> None:
    server.users = [user("ada"), user("ada")]
    with pytest.raises(ReadingFailed, match="sent some of them twice"):
        reader.read()


def test_an_endless_list_ends_where_more_came_than_there_are(reader: Reader, server: ScimServer) -> None:
    def endless(asked: Asked) -> Reply:
        shown = [user(f"u{asked.start + number}") for number in range(100)]
        return Reply(body={"totalResults": 250, "Resources": shown})

    server.behaves = endless
    with pytest.raises(ReadingFailed, match="it says that it has 250 users, and sent 300"):
        reader.read()
    assert len(server.pages()) == 3


def test_a_list_that_grows_with_every_page_ends_at_the_second(reader: Reader, server: ScimServer) -> None:
    def growing(asked: Asked) -> Reply:
        shown = [user(f"u{asked.start + number}") for number in range(100)]
        return Reply(body={"totalResults": asked.start + 199, "Resources": shown})

    server.behaves = growing
    with pytest.raises(ReadingFailed, match="its totalResults changed from 200 to 300 while it was read"):
        reader.read()


def test_more_users_than_anybody_has_are_not_read(reader: Reader, server: ScimServer) -> None:
    server.behaves = lambda _: Reply(body={"totalResults": 10**9, "Resources": [user("ada")]})
    with pytest.raises(ReadingFailed, match="it says that it has 1000000000 users; the most is"):
        reader.read()
    assert len(server.pages()) == 1


def test_empty_pages_before_the_end_are_no_end(reader: Reader, server: ScimServer) -> None:
    server.behaves = lambda asked: Reply(body={"totalResults": 5, "Resources": [user("ada")] if asked.start == 1 else []})
    with pytest.raises(ReadingFailed, match="it says that it has 5 users, and after 1 there came an empty page"):
        reader.read()


def test_a_server_that_counts_only_its_first_page_makes_no_leavers_of_the_others(reader: Reader, server: ScimServer) -> None:
    people(server, 250)
    server.behaves = lambda asked: Reply(body={**server.page(server.users, asked.start, 100), "totalResults": 100})
    with pytest.raises(ReadingFailed, match="it says that it has 100 users, and there are more behind them"):
        reader.read()


@pytest.mark.parametrize("reply", [error(400, "no such page"), error(404, "no"), HTML])
def test_a_server_that_does_not_like_to_be_asked_behind_its_end_is_read(reader: Reader, server: ScimServer, reply: Reply) -> None:
    ids = people(server, 3)
    server.behaves = lambda asked: reply if asked.start > 3 else None
    assert reader.read() == ids


def test_users_without_an_id_are_told_apart_by_name_and_such_without_any_are_passed_on(reader: Reader, server: ScimServer) -> None:
    nameless = [{"userName": "a"}, {"userName": "b"}, {"active": True}, "nobody"]
    server.behaves = lambda asked: Reply(body={"totalResults": 4, "Resources": nameless if asked.start == 1 else []})
    pages = UserPages(reader.peer, lambda: None, reader.pauses.append)
    assert [resource for page in pages for resource in page] == nameless


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"Resources": []}, "has no totalResults"),
        ({"totalResults": True, "Resources": []}, "has no totalResults"),
        ({"totalResults": -1, "Resources": []}, "has no totalResults"),
        ({"totalResults": 1, "Resources": {"0": {}}}, "Resources is no list"),
    ],
)
def test_an_answer_that_is_no_list_is_no_page(reader: Reader, server: ScimServer, document: dict[str, Any], told: str) -> None:
    server.behaves = lambda _: Reply(body=document)
    with pytest.raises(ReadingFailed, match=told):
        reader.read()


# -- servers that are not well ------------------------------------------------------------------------------------------


def once(server: ScimServer, page: int, reply: Reply) -> Callable[[Asked], Reply | None]:
    """Answer one of the requests for pages so."""
    return lambda _: reply if len(server.pages()) == page else None


@pytest.mark.parametrize(
    ("reply", "pauses"),
    [
        (error(500, "oops"), [0.5]),
        (error(429, "slowly", **{"Retry-After": "7"}), [7.0]),
        (error(503, "later", **{"Retry-After": "0"}), [0.0]),
        (error(429, "slowly"), [0.5]),
        (Reply(body=b'{"totalResults": 250, "Resou', promise=10_000), [0.5]),
    ],
)
def test_a_page_that_fails_once_is_asked_for_again_after_its_pause(
    reader: Reader, server: ScimServer, reply: Reply, pauses: list[float]
) -> None:
    ids = people(server, 250)
    server.behaves = once(server, 2, reply)
    assert reader.read() == ids
    assert reader.pauses == pauses


def test_a_server_that_hangs_once_is_asked_again(reader: Reader, server: ScimServer) -> None:
    ids = people(server, 150)
    server.behaves = once(server, 2, hanging())
    assert reader.read(seconds=0.3) == ids


def test_a_server_that_does_not_recover_is_given_up_after_growing_pauses(reader: Reader, server: ScimServer) -> None:
    people(server, 250)
    server.behaves = lambda asked: error(500, "oops") if asked.start > 100 else None
    with pytest.raises(ReadingFailed, match="it answered with status 500, 6 times in a row"):
        reader.read()
    assert len(server.pages()) == 1 + TRIES
    assert reader.pauses == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_a_server_that_asks_for_too_long_a_pause_is_not_waited_for(reader: Reader, server: ScimServer) -> None:
    server.behaves = lambda _: error(429, "slowly", **{"Retry-After": "900"})
    with pytest.raises(ReadingFailed, match="asks to be left alone for 900 seconds"):
        reader.read()
    assert reader.pauses == []


def test_a_reading_has_an_end_in_time(reader: Reader, server: ScimServer, monkeypatch: pytest.MonkeyPatch) -> None:
    people(server, 250)
    monkeypatch.setattr(scimpages, "LONGEST", -1.0)
    with pytest.raises(ReadingFailed, match="reading took longer than"):
        reader.read()
    assert server.seen == []


@pytest.mark.parametrize(
    ("reply", "told"),
    [(HTML, "text/html instead of a SCIM"), (error(401, "no"), "refused the credentials"), (error(404, "no"), "status 404")],
)
def test_what_will_not_pass_ends_the_reading_at_once(reader: Reader, server: ScimServer, reply: Reply, told: str) -> None:
    server.behaves = lambda _: reply
    with pytest.raises(ReadingFailed, match=told):
        reader.read()
    assert (len(server.pages()), reader.pauses) == (1, [])


# -- filters ------------------------------------------------------------------------------------------------------------


def test_a_filter_is_sent_with_every_page(reader: Reader, server: ScimServer) -> None:
    people(server, 150)
    reader.read(filter='meta.lastModified gt "2025-01-01T00:00:00Z"', look_behind=False)
    assert [asked.params.get("filter") for asked in server.seen] == ['meta.lastModified gt "2025-01-01T00:00:00Z"'] * 2


@pytest.mark.parametrize("status", [400, 404, 501])
def test_a_filter_that_is_refused_is_told_apart(reader: Reader, server: ScimServer, status: int) -> None:
    server.behaves = lambda _: error(status, "no filters here")
    with pytest.raises(FilterRefused):
        reader.read(filter="x pr")


def test_refused_credentials_are_no_refused_filter(reader: Reader, server: ScimServer) -> None:
    server.behaves = lambda _: error(403, "no")
    with pytest.raises(ReadingFailed) as caught:
        reader.read(filter="x pr")
    assert not isinstance(caught.value, FilterRefused)


def test_a_server_that_fails_on_a_page_size_is_read_in_pages_of_whatever_size_it_likes(reader: Reader, server: ScimServer) -> None:
    ids = people(server, 150)
    server.behaves = lambda asked: error(500, "count") if "count" in asked.params else None
    assert reader.read() == ids
    assert reader.pauses == [0.5, 1.0]
    assert [asked.params for asked in server.seen[2:]] == [{"startIndex": "1"}, {"startIndex": "101"}, {"startIndex": "151"}]


def test_a_server_that_fails_once_is_asked_for_pages_of_the_same_size(reader: Reader, server: ScimServer) -> None:
    ids, failing = people(server, 3), iter([True])
    server.behaves = lambda _: error(500, "a bad moment") if next(failing, False) else None
    assert reader.read() == ids
    assert {asked.params.get("count") for asked in server.seen} == {str(COUNT)}
