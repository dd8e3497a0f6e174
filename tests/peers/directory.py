"""The service as a real process, and an admin who calls it over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.peers.servers import TOKEN
from tests.process import serving

_PATIENCE = 30.0
ADMIN_TOKEN = "the-admins-token-beside-real-peers"
MASTER = {
    "confirmation": {"autoConfirmExact": True, "autoConfirmNew": True, "autoActivateNew": True},
    "mastering": {"enabled": True, "whenDeactivated": "DEACTIVATE", "reactivateSuspended": True, "reactivateDeactivated": True},
    "safeguard": {"enabled": False},
}
MATCHED_ONLY = {"confirmation": {"autoConfirmExact": True}, "safeguard": {"enabled": False}}
PUSH_ALL = {
    "create": {"lifecycleCreate": {"status": "ENABLED"}},
    "update": {"profile": {"status": "ENABLED"}, "lifecycleDeactivate": {"status": "ENABLED"}},
}


@dataclass(frozen=True)
class Directory:
    """The service, as its admin sees it."""

    http: httpx.Client

    def ask(self, method: str, path: str, **parts: Any) -> Any:
        answer = self.http.request(method, path, **parts)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def app(self, label: str, policy: Mapping[str, Any], base_url: str, *, push: bool = False) -> str:
        """A new app with its connection; its id."""
        form = {"name": label.lower(), "label": label, "signOnMode": "BOOKMARK", "settings": {}}
        app_id: str = self.ask("POST", "/apps", json=form)["id"]
        self.ask("PUT", f"/apps/{app_id}/import-policy", json=policy)
        self.connect(app_id, base_url, TOKEN)
        if push:
            self.ask("PUT", f"/apps/{app_id}/features/USER_PROVISIONING", json=PUSH_ALL)
        return app_id

    def connect(self, app_id: str, base_url: str, token: str) -> None:
        """Say where the app's server is, and what to show it."""
        connection = {"baseUrl": base_url, "profile": {"authScheme": "TOKEN", "token": token}}
        self.ask("POST", f"/apps/{app_id}/connections/default", params={"activate": "true"}, json=connection)

    def sync_state(self, app_id: str, user_id: str) -> str:
        """Whether the app knows of a person what it should."""
        found: str = self.ask("GET", f"/apps/{app_id}/users/{user_id}")["syncState"]
        return found

    def map_outbound(self, app_id: str, **rules: str) -> None:
        """Change the mapping to an app: attributes, with `__` for a point, and the expressions that they are made from."""
        (mapping,) = self.ask("GET", "/mappings", params={"targetId": app_id})
        named = {name.replace("__", "."): {"expression": text, "pushStatus": "PUSH"} for name, text in rules.items()}
        self.ask("POST", f"/mappings/{mapping['id']}", json={"properties": named})

    def keep_usernames(self, app_id: str) -> None:
        """Do not change user names in an app that takes them for keys."""
        self.ask("PUT", f"/apps/{app_id}/features/USER_PROVISIONING", json={"update": {"profile": {"excludeUsernameUpdates": True}}})

    def pull(self, app_id: str, mode: str = "FULL") -> dict[str, Any]:
        """Read the app's server, and work the import off; the run at its end."""
        run: dict[str, Any] = self.ask("POST", f"/apps/{app_id}/imports", params={"mode": mode}, headers={"Prefer": "wait=30"})
        return run

    def completed(self, app_id: str, mode: str = "FULL") -> dict[str, Any]:
        run = self.pull(app_id, mode)
        assert (run["status"], run["error"]) == ("COMPLETED", None)
        return run

    def runs(self, app_id: str) -> list[dict[str, Any]]:
        """The app's runs, newest first."""
        found: list[dict[str, Any]] = self.ask("GET", f"/apps/{app_id}/imports")
        return found

    def user(self, login: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/users/{login}")
        return found

    def assign(self, app_id: str, user_id: str) -> None:
        self.ask("POST", f"/apps/{app_id}/users", json={"id": user_id, "scope": "USER"})

    def history(self, user_id: str) -> list[dict[str, Any]]:
        """The user's events, newest first."""
        found: list[dict[str, Any]] = self.ask("GET", f"/users/{user_id}/history")
        return found


def until(wanted: Callable[[], bool], what: str, seconds: float = _PATIENCE) -> None:
    """Wait until something has come about; how long is no part of any law."""
    give_up = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < give_up, f"not in {seconds} seconds: {what}"
        time.sleep(0.05)


@contextmanager
def directory(folder: Path, *options: str) -> Iterator[Directory]:
    """The service with nobody in it."""
    folder.mkdir(exist_ok=True)
    with serving(folder, "--admin-token", ADMIN_TOKEN, *options) as port:
        headers = {"Authorization": f"SSWS {ADMIN_TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, trust_env=False, timeout=60) as http:
            found = Directory(http)
            found.ask("PUT", "/org/safeguard", json={"enabled": False})
            yield found
