"""One service and two servers of other people's to a module: each test brings people and apps of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.peers.directory import Directory, directory
from tests.peers.proxy import Proxy, proxy_before
from tests.peers.servers import Server, scim2_server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    with directory(tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    """Makes a server with nobody in it: a tenant of one process."""
    number = count()
    with scim2_server(tmp_path_factory.mktemp("scim")) as process:
        yield lambda: process.tenant(f"t{next(number)}")


@pytest.fixture
def hr(servers: Callable[[], Server]) -> Server:
    """A server with nobody in it."""
    return servers()


@pytest.fixture
def proxy(hr: Server) -> Iterator[Proxy]:
    """A proxy before it."""
    with proxy_before(hr.base_url) as found:
        yield found
