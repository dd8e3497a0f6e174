"""May this plan be applied without a human looking at it? (SPEC §8)

Two independent limits on unassignments, one of the app and one of the org, each in whole percent and held only when the share
is *greater* than the limit: `100 · n > limit · d`, in integers, so that 20 of 100 at 20 % passes and 21 does not.
Two more reasons hold a full run: rows that cannot be identified, while somebody would be concluded missing, and a snapshot with
nothing in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mastering.rules.policy import OrgSafeguard, Safeguard
from mastering.rules.record import Mode


class HeldFor(StrEnum):
    """Why a run is held."""

    empty_snapshot = "empty_snapshot"
    unidentified_records = "unidentified_records"
    app_limit = "app_limit"
    org_limit = "org_limit"


@dataclass(frozen=True, slots=True)
class Share:
    """Unassignments of the run against the active assignments before it, and the limit in percent."""

    unassigned: int
    assigned: int
    limit: int

    @property
    def percent(self) -> float:
        """The share in percent, to two places, for reading; the verdict is made in integers."""
        return round(100 * self.unassigned / self.assigned, 2) if self.assigned else 0.0

    def exceeded(self, *, enabled: bool, minimum: int) -> bool:
        """Whether the limit holds the run: switched on, enough assignments to speak of, and more than the limit."""
        return enabled and self.assigned >= minimum and 100 * self.unassigned > self.limit * self.assigned


@dataclass(frozen=True, slots=True)
class Tally:
    """What the check needs to know of a plan and of the org before it."""

    mode: Mode
    records: int
    unidentified: int
    absences: int
    waiting: int
    unassigned: int
    assigned: int
    assigned_in_org: int
    allow_empty: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the run is held, for what, and both shares."""

    reason: HeldFor | None
    app: Share
    org: Share

    @property
    def tripped(self) -> bool:
        """Whether the run is held."""
        return self.reason is not None


def check(tally: Tally, app: Safeguard, org: OrgSafeguard) -> Verdict:
    """The verdict on a finished plan (SPEC §8). The emptiest reason comes first: it explains the others."""
    of_app = Share(tally.unassigned, tally.assigned, app.max_unassigned_percent)
    of_org = Share(tally.unassigned, tally.assigned_in_org, org.max_unassigned_percent)
    reason = None
    if _empty(tally):
        reason = HeldFor.empty_snapshot
    elif tally.mode is Mode.FULL and tally.absences and tally.unidentified > app.tolerate_unidentified:
        reason = HeldFor.unidentified_records
    elif of_app.exceeded(enabled=app.enabled, minimum=app.minimum_assignments):
        reason = HeldFor.app_limit
    elif of_org.exceeded(enabled=org.enabled, minimum=org.minimum_assignments):
        reason = HeldFor.org_limit
    return Verdict(reason, of_app, of_org)


def _empty(tally: Tally) -> bool:
    nothing_received = tally.mode is Mode.FULL and tally.records == 0
    return nothing_received and not tally.allow_empty and bool(tally.assigned or tally.waiting)


def greatest_holding_limit(unassigned: int, assigned: int) -> int | None:
    """The greatest whole percentage that, as a limit, would have held a run of this share; `None` where none would (SPEC §8)."""
    if unassigned <= 0 or assigned <= 0:
        return None
    return (100 * unassigned - 1) // assigned
