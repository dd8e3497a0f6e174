"""The org's safeguard and the options beside it (API.md, /org/safeguard)."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Controller, Request, Response, get, put
from litestar.params import JSONBody
from msgspec import Struct

from api.auth import actor_of
from api.preconditions import etag, expected
from mastering import nightly
from mastering.catalog import org
from mastering.clock import now
from mastering.rules import policy
from mastering.store.catalog import org_safeguard_of
from mastering.store.tables import Org


class OrgSafeguard(Struct, rename="camel", forbid_unknown_fields=True):
    """The limit on unassignments over all apps; whether deactivated users' profiles are updated; how many days plans are kept.

    `receivedRetentionDays`: how many days what a run received is kept once it has ended; null: as long as its plan; 0: not at all.
    """

    enabled: bool = True
    max_unassigned_percent: int = 20
    minimum_assignments: int = 0
    update_deactivated_users: bool = False
    held_plan_retention_days: int = 30
    received_retention_days: int | None = None


class NightlySchedule(Struct):
    """When: a cron expression of five fields, and the time zone it is read in."""

    cron: str
    timezone: str = "UTC"


class NightlyReconciliation(Struct, rename="camel", forbid_unknown_fields=True):
    """When everybody is reconciled by the clock, and whether that repairs. `next` is shown; nothing is made of it when sent.

    `readApps`: the users of all apps that are connected then are read, and what differs there is reported, too.
    """

    schedule: NightlySchedule | None = None
    repair: bool = False
    read_apps: bool = False
    next: str | None = None


class NightlyController(Controller):
    """`/org/reconciliation`."""

    path = "/api/v1/org/reconciliation"
    tags = ("Reconciliation",)

    @get(summary="When reconciliations come by themselves", sync_to_thread=True)
    def read_nightly(self, request: Request[Any, Any, Any]) -> NightlyReconciliation:
        """The schedule; null where they come only when asked for."""
        return _nightly(nightly.read(request.app.state.engine))

    @put(summary="Set when reconciliations come by themselves", sync_to_thread=True)
    def replace_nightly(self, request: Request[Any, Any, Any], data: JSONBody[NightlyReconciliation]) -> NightlyReconciliation:
        """Replace the schedule; what is left out goes back to its default."""
        firing = policy.Firing(data.schedule.cron, data.schedule.timezone) if data.schedule else None
        wanted = nightly.Nightly(firing, data.repair, read_apps=data.read_apps) if firing else nightly.Nightly(None)
        return _nightly(nightly.replace(request.app.state.engine, actor_of(request), now(), wanted))


def _nightly(found: nightly.Nightly) -> NightlyReconciliation:
    schedule = NightlySchedule(found.firing.cron, found.firing.timezone) if found.firing else None
    return NightlyReconciliation(schedule, found.repair, found.read_apps, found.next)


class OrgController(Controller):
    """`/org/safeguard`."""

    path = "/api/v1/org/safeguard"
    tags = ("Org",)

    @get(summary="The org's safeguard", sync_to_thread=True)
    def read_safeguard(self, request: Request[Any, Any, Any]) -> Response[OrgSafeguard]:
        """The options as they are, with their tag."""
        return _answer(org.read(request.app.state.engine))

    @put(summary="Replace the org's safeguard", sync_to_thread=True)
    def replace_safeguard(self, request: Request[Any, Any, Any], data: JSONBody[OrgSafeguard]) -> Response[OrgSafeguard]:
        """Replace the options; what is left out goes back to its default."""
        wanted = msgspec.convert(data, policy.OrgSafeguard, from_attributes=True)
        return _answer(org.replace_safeguard(request.app.state.engine, actor_of(request), now(), wanted, check=expected(request)))


def _answer(row: Org) -> Response[OrgSafeguard]:
    view = msgspec.convert(org_safeguard_of(row), OrgSafeguard, from_attributes=True)
    return Response(view, headers={"ETag": etag(row.version)})
