"""A caller of the server: requests with a token, and what tests do again and again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import Engine

from mastering.store import history
from mastering.store.catalog import ORG_ID
from mastering.store.documents import load
from mastering.store.engine import reading

ADMIN_TOKEN = "an-admins-token-for-tests-only"
NDJSON = "application/x-ndjson"
ENVELOPE = {"errorCode", "errorSummary", "errorLink", "errorId", "errorCauses"}
CONFIRM_ALL = {"autoConfirmExact": True, "autoConfirmPartial": True, "autoConfirmNew": True, "autoActivateNew": True}


def profile(name: str, **more: Any) -> dict[str, Any]:
    """A person's profile."""
    return {"login": f"{name}@example.com", "email": f"{name}@example.com", "firstName": name.title(), "lastName": "Doe", **more}


def record(name: str, **more: Any) -> dict[str, Any]:
    """A record of that person, whose external id is the name; `active` goes to the record."""
    activity = {"active": more.pop("active")} if "active" in more else {}
    told = profile(name, **more)
    del told["login"]
    return {"externalId": name, **activity, "profile": told}


def unfired(policy: dict[str, Any]) -> dict[str, Any]:
    """An import policy, or the capabilities that show it, without what is only shown: when it fires next."""
    schedule = policy["importSettings"]["schedule"] if "importSettings" in policy else policy["schedule"]
    for firing in schedule.values():
        if isinstance(firing, dict):
            firing.pop("next", None)
    return policy


@dataclass(frozen=True)
class Service:
    """The server as one caller sees it."""

    client: TestClient[Litestar]
    token: str | None = ADMIN_TOKEN
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        engine: Engine = self.client.app.state.engine
        return engine

    def with_token(self, token: str | None) -> Service:
        return replace(self, token=token)

    def ask(self, method: str, path: str, **parts: Any) -> Response:
        """A request below `/api/v1`, or at an address of its own."""
        headers = {"Authorization": f"SSWS {self.token}"} if self.token else {}
        headers |= self.headers | parts.pop("headers", {})
        whole = path if path.startswith(("/api", "/health", "/docs", "/openapi", "/metrics", "http")) else f"/api/v1{path}"
        answer = self.client.request(method, whole, headers=headers, **parts)
        undescribed = self._undescribed(method, answer)
        assert undescribed is None, f"{method} {whole}: {undescribed}"
        return answer

    def _undescribed(self, method: str, answer: Response) -> str | None:
        """What an answer says that the description of the API does not (API.md, habits)."""
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if not answer.is_success:
            return None if kind == "application/json" and answer.json().keys() == ENVELOPE else f"no envelope: {answer.text[:200]}"
        operation = self._operation(method, answer.request.url.path)
        if operation is None:
            return None
        described = operation["responses"].get(str(answer.status_code))
        if described is None:
            return f"status {answer.status_code} is not described"
        if answer.content and kind not in {told.partition(";")[0] for told in described.get("content", {})}:
            return f"content of type {kind!r} is not described"
        told = {name for name in answer.headers if name in {"etag", "link", "location"}}
        return None if told <= {name.lower() for name in described.get("headers", {})} else f"of {told} some headers are not described"

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The description of what a path answers to; fixed paths go before those with placeholders."""
        paths = _described_paths(self.client)
        found = [template for template in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path.rstrip("/"))]
        operation: dict[str, Any] | None = (
            paths[min(found, key=lambda template: template.count("{"))].get(method.lower()) if found else None
        )
        return operation

    def get(self, path: str, **parts: Any) -> Any:
        """What a good GET says."""
        return good(self.ask("GET", path, **parts))

    def post(self, path: str, **parts: Any) -> Any:
        return good(self.ask("POST", path, **parts))

    def put(self, path: str, **parts: Any) -> Any:
        return good(self.ask("PUT", path, **parts))

    def delete(self, path: str) -> None:
        assert self.ask("DELETE", path).status_code == 204

    # -- what tests do again and again --------------------------------------------------------------------------------

    def app(self, label: str = "HR", **form: Any) -> str:
        """A new app's id."""
        made: str = self.post("/apps", json={"label": label, **form})["id"]
        return made

    def master(self, label: str) -> str:
        """A new app that is enabled as a master."""
        app_id = self.app(label)
        self.policy(app_id, mastering={"enabled": True})
        return app_id

    def policy(self, app_id: str, **parts: Any) -> Any:
        """Replace an app's policy."""
        return self.put(f"/apps/{app_id}/import-policy", json=parts)

    def mapping(self, app_id: str) -> str:
        """The id of an app's mapping."""
        found: str = self.get("/mappings", params={"sourceId": app_id})[0]["id"]
        return found

    def source(self, label: str = "HR", **parts: Any) -> str:
        """A new master whose records are confirmed by themselves; `parts` replace those of its policy."""
        app_id = self.app(label)
        self.policy(app_id, **{"confirmation": CONFIRM_ALL, "mastering": {"enabled": True}, **parts})
        return app_id

    def send(self, app_id: str, records: Iterable[Any], mode: str = "FULL", **query: Any) -> Any:
        """An import of these records, waited for; the run."""
        body = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        params = {"mode": mode, **query}
        return self.post(f"/apps/{app_id}/imports", params=params, content=body, headers={"Content-Type": NDJSON, "Prefer": "wait=20"})

    def changes(self, run: Mapping[str, Any], **params: Any) -> list[dict[str, Any]]:
        """The rows of a run's plan."""
        found: list[dict[str, Any]] = self.get(f"/imports/{run['id']}/changes", params=params)
        return found

    def user(self, name: str, **parts: Any) -> dict[str, Any]:
        """A new user, active unless `activate=False`."""
        activate = parts.pop("activate", True)
        made: dict[str, Any] = self.post("/users", params={"activate": activate}, json={"profile": profile(name, **parts)})
        return made

    def ranking(self) -> list[str]:
        """The masters' labels, best first."""
        return [master["label"] for master in self.get("/profile-masters")["masters"]]

    def caller(self, role: str, *apps: str) -> Service:
        """Somebody with a new token of this role."""
        made = self.post("/tokens", json={"name": f"the {role}", "role": role, "apps": list(apps)})
        return self.with_token(made["token"])

    def events(self, subject: str = ORG_ID) -> list[dict[str, Any]]:
        """The bodies of a subject's events, oldest first."""
        with reading(self.engine) as session:
            return [load(event.body) for event in history.chain(session, subject)]

    def last_event(self, subject: str = ORG_ID) -> dict[str, Any]:
        return self.events(subject)[-1]


@cache
def _described_paths(client: TestClient[Litestar]) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = client.get("/openapi.json").json()["paths"]
    return paths


def good(answer: Response) -> Any:
    """The document of a good answer."""
    assert answer.is_success, answer.text
    return answer.json()


def refusal(answer: Response) -> tuple[int, str]:
    """Status and code of a refusal, whose envelope is whole."""
    told = answer.json()
    assert told.keys() == ENVELOPE, told
    assert told["errorLink"] == told["errorCode"]
    assert told["errorId"].startswith("oae")
    assert told["errorSummary"]
    return answer.status_code, told["errorCode"]


def causes(answer: Response) -> list[str]:
    """The causes of a refusal."""
    return [cause["errorSummary"] for cause in answer.json()["errorCauses"]]
