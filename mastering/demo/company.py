"""The demo's company: Tern, a ferry line that has an HR system and a directory, and believes HR more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mastering.cli.client import Client, decode
from mastering.cli.wire import App

HR = "HR"
DIRECTORY = "Directory"

_HR_POLICY = {
    "matching": {"username": True},
    "confirmation": {"autoConfirmExact": True, "autoConfirmNew": True, "autoActivateNew": True},
    "mastering": {"enabled": True, "whenDeactivated": "DEACTIVATE", "reactivateDeactivated": True},
    "csv": {"externalId": "worker_id", "active": {"column": "status", "values": ["Active", "On Leave"]}},
}
_DIRECTORY_POLICY = {
    "matching": {"username": True, "allowPartial": True},
    "confirmation": {"autoConfirmExact": True, "autoConfirmNew": True, "autoActivateNew": True},
    "mastering": {"enabled": True, "whenDeactivated": "SUSPEND", "reactivateSuspended": True},
}
_HR_MAPPING = {
    "email": "appuser.work_email",
    "firstName": "appuser.first_name",
    "lastName": "appuser.last_name",
    "title": "appuser.job_title",
    "employeeNumber": "appuser.worker_id",
}
"""What HR's columns are called here; department is called the same."""


@dataclass(frozen=True, slots=True)
class Company:
    """The apps' ids by label."""

    apps: dict[str, str]

    @property
    def labels(self) -> dict[str, str]:
        """The apps' labels by id."""
        return {app_id: label for label, app_id in self.apps.items()}


def found(client: Client) -> Company:
    """Connect both apps. HR is enabled as a master first, so it ranks first."""
    hr = _connect(client, HR, _HR_POLICY)
    mappings = client.get("/mappings", list[dict[str, Any]], {"sourceId": hr})
    properties = {target: {"expression": source, "pushStatus": "PUSH"} for target, source in _HR_MAPPING.items()}
    client.ask("POST", f"/mappings/{mappings[0]['id']}", json={"properties": properties})
    return Company({HR: hr, DIRECTORY: _connect(client, DIRECTORY, _DIRECTORY_POLICY)})


def _connect(client: Client, label: str, policy: dict[str, Any]) -> str:
    made = client.ask("POST", "/apps", json={"name": label.lower(), "label": label, "signOnMode": "BOOKMARK", "settings": {}})
    app_id = decode(made, App).id
    client.ask("PUT", f"/apps/{app_id}/import-policy", json=policy)
    return app_id
