"""A SCIM server as the service calls it (SPEC §11): every answer is an answer or a fault that says what may be done about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import monotonic
from urllib.parse import parse_qs

import pytest

from mastering.connectors import peerfaults
from mastering.connectors.outbound import Door
from mastering.connectors.peerauth import Auth, ClientCredentials, basic, header
from mastering.connectors.peerfaults import (
    Conflict,
    CredentialsRefused,
    NoAnswer,
    NotCallable,
    NotThere,
    PeerFailed,
    Refused,
    Temporary,
    TooMany,
    Unavailable,
    Unusable,
    retry_after,
)
from mastering.connectors.scimpeer import Abilities, Peer, Target, quoted, user_path
from tests.hook_server import Reply, hanging
from tests.scim_server import Asked, ScimServer, error, scim_server, user

SECRET = "s3cr3t-of-the-peer"
TOKEN = header("Authorization", "Bearer", SECRET)


@pytest.fixture
def server() -> Iterator[ScimServer]:
    with scim_server() as started:
        yield started


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


def peer_of(door: Door, server: ScimServer, auth: Auth = TOKEN, *, seconds: float = 10.0) -> Peer:
    return Peer(door, Target(server.base_url, auth, seconds=seconds))


# -- what is sent -----------------------------------------------------------------------------------------------------


def test_each_method_sends_scim_and_reads_what_is_answered(door: Door, server: ScimServer) -> None:
    server.behaves = lambda asked: Reply(201 if asked.method == "POST" else 200, {"id": asked.method})
    peer = peer_of(door, server)
    body = {"userName": "ä"}
    answers = [peer.get("/Users", {"filter": 'a eq "b&c"', "count": 2}), peer.post("/Users", body), peer.put("/Users/1", body)]
    answers.append(peer.patch("/Users/1", body))
    assert [answer.document["id"] for answer in answers] == ["GET", "POST", "PUT", "PATCH"]
    assert [answer.status for answer in answers] == [200, 201, 200, 200]
    assert server.seen[0].params == {"filter": 'a eq "b&c"', "count": "2"}
    assert server.seen[0].body == b""
    assert [json.loads(asked.body) for asked in server.seen[1:]] == [body] * 3
    assert {asked.headers["Content-Type"] for asked in server.seen[1:]} == {"application/scim+json"}
    assert {asked.headers["Authorization"] for asked in server.seen} == {f"Bearer {SECRET}"}


def test_an_answer_without_a_body_is_an_empty_document(door: Door, server: ScimServer) -> None:
    server.behaves = lambda _: Reply(204, b"")
    assert peer_of(door, server).patch("/Users/1", {}).document == {}


@pytest.mark.parametrize("scim_id", ["a/b", "../Groups", "ä?x=1#y", "..", "%2e"])
def test_an_id_of_any_characters_stays_one_segment_of_the_path(scim_id: str, door: Door, server: ScimServer) -> None:
    server.behaves = lambda _: Reply(body={})
    peer_of(door, server).get(user_path(scim_id))
    assert server.seen[0].path.startswith("/v2/Users/")
    assert server.seen[0].path.count("/") == 3
    assert server.seen[0].params == {}


def test_a_text_in_a_filter_is_quoted_as_json() -> None:
    assert quoted('o"brien\\x') == r'"o\"brien\\x"'


def test_basic_credentials_are_sent_as_rfc_7617_has_them(door: Door, server: ScimServer) -> None:
    server.credentials = {"Basic c2NpbTpww6Rzcw=="}
    assert peer_of(door, server, basic("scim", "päss")).get("/Users").status == 200


def test_a_token_may_travel_in_a_header_of_its_own(door: Door, server: ScimServer) -> None:
    peer_of(door, server, header("X-Api-Key", "", SECRET)).get("/Users")
    assert server.seen[0].headers["X-Api-Key"] == SECRET


# -- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Unusable),
        (304, Unusable),
        (400, Refused),
        (401, CredentialsRefused),
        (403, CredentialsRefused),
        (404, NotThere),
        (408, Unavailable),
        (409, Conflict),
        (412, Refused),
        (429, TooMany),
        (500, Unavailable),
        (501, Refused),
        (503, Unavailable),
    ],
)
def test_every_status_is_a_fault_of_its_kind(status: int, kind: type[PeerFailed], door: Door, server: ScimServer) -> None:
    server.behaves = lambda _: error(status, "no")
    with pytest.raises(kind) as caught:
        peer_of(door, server).get("/Users")
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert len(server.seen) == 1


def test_a_name_that_is_taken_is_a_conflict_under_any_status(door: Door, server: ScimServer) -> None:
    server.behaves = lambda _: Reply(400, {"scimType": "uniqueness", "detail": "taken"})
    with pytest.raises(Conflict) as caught:
        peer_of(door, server).post("/Users", {})
    assert (caught.value.scim_type, caught.value.said) == ("uniqueness", "taken")


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        (Reply(body=b"<html>hello</html>", headers={"Content-Type": "text/html"}), Unusable, "text/html instead of a SCIM document"),
        (Reply(body=b"[1, 2]"), Unusable, "instead of a SCIM document"),
        (Reply(body=b"{" * 100_000), Unusable, "instead of a SCIM document"),
        (Reply(body=b'{"a": ', promise=100), Unavailable, "broke off"),
        (Reply(body=b"", promise=10**9), Unusable, "the answer has 1000000000 bytes"),
        (hanging(), NoAnswer, "there was no answer within 0.3 s"),
    ],
)
def test_what_is_no_answer_ends_the_call_in_its_time(
    reply: Reply, kind: type[PeerFailed], told: str, door: Door, server: ScimServer
) -> None:
    server.behaves = lambda _: reply
    begun = monotonic()
    with pytest.raises(kind, match=told):
        peer_of(door, server).get("/Users", seconds=0.3 if reply.hangs else None)
    assert monotonic() - begun < 5


def test_nobody_there_is_a_fault_that_passes(door: Door, server: ScimServer) -> None:
    server.close()
    with pytest.raises(Temporary, match="no connection could be made"):
        peer_of(door, server).get("/Users")


def test_an_internal_address_is_not_called(door: Door) -> None:
    with pytest.raises(NotCallable, match="internal address"):
        Peer(door, Target("https://10.1.2.3/scim", TOKEN)).get("/Users")


def test_http_to_another_machine_is_called_only_where_an_admin_agreed(door: Door) -> None:
    with pytest.raises(NotCallable, match="must begin with https"):
        Peer(door, Target("http://10.1.2.3/scim", TOKEN)).get("/Users")
    with pytest.raises(NotCallable, match="internal address"):
        Peer(door, Target("http://10.1.2.3/scim", TOKEN, plain=True)).get("/Users")


def test_what_a_peer_says_is_shown_on_one_line_and_without_our_secret(door: Door, server: ScimServer) -> None:
    server.behaves = lambda asked: error(400, f"bad\n header {asked.headers['Authorization']}\x1b[31m {'x' * 900}")
    with pytest.raises(Refused) as caught:
        peer_of(door, server).get("/Users")
    assert caught.value.said.startswith("bad header Bearer …[31m x")
    assert len(caught.value.said) == 300
    assert SECRET not in f"{caught.value!r} {caught.value.__dict__}"


def test_no_repr_shows_a_secret(door: Door, server: ScimServer) -> None:
    client = ClientCredentials(server.token_url, "us", SECRET)
    for auth in (TOKEN, basic("scim", SECRET), client):
        peer = peer_of(door, server, auth)
        assert SECRET not in f"{peer!r} {peer.target!r} {auth!r}"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120.0), ("0", 0.0), ("99999999999", 3_600.0), ("-5", None), ("soon", None), ("", None), ("1.5", None)],
)
def test_retry_after_is_read_in_seconds_and_bounded(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}) == seconds


def test_retry_after_may_be_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(peerfaults, "now", lambda: at)
    assert retry_after({"retry-after": format_datetime(at + timedelta(seconds=90), usegmt=True)}) == 90.0
    assert retry_after({"retry-after": format_datetime(at - timedelta(days=1), usegmt=True)}) == 0.0
    assert retry_after({"retry-after": format_datetime(at + timedelta(days=9), usegmt=True)}) == 3_600.0


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_is_fetched_once_however_many_ask_for_it(door: Door, server: ScimServer) -> None:
    peer = peer_of(door, server, ClientCredentials(server.token_url, "us", SECRET, "users:read"))
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: peer.get("/Users").status, range(24)))
    assert statuses == [200] * 24
    assert server.tokens == 1
    (fetched,) = [asked for asked in server.seen if asked.path == "/token"]
    assert parse_qs(fetched.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["users:read"]}
    assert fetched.headers["Authorization"].startswith("Basic ")


def test_a_client_may_show_its_secret_in_the_form(door: Door, server: ScimServer) -> None:
    peer_of(door, server, ClientCredentials(server.token_url, "us", SECRET, in_body=True)).get("/Users")
    form = parse_qs(server.seen[0].body.decode())
    assert (form["client_id"], form["client_secret"]) == (["us"], [SECRET])
    assert "Authorization" not in server.seen[0].headers


def test_a_token_that_is_refused_is_renewed_once_and_the_call_made_again(door: Door, server: ScimServer) -> None:
    peer = peer_of(door, server, ClientCredentials(server.token_url, "us", SECRET))
    peer.get("/Users")
    server.credentials = {"nobody's"}
    assert peer.get("/Users").status == 200
    assert server.tokens == 2


def test_a_token_that_is_refused_when_it_is_new_is_no_use(door: Door, server: ScimServer) -> None:
    server.behaves = lambda asked: error(401, "no") if asked.path == "/v2/Users" else None
    with pytest.raises(CredentialsRefused):
        peer_of(door, server, ClientCredentials(server.token_url, "us", SECRET)).get("/Users")
    assert [asked.path for asked in server.seen] == ["/token", "/v2/Users"] * 2


def test_a_token_is_renewed_before_it_expires(door: Door, server: ScimServer, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = peer_of(door, server, ClientCredentials(server.token_url, "us", SECRET))
    peer.get("/Users")
    begun = monotonic()
    monkeypatch.setattr("mastering.connectors.peerauth.monotonic", lambda: begun + 3_500)
    peer.get("/Users")
    assert server.tokens == 1
    monkeypatch.setattr("mastering.connectors.peerauth.monotonic", lambda: begun + 3_580)
    peer.get("/Users")
    assert server.tokens == 2


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        (Reply(401, {"error": "invalid_client"}), CredentialsRefused, r"refused the client with status 401 \(invalid_client\)"),
        (Reply(400, {"error": f"echo {SECRET}"}), CredentialsRefused, "with status 400$"),
        (Reply(503, b""), Unavailable, "status 503"),
        (Reply(200, b"<html>"), Unusable, "no access token that can be used"),
        (Reply(200, {"access_token": "a\r\nb"}), Unusable, "no access token that can be used"),
        (Reply(200, {"access_token": "a", "token_type": "mac"}), Unusable, "other than Bearer"),
    ],
)
def test_a_token_server_that_gives_none_is_said_to_be_at_fault(
    reply: Reply, kind: type[PeerFailed], told: str, door: Door, server: ScimServer
) -> None:
    server.behaves = lambda asked: reply if asked.path == "/token" else None
    with pytest.raises(kind, match=told) as caught:
        peer_of(door, server, ClientCredentials(server.token_url, "us", SECRET)).get("/Users")
    assert SECRET not in str(caught.value)
    assert [asked.path for asked in server.seen] == ["/token"]


# -- what a peer can do -----------------------------------------------------------------------------------------------


def test_what_a_peer_can_do_is_asked_once(door: Door, server: ScimServer) -> None:
    peer = peer_of(door, server)
    assert [peer.abilities() for _ in range(3)] == [Abilities(patch=True, filter=True, known=True)] * 3
    assert len(server.seen) == 1


@pytest.mark.parametrize("reply", [error(404, "no"), Reply(200, {"patch": "yes"}), Reply(200, b"<html>"), error(501, "no")])
def test_a_peer_that_does_not_say_is_taken_cautiously(reply: Reply, door: Door, server: ScimServer) -> None:
    server.behaves = lambda _: reply
    assert peer_of(door, server).abilities() == Abilities(patch=False, filter=True, known=False)


def test_a_peer_that_cannot_be_asked_now_is_asked_again(door: Door, server: ScimServer) -> None:
    def once(asked: Asked) -> Reply | None:
        return error(503, "later") if len(server.seen) == 1 else None

    server.users, server.behaves = [user("ada")], once
    peer = peer_of(door, server)
    with pytest.raises(Unavailable):
        peer.abilities()
    assert peer.abilities().known
