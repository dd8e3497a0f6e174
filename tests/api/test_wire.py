"""What a real server process answers to what no client library would send: requests as bytes on a socket.

Whatever comes, the answer is the one envelope or the connection ends; nothing is half applied, nothing is a fault of the program, and no
profile is in the log.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.uploads import MOST_UPLOADS
from tests.api.service import ADMIN_TOKEN, CONFIRM_ALL, ENVELOPE, record
from tests.process import free_port

ROOT = Path(__file__).parents[2]
PEOPLE = [record("jane"), record("john")]


@dataclass(frozen=True)
class Wire:
    """A server process, by socket and by a client that behaves."""

    port: int
    log: Path
    http: httpx.Client

    def raw(self, *parts: bytes, hang_up: bool = False) -> bytes:
        """What comes back for these bytes, until the server ends the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            with suppress(ConnectionError):
                for part in parts:
                    connection.sendall(part)
                if hang_up:
                    connection.shutdown(socket.SHUT_WR)
            answer = b""
            with suppress(ConnectionError):
                while received := connection.recv(65_536):
                    answer += received
            return answer

    def source(self) -> str:
        """A new master with two people whom it has imported."""
        app_id: str = self.http.post("/apps", json={"label": "HR"}).raise_for_status().json()["id"]
        policy = {"confirmation": CONFIRM_ALL, "mastering": {"enabled": True}, "matching": {"username": True}}
        self.http.put(f"/apps/{app_id}/import-policy", json=policy).raise_for_status()
        body, headers = lines(*PEOPLE), {"Content-Type": "application/x-ndjson", "Prefer": "wait=20"}
        answer = self.http.post(f"/apps/{app_id}/imports", params={"mode": "FULL"}, content=body, headers=headers)
        assert answer.json()["status"] == "COMPLETED", answer.text
        return app_id

    def second_run(self, app_id: str) -> dict[str, Any]:
        """What became of the run after the one that `source` has made."""
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            newest, *others = self.http.get(f"/apps/{app_id}/imports").json()
            if others and newest["completed"]:
                found: dict[str, Any] = newest
                return found
            time.sleep(0.02)
        pytest.fail("there is no second run that has ended")


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in records)


def head(method: str, path: bytes, *headers: bytes) -> bytes:
    told = [b"Host: localhost", b"Authorization: SSWS " + ADMIN_TOKEN.encode(), b"Connection: close", *headers]
    return b"\r\n".join([method.encode() + b" " + path + b" HTTP/1.1", *told, b"", b""])


def said(answer: bytes) -> tuple[int, Mapping[str, Any]]:
    """Status and document of an answer, which is whole."""
    status, _, body = answer.partition(b"\r\n\r\n")
    document: dict[str, Any] = json.loads(body)
    return int(status.split()[1]), document


def refused(answer: bytes) -> tuple[int, str]:
    status, document = said(answer)
    assert document.keys() == ENVELOPE
    return status, document["errorCode"]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("wire")
    port = free_port()
    command = [sys.executable, "-m", "mastering.cli", "serve", "--port", str(port), "--data-dir", str(folder), "--log-format", "json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MASTERING_")}
    environment["MASTERING_ADMIN_TOKEN"] = ADMIN_TOKEN
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out) as process:
        try:
            headers = {"Authorization": f"SSWS {ADMIN_TOKEN}"}
            with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, trust_env=False, timeout=60) as http:
                _await_ready(process, http, log)
                yield Wire(port, log, http)
        finally:
            process.terminate()
    told = log.read_text()
    assert '"level": "error"' not in told
    for value in ("jane@example.com", "Jane", "Doe", "Confidential", ADMIN_TOKEN):
        assert value not in told, "a profile or a token is in the log"


def _await_ready(process: subprocess.Popen[bytes], http: httpx.Client, log: Path) -> None:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and process.poll() is None:
        with suppress(httpx.TransportError):
            if http.get(http.base_url.copy_with(path="/health/ready")).is_success:
                return
        time.sleep(0.05)
    pytest.fail(f"the server did not start: {log.read_text()}")


# -- bodies that end before their end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunks", "broken chunks"])
@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json", "text/csv", "application/scim+json"])
def test_an_import_that_breaks_off_fails_and_changes_nothing(wire: Wire, framing: str, kind: str) -> None:
    app_id = wire.source()
    path, body = f"/api/v1/apps/{app_id}/imports?mode=FULL".encode(), lines(PEOPLE[0])
    of_kind = b"Content-Type: " + kind.encode()
    if framing == "length":
        wire.raw(head("POST", path, of_kind, b"Content-Length: 100000"), body, hang_up=True)
    else:
        chunk = b"%x\r\n" % len(body) + body + b"\r\n" + (b"" if framing == "chunks" else b"zz\r\n")
        wire.raw(head("POST", path, of_kind, b"Transfer-Encoding: chunked"), chunk, hang_up=framing == "chunks")
    run = wire.second_run(app_id)
    assert (run["status"], run["records"]) == ("FAILED", 0)
    assert run["error"] == "The body could not be read: The body broke off before its end; nothing was changed"
    assert {user["status"] for user in wire.http.get("/users").json()} == {"ACTIVE"}


def test_a_user_whose_request_breaks_off_is_not_made_and_its_key_is_free(wire: Wire) -> None:
    body = json.dumps({"profile": {**record("cut")["profile"], "login": "cut@example.com"}}).encode()
    key = b"Idempotency-Key: cut"
    wire.raw(head("POST", b"/api/v1/users", b"Content-Type: application/json", key, b"Content-Length: 100000"), body, hang_up=True)
    assert wire.http.get("/users/cut@example.com").status_code == 404
    whole = wire.raw(head("POST", b"/api/v1/users", b"Content-Type: application/json", key, b"Content-Length: %d" % len(body)), body)
    assert said(whole)[0] == 200


def test_a_key_sent_by_many_at_once_makes_one(wire: Wire) -> None:
    def create(_: int) -> httpx.Response:
        return wire.http.post("/apps", json={"label": "Once"}, headers={"Idempotency-Key": "at once"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(8)))
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["label"] == "Once"
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 7


def test_an_import_that_arrives_in_chunks_is_whole_at_the_last_one(wire: Wire) -> None:
    app_id, body = wire.source(), lines(*PEOPLE)
    path = f"/api/v1/apps/{app_id}/imports?mode=FULL".encode()
    kind = (b"Content-Type: application/x-ndjson", b"Transfer-Encoding: chunked", b"Prefer: wait=20")
    status, run = said(
        wire.raw(head("POST", path, *kind), *(b"1\r\n" + body[at : at + 1] + b"\r\n" for at in range(len(body))), b"0\r\n\r\n")
    )
    assert (status, run["situations"]) == (200, {"UNCHANGED": 2})


# -- heads ------------------------------------------------------------------------------------------------------------------


def test_a_head_is_bounded_before_anybody_is_asked_for_a_token(wire: Wire) -> None:
    for flood in (
        b"GET /" + b"x" * 2_000_000,
        b"GET / HTTP/1.1\r\nX-Big: " + b"x" * 2_000_000,
        b"GET / HTTP/1.1\r\n" + b"X-Many: y\r\n" * 200_000,
    ):
        answer = wire.raw(*(flood[at : at + 50_000] for at in range(0, len(flood), 50_000)))
        assert answer == b"" or refused(answer) == (431, "E0000003")


@pytest.mark.parametrize("behind", [b"0\r\nX-Trailer: ", b"5;extension="])
def test_what_stands_behind_a_chunk_is_bounded_too(wire: Wire, behind: bytes) -> None:
    with socket.create_connection(("127.0.0.1", wire.port), timeout=20) as connection:
        connection.sendall(b"POST /api/v1/apps HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + behind)
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * 20_000_000)


def test_a_body_of_any_size_is_no_head(wire: Wire) -> None:
    app_id, body = wire.source(), lines(*PEOPLE) + b"\n" * 3_000_000
    path = f"/api/v1/apps/{app_id}/imports?mode=FULL".encode()
    first = head("POST", path, b"Content-Type: application/x-ndjson", b"Prefer: wait=20", b"Content-Length: %d" % len(body))
    status, run = said(wire.raw(first, body))
    assert (status, run["situations"]) == (200, {"UNCHANGED": 2})


def test_requests_that_follow_each_other_on_a_connection_are_answered_each(wire: Wire) -> None:
    kept = head("GET", b"/api/v1/apps?limit=1").replace(b"Connection: close\r\n", b"")
    assert wire.raw(kept * 500 + head("GET", b"/api/v1/apps?limit=1")).count(b"HTTP/1.1 200 OK") == 501


@pytest.mark.parametrize(
    "request_bytes",
    [
        "GET /api/v1/users/محمد HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        b"GET /api/v1/users?q=\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        head("POST", b"/api/v1/apps", b"Content-Length: -5"),
        head("POST", b"/api/v1/apps", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        head("GET", b"/api/v1/apps", b"X-\x00: y"),
    ],
)
def test_what_is_no_http_is_refused_in_the_envelope(wire: Wire, request_bytes: bytes) -> None:
    assert refused(wire.raw(request_bytes)) == (400, "E0000003")


@pytest.mark.parametrize("query", [b"q=%ff%fe", b"q=%ED%A0%80", b"q=%", b"q=%zz", b"%ff=%ff", b"&&&=&", b"q=" + b"x" * 20_000])
def test_a_query_of_any_bytes_is_answered(wire: Wire, query: bytes) -> None:
    assert said(wire.raw(head("GET", b"/api/v1/users?" + query)))[0] == 200


# -- paths ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", [b"%2F", b"%2f"])
def test_an_id_with_a_slash_is_no_path_of_its_own(wire: Wire, slash: bytes) -> None:
    wire.source()
    user = wire.http.get("/users/jane@example.com").json()
    path = b"/api/v1/users/" + user["id"].encode() + slash + b"lifecycle" + slash + b"suspend"
    assert refused(wire.raw(head("POST", path, b"Content-Length: 0"))) == (404, "E0000007")
    assert wire.http.get("/users/jane@example.com").json()["status"] == "ACTIVE"


@pytest.mark.parametrize(
    "path", [b"%00", b"..%2f..%2fetc%2fpasswd", b"../../etc/passwd", b"%2e%2e", b"%ff", b"a%0d%0aX-Injected:%20y", b"a" * 20_000]
)
def test_an_id_that_is_none_is_not_found(wire: Wire, path: bytes) -> None:
    answer = wire.raw(head("GET", b"/api/v1/users/" + path))
    assert refused(answer) == (404, "E0000007")
    assert b"x-injected" not in answer.partition(b"\r\n\r\n")[0].lower()
    assert len(answer) < 5_000


def test_a_nul_in_a_query_is_refused(wire: Wire) -> None:
    assert refused(wire.raw(head("GET", b"/api/v1/users?q=%00"))) == (400, "E0000001")


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "PROPFIND", "CONNECT"])
def test_a_method_that_nobody_has(wire: Wire, method: str) -> None:
    answer = wire.raw(head(method, b"/api/v1/users"))
    assert refused(answer) in {(405, "E0000022"), (400, "E0000003")}


# -- who may know what ------------------------------------------------------------------------------------------------------


def test_a_body_that_is_too_large_is_refused_before_it_has_come(wire: Wire) -> None:
    huge = head("POST", b"/api/v1/apps", b"Content-Type: application/json", b"Content-Length: 3000000000")
    assert refused(wire.raw(huge, b"x")) == (413, "E0000003")


def test_more_uploads_at_a_time_than_there_is_room_for_are_told_to_come_again_and_start_no_run(wire: Wire) -> None:
    app_id = wire.source()
    address, headers = f"/apps/{app_id}/imports", {"Content-Type": "application/x-ndjson"}
    begun = head("POST", f"/api/v1{address}?mode=FULL".encode(), b"Content-Type: application/x-ndjson", b"Content-Length: 1000")
    with ExitStack() as uploads:
        for _ in range(MOST_UPLOADS):
            uploads.enter_context(socket.create_connection(("127.0.0.1", wire.port), timeout=20)).sendall(begun + b"{")
        _until(lambda: _receiving(wire, app_id) == MOST_UPLOADS)
        answer = wire.http.post(address, params={"mode": "FULL"}, content=lines(*PEOPLE), headers=headers)
        assert (answer.status_code, answer.json()["errorCode"], answer.headers["Retry-After"]) == (429, "E0000047", "5")
        assert len(wire.http.get(address).json()) == 1 + MOST_UPLOADS
    _until(lambda: _receiving(wire, app_id) == 0)
    wire.http.post(address, params={"mode": "FULL"}, content=lines(*PEOPLE), headers=headers).raise_for_status()


def _receiving(wire: Wire, app_id: str) -> int:
    return [run["status"] for run in wire.http.get(f"/apps/{app_id}/imports").json()].count("RECEIVING")


def _until(there: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not there():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_nothing_of_a_profile_is_in_the_log_whatever_is_wrong_with_it(wire: Wire) -> None:
    app_id = wire.source()
    person = record("jane", title="Confidential")
    broken = [{**person, "active": "Confidential"}, {**person, "profile": "Confidential"}, record("x", firstName="Confidential" * 10)]
    headers = {"Content-Type": "application/x-ndjson", "Prefer": "wait=20"}
    for body in (lines(*broken), lines(person) + b'{"externalId":"Confidential'):
        wire.http.post(f"/apps/{app_id}/imports", params={"mode": "FULL"}, content=body, headers=headers).raise_for_status()
    for answer in (
        wire.http.post("/users", json={"profile": {"login": "Confidential", "Confidential": 1}}),
        wire.http.post("/users", content=b'{"profile": "Confidential', headers={"Content-Type": "application/json"}),
        wire.http.get("/users/Confidential", params={"asOf": "Confidential"}),
        wire.http.get("/users", params={"filter": 'profile.title eq "Confidential"'}),
        wire.http.put(f"/apps/{app_id}/import-policy", json={"username": {"format": "CUSTOM", "expression": "'Confidential' +"}}),
    ):
        assert answer.is_client_error
    assert "Confidential" not in wire.log.read_text()
