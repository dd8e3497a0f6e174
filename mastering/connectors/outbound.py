"""The door through which the service calls others: hooks and connections (SPEC §§8, 11).

Whoever may set an address must not be able to make this process call what only this process can reach. So

* the scheme is https, or http where the host is this machine by its own name (`localhost`, a loopback address); to http elsewhere an
  admin agrees connection by connection;
* the name is resolved here, every address it has is looked at, and the connection goes to an address that was looked at: a name that
  answers differently the next time (DNS rebinding) changes nothing. Certificate and `Host` are those of the name;
* private, link-local, shared and metadata addresses are refused, also in their IPv6 disguises, unless a setting allows the network;
* no redirect is followed, no cookie kept, no proxy is asked, certificates are verified;
* a call has one bound in time, from the look-up of the name to the last byte, and one in the size of the answer; what is compressed is
  not unpacked.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from mastering.settings import Network

Address = IPv4Address | IPv6Address

_PORTS = {"https": 443, "http": 80}
_NAT64, _COMPATIBLE = IPv6Network("64:ff9b::/96"), IPv6Network("::/96")
_SPECIAL = (ip_network("168.63.129.16/32"), ip_network("100.100.100.200/32"), ip_network("fd00:ec2::254/128"))
"""Addresses at which clouds tell their machines secrets, and that do not all look private."""
_LOOK_UPS = 16
_MOST_AUTHORITIES = 64


class CallFailed(Exception):
    """A call got no answer that can be used. The message is for an admin and holds nothing of what was sent or received."""


class NotAllowed(CallFailed):
    """The address may not be called at all; nothing was sent."""


class TimedOut(CallFailed):
    """There was no whole answer in time."""


class Unreachable(CallFailed):
    """Nobody is there, or who is there broke off, or does not prove who they are."""


class Untrusted(Unreachable):
    """Who is there does not prove who they are: the certificate does not hold."""


class TooLarge(CallFailed):
    """The answer is longer than anybody wants to read; it was not read on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def address_fault(url: str, *, plain: bool = False) -> str | None:
    """What is wrong with an address as it is written; `None` where it may be tried. Where its name leads is seen when it is called.

    `plain`: an admin has agreed to http.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no address"
    if any(character.isspace() or not character.isprintable() for character in url) or not url.isascii():
        return "must not have blanks or characters beyond ASCII"
    if not host or port == 0:
        return "must be an address such as https://hooks.example.com/import"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password; use authScheme"
    if parts.fragment:
        return "must not have a fragment"
    if parts.scheme == "http" and not plain and not _is_this_machine(host):
        return "must begin with https://; http is for this machine alone"
    if parts.scheme not in _PORTS:
        return "must begin with https://"
    return None


def _is_this_machine(host: str) -> bool:
    """Whether a host is this machine by its own name, and not by what somebody's DNS says."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_internal(address: Address) -> bool:
    """Whether an address leads to where the outside cannot go: private, link-local, shared, loopback, multicast, reserved, metadata."""
    if any(address in network for network in _SPECIAL):
        return True
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64 or address in _COMPATIBLE:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_internal(inner)
    return not address.is_global or address.is_multicast


class Door:
    """Makes calls. One for a process, shared between threads; `close` it at the end."""

    def __init__(self, allowed: Sequence[Network] = (), *, at_once: int = 32, tls: ssl.SSLContext | None = None) -> None:
        """`allowed`: internal networks that may be called nevertheless. `tls` verifies; by default against the public authorities."""
        self._allowed, self._at_once = tuple(allowed), at_once
        self._network = _CheckedNetwork(allowed)
        transport = _Transport(self._network, tls or httpx.create_ssl_context(), at_once)
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.Client(transport=transport, trust_env=False, cookies=no_cookies)
        self._trusting: dict[str, Door] = {}
        self._guard = threading.Lock()

    def trusting(self, authority: str | None) -> Door:
        """The same door for a peer whose certificate a private authority signed: these PEM certificates are trusted beside the public ones.

        Doors are kept and closed with this one. Raises `ValueError` for what is no certificate.
        """
        if authority is None:
            return self
        with self._guard:
            if authority not in self._trusting:
                if len(self._trusting) >= _MOST_AUTHORITIES:
                    self._trusting.pop(next(iter(self._trusting))).close()
                self._trusting[authority] = Door(self._allowed, at_once=self._at_once, tls=trust(authority))
            return self._trusting[authority]

    def call(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, seconds: float, limit: int, plain: bool = False
    ) -> Answer:
        """One call, answered within `seconds` in all and `limit` bytes of body; raises `CallFailed`.

        A redirect is an answer like any other. No call is repeated here. `plain`: http is agreed to.
        """
        fault = address_fault(url, plain=plain)
        if fault is not None:
            raise NotAllowed(f"the address {fault}")
        _deadline.at = monotonic() + seconds
        asked = {"Accept": "application/json", **headers, "Accept-Encoding": "identity"}
        try:
            with self._client.stream(method, url, headers=asked, content=body, timeout=seconds) as response:
                return Answer(response.status_code, dict(response.headers), _read(response, limit))
        except httpx.TimeoutException as fault_:
            raise TimedOut(f"there was no answer within {seconds:.3g} s") from fault_
        except httpx.TransportError as fault_:
            raise _told(fault_) from fault_
        except (httpx.InvalidURL, httpx.DecodingError, UnicodeError, ValueError) as fault_:
            raise Unreachable(f"the call could not be made ({type(fault_).__name__})") from fault_
        finally:
            _deadline.at = None

    def close(self) -> None:
        """Let all connections go."""
        for door in self._trusting.values():
            door.close()
        self._client.close()
        self._network.close()


def trust(authority: str) -> ssl.SSLContext:
    """A context that trusts the public authorities and these PEM certificates; raises `ValueError` for what is no certificate."""
    tls = httpx.create_ssl_context()
    try:
        tls.load_verify_locations(cadata=authority)
    except (ssl.SSLError, ValueError) as fault:
        raise ValueError("no PEM certificate can be read from it") from fault
    return tls


def _read(response: httpx.Response, limit: int) -> bytes:
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise TooLarge(f"the answer has {int(length)} bytes, the most is {limit}")
    read = bytearray()
    for part in response.iter_raw():
        read += part
        if len(read) > limit:
            raise TooLarge(f"the answer has more than {limit} bytes")
    return bytes(read)


def _told(fault: httpx.TransportError) -> Unreachable:
    """Why a connection did not come about or broke off, in words that are the libraries' own and hold no data."""
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Untrusted(f"the certificate cannot be trusted: {cause.verify_message}")
        cause = cause.__cause__ or cause.__context__
    if isinstance(fault, httpx.ConnectError):
        return Unreachable("no connection could be made")
    return Unreachable("the connection broke off before the whole answer had come")


# -- under httpx ------------------------------------------------------------------------------------------------------


class _Transport(httpx.HTTPTransport):
    """httpx's transport on a pool whose connections the checked network makes."""

    def __init__(self, network: _CheckedNetwork, tls: ssl.SSLContext, at_once: int) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls, max_connections=at_once, max_keepalive_connections=at_once, keepalive_expiry=10.0, network_backend=network
        )


class _Deadline(threading.local):
    """Until when the call of this thread must be over."""

    at: float | None = None

    def cut(self, timeout: float | None) -> float | None:
        """A time-out cut to what is left of the call; raises httpcore's own if nothing is."""
        if self.at is None:
            return timeout
        left = self.at - monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the call took too long")
        return left if timeout is None else min(timeout, left)


_deadline = _Deadline()


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to addresses that were looked at, and to no other."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._plain = httpcore.SyncBackend()
        self._look_ups = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="look-up")

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._resolve(host, port)
        for address in addresses:
            if not self._may_call(host, address):
                raise NotAllowed(f"the name leads to an internal address ({address}); MASTERING_OUTBOUND_ALLOW can allow its network")
        fault: Exception | None = None
        for address in addresses:
            try:
                plain = self._plain.connect_tcp(str(address), port, _deadline.cut(timeout), local_address, socket_options)
                return _TimedStream(plain)
            except httpcore.ConnectError as refused:
                fault = refused
        raise fault or httpcore.ConnectError("the name has no address")

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise NotAllowed("a socket of this machine is no address")

    def close(self) -> None:
        self._look_ups.shutdown(wait=False, cancel_futures=True)

    def _may_call(self, host: str, address: Address) -> bool:
        fine = address.is_loopback if _is_this_machine(host) else not is_internal(address)
        return fine or any(address in network for network in self._allowed)

    def _resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of a name. The system's look-up knows no time-out, so it is waited for and not joined."""
        try:
            return [ip_address(host)]
        except ValueError:
            looked_up = self._look_ups.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = looked_up.result(_deadline.cut(None))
        except TookTooLong as fault:
            raise httpcore.ConnectTimeout("the name could not be looked up in time") from fault
        except OSError as fault:
            raise httpcore.ConnectError("the name has no address") from fault
        return list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


class _TimedStream(httpcore.NetworkStream):
    """A connection none of whose steps lasts longer than the call that uses it may."""

    def __init__(self, plain: httpcore.NetworkStream) -> None:
        self._plain = plain

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._plain.read(max_bytes, _deadline.cut(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._plain.write(buffer, _deadline.cut(timeout))

    def close(self) -> None:
        self._plain.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._plain.start_tls(ssl_context, server_hostname, _deadline.cut(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)
