"""One server to a process, emptied before each test; and an admin who may call it."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import create_app
from mastering.clock import now
from mastering.settings import Settings
from mastering.tokens import ensure_admin
from tests.api.service import ADMIN_TOKEN, Service
from tests.walks.imports_world import empty


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Litestar]]:
    """A running server. Making one takes longer than most tests."""
    folder = tmp_path_factory.mktemp("server")
    settings = Settings.from_environment({"MASTERING_DATA_DIR": str(folder), "MASTERING_ADMIN_TOKEN": ADMIN_TOKEN})
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def service(server: TestClient[Litestar]) -> Service:
    """The server with nothing in it but the admin's token."""
    settings = server.app.state.settings
    empty(server.app.state.engine)
    ensure_admin(server.app.state.engine, now(), ADMIN_TOKEN, settings.data_dir)
    return Service(server)
