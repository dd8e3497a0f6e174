"""The door outwards (SPEC §8): only addresses that may be called, only answers that fit their bounds."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mastering.connectors.outbound import Answer, Door, NotAllowed, TimedOut, TooLarge, Unreachable, Untrusted, address_fault, is_internal
from tests.hook_server import HookServer, Reply, hanging, hook_server

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


def call(door: Door, url: str, *, seconds: float = 5.0, limit: int = 1_000, **headers: str) -> Answer:
    return door.call("POST", url, headers={"Content-Type": "application/json", **headers}, body=b"{}", seconds=seconds, limit=limit)


# -- which addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/import",
        "https://hooks.example.com:8443/a?b=c",
        "http://localhost:80/x",
        "http://127.0.0.1/",
        "http://[::1]/",
    ],
)
def test_https_may_be_called_and_http_on_this_machine(url: str) -> None:
    assert address_fault(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "http://hooks.example.com/import",
        "http://localhost.example.com/",
        "http://127.0.0.1.example.com/",
        "http://0.0.0.0/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nX: y",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:0/",
        "https://hööks.example.com/",
        "https://[::1/",
        "https://hooks.example.com/#x",
    ],
)
def test_any_other_address_is_refused_as_it_is_written(url: str, door: Door) -> None:
    assert address_fault(url) is not None
    with pytest.raises(NotAllowed):
        call(door, url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "fc00::1",
        "ff02::1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_an_internal_address_is_known_in_every_disguise(address: str) -> None:
    assert is_internal(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_a_public_address_is_none(address: str) -> None:
    assert not is_internal(ip_address(address))


@pytest.mark.parametrize("host", ["10.255.0.1", "169.254.169.254", "[fd00:ec2::254]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]"])
def test_an_internal_address_is_not_called(door: Door, host: str) -> None:
    with pytest.raises(NotAllowed, match="internal address"):
        call(door, f"https://{host}/", seconds=QUICK)


def leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name lead to these addresses; the names that were looked up."""
    asked: list[str] = []
    as_ever = socket.getaddrinfo

    def look_up(host: str, port: int, *how: int, **named: int) -> Any:
        if host[0].isdigit():
            return as_ever(host, port, *how, **named)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("mastering.connectors.outbound.socket.getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("10.0.0.7",), ("8.8.8.8", "10.0.0.7"), ("169.254.169.254",)])
def test_a_name_that_leads_inside_is_not_called_even_if_it_also_leads_outside(
    door: Door, monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    leads_to(monkeypatch, *addresses)
    with pytest.raises(NotAllowed, match="MASTERING_OUTBOUND_ALLOW"):
        call(door, "https://hooks.example.com/", seconds=QUICK)


def test_localhost_that_leads_elsewhere_is_not_called(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, "8.8.8.8")
    with pytest.raises(NotAllowed):
        call(door, "http://localhost/", seconds=QUICK)


def test_a_name_without_an_address_is_unreachable(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr("mastering.connectors.outbound.socket.getaddrinfo", fail)
    with pytest.raises(Unreachable):
        call(door, "https://hooks.example.com/")


def test_a_look_up_that_takes_for_ever_is_not_waited_for(door: Door, server: HookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastering.connectors.outbound.socket.getaddrinfo", lambda *_, **__: server.over.wait() and [])
    with pytest.raises(TimedOut):
        call(door, "https://hooks.example.com/", seconds=QUICK)
    server.over.set()


# -- TLS, and the address that was checked ----------------------------------------------------------------------------


def certify(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a name, that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem, secret = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pem, secret


class TlsServer:
    """Answers one request over TLS; what name it was asked for in the handshake, and in the request."""

    def __init__(self, pem: Path, key: Path) -> None:
        self.names: list[str | None] = []
        self.request = b""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        context.sni_callback = lambda _, name, __: self.names.append(name)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = Thread(target=self._answer, args=(context,), daemon=True)
        self._thread.start()

    def _answer(self, context: ssl.SSLContext) -> None:
        try:
            plain, _ = self._listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as secure:
                while b"\r\n\r\n{}" not in self.request:
                    self.request += secure.recv(4_096)
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        except OSError:
            return

    def close(self) -> None:
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return certify(tmp_path, "hooks.example.com")


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[TlsServer]:
    server = TlsServer(*certificate)
    yield server
    server.close()


def test_the_checked_address_is_called_under_the_name_and_looked_up_once(
    secure: TlsServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = leads_to(monkeypatch, "127.0.0.1")
    door = Door([ip_network("127.0.0.0/8")], tls=ssl.create_default_context(cafile=str(certificate[0])))
    assert call(door, f"https://hooks.example.com:{secure.port}/import").status == 200
    door.close()
    assert asked == ["hooks.example.com"]
    assert secure.names == ["hooks.example.com"]
    assert f"host: hooks.example.com:{secure.port}".encode() in secure.request.lower()


def test_a_certificate_that_nobody_vouches_for_ends_the_call(secure: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, "127.0.0.1")
    door = Door([ip_network("127.0.0.0/8")])
    with pytest.raises(Unreachable, match="certificate cannot be trusted"):
        call(door, f"https://hooks.example.com:{secure.port}/import")
    door.close()
    assert secure.request == b""


def test_a_certificate_of_another_name_ends_the_call(
    secure: TlsServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(monkeypatch, "127.0.0.1")
    door = Door([ip_network("127.0.0.0/8")], tls=ssl.create_default_context(cafile=str(certificate[0])))
    with pytest.raises(Unreachable, match="certificate cannot be trusted"):
        call(door, f"https://other.example.com:{secure.port}/import")
    door.close()


def test_a_private_authority_is_trusted_where_it_is_given(
    secure: TlsServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(monkeypatch, "127.0.0.1")
    door, pem = Door([ip_network("127.0.0.0/8")]), certificate[0].read_text()
    private = door.trusting(pem)
    assert (door.trusting(pem), door.trusting(None)) == (private, door)
    assert call(private, f"https://hooks.example.com:{secure.port}/import").status == 200
    door.close()


def test_a_private_authority_vouches_for_no_other_name(
    secure: TlsServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(monkeypatch, "127.0.0.1")
    door = Door([ip_network("127.0.0.0/8")])
    with pytest.raises(Untrusted):
        call(door.trusting(certificate[0].read_text()), f"https://other.example.com:{secure.port}/import")
    door.close()


@pytest.mark.parametrize("pem", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_no_authority(door: Door, pem: str) -> None:
    with pytest.raises(ValueError, match="no PEM certificate"):
        door.trusting(pem)


# -- answers ----------------------------------------------------------------------------------------------------------


def test_what_is_sent_arrives_and_what_is_answered_comes_back(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(body={"commands": []})
    answer = call(door, server.uri, Authorization="s3cret")
    assert (answer.status, answer.body) == (200, b'{"commands": []}')
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.headers["Authorization"]) == ("POST", "/import", "s3cret")
    assert seen.headers["Accept-Encoding"] == "identity"


def test_a_redirect_is_an_answer_and_is_not_followed(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(302, headers={"Location": f"{server.uri}/elsewhere"})
    assert call(door, server.uri).status == 302
    assert len(server.seen) == 1


def test_a_cookie_is_not_kept(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(headers={"Set-Cookie": "a=b; Path=/"})
    call(door, server.uri)
    call(door, server.uri)
    assert "Cookie" not in server.seen[1].headers


def test_an_answer_that_announces_too_much_is_not_read(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(body=b"x", promise=10**12)
    with pytest.raises(TooLarge):
        call(door, server.uri)


def test_an_answer_that_does_not_say_its_length_is_read_up_to_the_limit(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(body=b"x" * 1_000, promise=-1)
    assert len(call(door, server.uri).body) == 1_000
    server.behaves = lambda _: Reply(body=b"x" * 1_001, promise=-1)
    with pytest.raises(TooLarge):
        call(door, server.uri)


def test_an_answer_of_exactly_the_limit_is_read(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(body=b"x" * 1_000)
    assert len(call(door, server.uri).body) == 1_000


@pytest.mark.parametrize(
    "reply",
    [hanging(), Reply(body=b"{", promise=100, hangs=True), Reply(body=b"{", promise=10_000, drips=True)],
    ids=["no answer", "hangs in the middle of the body", "drips"],
)
def test_a_call_is_over_when_its_time_is_whatever_the_server_does(door: Door, server: HookServer, reply: Reply) -> None:
    server.behaves = lambda _: reply
    begun = monotonic()
    with pytest.raises(TimedOut, match=r"within 0\.25 s"):
        call(door, server.uri, seconds=QUICK, limit=100_000)
    assert QUICK * 0.8 <= monotonic() - begun < QUICK * 8


def test_a_server_that_is_gone_is_unreachable(door: Door) -> None:
    with hook_server() as gone:
        uri = gone.uri
    with pytest.raises(Unreachable, match="no connection"):
        call(door, uri)


def test_a_server_that_breaks_off_is_unreachable(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: Reply(body=b"{", promise=100)
    with pytest.raises(Unreachable, match="broke off"):
        call(door, server.uri)


def test_a_call_after_one_that_took_too_long_has_its_own_time(door: Door, server: HookServer) -> None:
    server.behaves = lambda _: hanging()
    with pytest.raises(TimedOut):
        call(door, server.uri, seconds=QUICK)
    server.behaves = lambda _: Reply(body=b"{}")
    assert call(door, server.uri).status == 200
