"""The peers are what the other tests take them for: real processes, one that keeps to the standard and one that does not; and the proxy spoils."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.peers.proxy import cut_off, failing, html, late, only, proxy_before, too_many
from tests.peers.servers import TOKEN, Server, canaille, resource, scim2_server


def test_scim2_server_filters_and_lets_in_nobody_without_the_token(tmp_path: Path) -> None:
    with scim2_server(tmp_path) as server:
        server.add(resource("ada"), resource("grace"))
        found = server.ask("GET", "/Users", params={"filter": 'userName eq "ada@example.com"'}).json()
        assert [each["userName"] for each in found["Resources"]] == ["ada@example.com"]
        server.replace("ada@example.com", active=False)
        assert server.users()["ada@example.com"]["active"] is False
        server.delete("grace@example.com")
        assert list(server.users()) == ["ada@example.com"]
        assert Server(server.base_url, "another").ask("GET", "/Users").status_code == 401


def test_canaille_does_not_filter_fails_on_a_page_size_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    with canaille(tmp_path) as server:
        server.add(resource("ada"), resource("grace"))
        found = server.ask("GET", "/Users", params={"filter": 'userName eq "nobody"'}).json()
        assert found["totalResults"] == 2
        assert server.ask("GET", "/Users", params={"count": 1}).status_code == 500
        primary = resource("jane", emails=[{"value": "jane@example.com", "primary": True}])
        assert server.ask("POST", "/Users", json=primary).status_code == 400
        nameless = {name: value for name, value in resource("jane").items() if name != "name"}
        assert server.ask("POST", "/Users", json=nameless).status_code == 400
        assert server.ask("POST", "/Users", json=resource("jane", emails=[{"value": "jane@nowhere"}])).status_code == 400


def test_the_proxy_passes_everything_and_spoils_what_it_is_told_to(tmp_path: Path) -> None:
    with scim2_server(tmp_path) as server, proxy_before(server.base_url) as proxy:
        through = Server(proxy.base_url)
        through.add(resource("ada"))
        assert through.users().keys() == server.users().keys()
        proxy.heal()
        proxy.spoil(too_many("7"))
        proxy.spoil(only("POST", "/Users", failing()), times=2)
        proxy.spoil(html)
        proxy.spoil(late(0.2))
        proxy.spoil(cut_off)
        assert through.ask("POST", "/Users", json=resource("grace")).headers["retry-after"] == "7"
        assert through.ask("POST", "/Users", json=resource("jane")).status_code == 500
        assert "Please sign in" in through.ask("GET", "/Users").text
        assert through.ask("GET", "/Users").elapsed.total_seconds() > 0.2
        with pytest.raises(httpx.RemoteProtocolError):
            through.ask("GET", "/Users")
        assert through.ask("POST", "/Users", json=resource("mary")).status_code == 500
        assert through.ask("GET", "/Users").json()["totalResults"] == 4  # what was spoilt was done all the same
        assert [status for _, status in proxy.seen] == [429, 500, 200, 200, 200, 500, 200]
        assert httpx.get(f"{proxy.base_url}/Users", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False).is_success
