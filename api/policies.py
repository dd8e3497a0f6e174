"""An app's import policy: the whole "To Okta" page as one document (API.md, own resources).

`PUT` replaces it: a part that is left out goes back to its default, a field that nobody knows is refused. The structs have the rules' own
fields, so that one is made of the other by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Struct, UnsetType, field

from api.auth import actor_of
from api.preconditions import etag, expected
from mastering.catalog import apps, policies, schedules
from mastering.clock import now
from mastering.rules.policy import ImportPolicy, UsernameFormat, WhenDeactivated
from mastering.rules.record import Mode
from mastering.store.catalog import policy_of
from mastering.store.tables import App


class _Part(Struct, rename="camel", forbid_unknown_fields=True):
    """A part of the document."""


class Username(_Part):
    """How the login of an imported record is made; the expression belongs to CUSTOM."""

    format: UsernameFormat = UsernameFormat.EMAIL
    expression: str | None = None


class Firing(_Part):
    """A cron expression of five fields, and the time zone it is read in. `next` is shown: when it fires next; nothing is made of it when sent."""

    cron: str
    timezone: str = "UTC"
    next: str | UnsetType = UNSET


class Schedule(_Part):
    """When the app is pulled, in full and by delta. `enabled` is shown only where it is false: nothing fires then."""

    full: Firing | None = None
    incremental: Firing | None = None
    enabled: bool | UnsetType = UNSET


class AttributePair(_Part):
    """An app attribute and the user attribute that must equal it."""

    app: str
    user: str


class Matching(_Part):
    """What an exact match is; attributes exclude the first two."""

    username: bool = True
    email: bool = False
    attributes: list[AttributePair] = field(default_factory=list)
    allow_partial: bool = False


class Confirmation(_Part):
    """What is done without a reviewer."""

    auto_confirm_exact: bool = False
    auto_confirm_partial: bool = False
    auto_confirm_new: bool = False
    auto_activate_new: bool = False


class Mastering(_Part):
    """Whether the app may master users, and what its word does to a status."""

    enabled: bool = False
    when_deactivated: WhenDeactivated = WhenDeactivated.DEACTIVATE
    reactivate_suspended: bool = False
    reactivate_deactivated: bool = False


class Safeguard(_Part):
    """The app's limit on unassignments in one run."""

    enabled: bool = True
    max_unassigned_percent: int = 20
    minimum_assignments: int = 0
    tolerate_unidentified: int = 0


class CsvActive(_Part):
    """The CSV column that says whether an account is active, and which of its values mean it is."""

    column: str = "active"
    values: list[str] = field(default_factory=lambda: ["true"])


class Csv(_Part):
    """How the app's CSV is read. Several columns make a combined key; `active` null: everybody in the file is active."""

    external_id: str | list[str] = "externalId"
    active: CsvActive | None = field(default_factory=CsvActive)
    delimiter: str = ","


class Policy(_Part):
    """All that one app's administrator chose about imports."""

    username: Username = field(default_factory=Username)
    schedule: Schedule = field(default_factory=Schedule)
    matching: Matching = field(default_factory=Matching)
    confirmation: Confirmation = field(default_factory=Confirmation)
    mastering: Mastering = field(default_factory=Mastering)
    safeguard: Safeguard = field(default_factory=Safeguard)
    csv: Csv = field(default_factory=Csv)
    hook_id: str | None = None


class PolicyController(Controller):
    """`/apps/{id}/import-policy`."""

    path = "/api/v1/apps/{app_id:str}/import-policy"
    tags = ("Import policies",)

    @get(summary="An app's import policy", sync_to_thread=True)
    def read_policy(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> Response[Policy]:
        """The policy as it is, with its tag."""
        engine = request.app.state.engine
        return _answer(apps.read(engine, app_id), schedules.next_firings(engine, app_id))

    @put(summary="Replace an app's import policy", sync_to_thread=True)
    def replace_policy(self, request: Request[Any, Any, Any], app_id: FromPath[str], data: JSONBody[Policy]) -> Response[Policy]:
        """Replace the policy. Enabling the app as a master ranks it last; no user's status moves."""
        engine, actor = request.app.state.engine, actor_of(request)
        app = policies.replace(engine, actor, now(), app_id, policy_from(data), check=expected(request))
        return _answer(app, schedules.next_firings(engine, app_id))


def policy_from(data: Policy) -> ImportPolicy:
    """The rules' value of a document."""
    if data.schedule.enabled is UNSET:
        data.schedule.enabled = True
    return msgspec.convert(data, ImportPolicy, from_attributes=True)


def policy_view(policy: ImportPolicy, next_firings: Mapping[Mode, str]) -> Policy:
    """The document of the rules' value, and when it fires next."""
    view = msgspec.convert(policy, Policy, from_attributes=True)
    if view.schedule.enabled:
        view.schedule.enabled = UNSET
    for mode, firing in {Mode.FULL: view.schedule.full, Mode.INCREMENTAL: view.schedule.incremental}.items():
        if firing is not None:
            firing.next = next_firings.get(mode, UNSET)
    return view


def _answer(app: App, next_firings: Mapping[Mode, str]) -> Response[Policy]:
    return Response(policy_view(policy_of(app), next_firings), headers={"ETag": etag(app.version)})
