"""A server of its own for each module, and the official SDK as its caller (tests/okta/caller.py)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import httpx
import pytest
from okta.client import Client

from tests.okta.caller import Sdk
from tests.process import serving


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sdk]:
    """The SDK as an admin of a fresh server; whatever Okta set-up this machine has is left out of it."""
    folder = tmp_path_factory.mktemp("okta")
    with pytest.MonkeyPatch.context() as patch, serving(folder) as port, asyncio.Runner() as runner:
        for name in [name for name in os.environ if name.startswith("OKTA_")]:
            patch.delenv(name)
        patch.setenv("OKTA_TESTING_TESTINGDISABLEHTTPSCHECK", "true")
        address, token = f"http://127.0.0.1:{port}", (folder / "admin-token").read_text().strip()
        client = Client({"orgUrl": address, "token": token})
        with httpx.Client(base_url=f"{address}/api/v1", headers={"Authorization": f"SSWS {token}"}, trust_env=False) as http:
            yield Sdk(client, http, runner)
