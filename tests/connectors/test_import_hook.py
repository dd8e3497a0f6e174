"""The import inline hook on the wire (SPEC §8): what is asked, what is understood, what is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from mastering.connectors.importhook import MOST_BYTES, About, Target, ask, request_of
from mastering.connectors.outbound import Door
from mastering.rules.hook import HookWord, Outcome
from tests.hook_server import HookServer, Reply, commanded, hanging, hook_server, linking

QUICK = 0.25


@pytest.fixture
def server() -> Iterator[HookServer]:
    with hook_server() as started:
        yield started


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


def asking(door: Door, server: HookServer, seconds: float = 5.0) -> HookWord:
    return ask(door, Target(server.uri, "POST", {"Authorization": "s3cret"}), {"data": {}}, seconds=seconds)


def test_a_record_is_told_in_oktas_shape() -> None:
    about = About("imp1", True, "0oa1", "hr", "HR", ("USERNAME",))
    told = request_of(
        about, "cal1", "evt1", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), app={"email": "a@x.y"}, user={"login": "a@x.y"}, contested=True
    )
    assert told == {
        "source": "cal1",
        "eventId": "evt1",
        "eventTime": "2026-02-03T04:05:06.000Z",
        "eventTypeVersion": "1.0",
        "cloudEventVersion": "0.1",
        "eventType": "com.okta.import.transform",
        "contentType": "application/json",
        "data": {
            "context": {
                "conflicts": ["login"],
                "application": {"name": "hr", "id": "0oa1", "label": "HR", "status": "ACTIVE"},
                "job": {"id": "imp1", "type": "import:users", "dryRun": True},
                "matches": [],
                "policy": ["USERNAME"],
            },
            "action": {"result": "CREATE_USER"},
            "appUser": {"profile": {"email": "a@x.y"}},
            "user": {"profile": {"login": "a@x.y"}},
        },
    }


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"commands": []},
        {"commands": None},
        {"debugContext": {}},
        commanded(("action.update", {"result": "CREATE_USER"})),
        commanded(("user.profile.update", {})),
    ],
)
def test_an_answer_that_asks_for_nothing_changes_nothing(door: Door, server: HookServer, document: dict[str, Any]) -> None:
    server.behaves = lambda _: Reply(body=document)
    assert asking(door, server) == HookWord(Outcome.unchanged)


def test_no_content_is_an_answer_that_asks_for_nothing(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(204)
    assert asking(door, server) == HookWord(Outcome.unchanged)


def test_commands_are_taken_in_their_order_and_later_ones_win(door: Door, server: HookServer) -> None:
    server.commands(
        ("appUser.profile.update", {"a": 1, "b": [True]}),
        ("user.profile.update", {"title": "x"}),
        ("appUser.profile.update", {"a": None}),
        ("user.profile.update", {"title": "y"}),
    )
    assert asking(door, server) == HookWord(Outcome.changed, app={"a": None, "b": [True]}, user={"title": "y"})


def test_a_link_names_its_user(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(body=linking("00u1"))
    assert asking(door, server) == HookWord(Outcome.linked, link="00u1")


WRONG: dict[str, tuple[Reply, Outcome]] = {
    "not JSON": (Reply(body=b"<html>"), Outcome.unparsable),
    "nothing": (Reply(body=b""), Outcome.unparsable),
    "not UTF-8": (Reply(body=b'{"commands": "\xff"}'), Outcome.unparsable),
    "nested without end": (Reply(body=b"[" * 100_000), Outcome.unparsable),
    "a list": (Reply(body=b"[]"), Outcome.unparsable),
    "commands that are no list": (Reply(body={"commands": {}}), Outcome.unparsable),
    "a value that is no object": (Reply(body={"commands": [{"type": "com.okta.user.profile.update", "value": []}]}), Outcome.unparsable),
    "packed": (Reply(body=b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"}), Outcome.unparsable),
    "a command nobody knows": (Reply(body=commanded(("user.delete", {"id": "1"}))), Outcome.unknown_command),
    "a command that is none": (Reply(body={"commands": ["x"]}), Outcome.unknown_command),
    "an action nobody knows": (Reply(body=commanded(("action.update", {"result": "DENY"}))), Outcome.unknown_command),
    "a link to nobody": (Reply(body=commanded(("action.update", {"result": "LINK_USER"}))), Outcome.unknown_user),
    "a user and no link": (Reply(body=commanded(("user.update", {"id": "00u1"}))), Outcome.unknown_user),
    "a user without an id": (
        Reply(body=commanded(("user.update", {}), ("action.update", {"result": "LINK_USER"}))),
        Outcome.unknown_user,
    ),
    "an error": (Reply(body={"error": {"errorSummary": "no"}}), Outcome.refused),
    "a redirect": (Reply(307, headers={"Location": "http://127.0.0.1/"}), Outcome.bad_status),
    "a bad request": (Reply(400), Outcome.bad_status),
    "no permission": (Reply(401), Outcome.bad_status),
    "too many requests": (Reply(429), Outcome.bad_status),
    "another success": (Reply(202), Outcome.bad_status),
    "too long": (Reply(body=b" " * MOST_BYTES + b"{}"), Outcome.too_large),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_answer_that_cannot_be_used_is_a_failure_and_is_not_asked_for_again(door: Door, server: HookServer, case: str) -> None:
    reply, outcome = WRONG[case]
    server.behaves = lambda _: reply
    word = asking(door, server)
    assert (word.outcome, word.failed, word.tries) == (outcome, True, 1)
    assert word.detail
    assert len(server.seen) == 1


def test_an_answer_of_exactly_the_limit_is_read(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(body=b"{}" + b" " * (MOST_BYTES - 2))
    assert asking(door, server) == HookWord(Outcome.unchanged)


AGAIN: dict[str, tuple[Reply, Outcome]] = {
    "500": (Reply(500), Outcome.server_error),
    "503": (Reply(503), Outcome.server_error),
    "no answer": (hanging(), Outcome.time_out),
    "hangs in the middle": (Reply(body=b"{", promise=9, hangs=True), Outcome.time_out),
    "breaks off": (Reply(body=b"{", promise=9), Outcome.unreachable),
}


@pytest.mark.parametrize("case", AGAIN)
def test_a_hook_that_is_down_is_tried_once_more(door: Door, server: HookServer, case: str) -> None:
    reply, outcome = AGAIN[case]
    server.behaves = lambda _: reply
    word = asking(door, server, QUICK)
    assert (word.outcome, word.tries, len(server.seen)) == (outcome, 2, 2)


@pytest.mark.parametrize("case", AGAIN)
def test_a_hook_that_is_down_once_has_its_say_at_the_second_try(door: Door, server: HookServer, case: str) -> None:
    replies = iter([AGAIN[case][0], Reply(body=linking("00u1"))])
    server.behaves = lambda _: next(replies)
    assert asking(door, server, QUICK) == HookWord(Outcome.linked, link="00u1", tries=2)


def test_a_hook_that_is_gone_is_unreachable(door: Door) -> None:
    with hook_server() as gone:
        pass
    assert (asking(door, gone).outcome, asking(door, gone).tries) == (Outcome.unreachable, 2)


def test_a_failure_quotes_neither_the_secret_nor_the_answer(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(body=b'{"commands": [{"type": "jane@example.com"}]}')
    word = asking(door, server)
    assert "jane" not in str(word.detail)
    assert "s3cret" not in repr(Target(server.uri, "POST", {"Authorization": "s3cret"}))
