"""The "To Okta" and "To App" pages of an app as frozen values (SPEC §§5-8, 10; API.md), and the org's part of the safeguard.

A plan is made under the policy of one moment and keeps it; so a policy is a value, never a row that somebody edits meanwhile.
`faults` says what contradicts what; nothing that has faults is saved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class UsernameFormat(StrEnum):
    """How the login of an imported record is made (SPEC §9)."""

    EMAIL = "EMAIL"
    CUSTOM = "CUSTOM"


class WhenDeactivated(StrEnum):
    """What follows when a user is deactivated in the app (SPEC §7)."""

    DO_NOTHING = "DO_NOTHING"
    DEACTIVATE = "DEACTIVATE"
    SUSPEND = "SUSPEND"


@dataclass(frozen=True, slots=True)
class Username:
    """The username format; `expression` belongs to CUSTOM."""

    format: UsernameFormat = UsernameFormat.EMAIL
    expression: str | None = None


@dataclass(frozen=True, slots=True)
class Firing:
    """A cron expression and the time zone it is read in."""

    cron: str
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the app is pulled, in full and by delta. Nothing fires while it is not enabled; what was set is kept."""

    full: Firing | None = None
    incremental: Firing | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class AttributePair:
    """App attribute and user attribute that must be equal, case and all."""

    app: str
    user: str


@dataclass(frozen=True, slots=True)
class Matching:
    """What an exact match is, and whether partial ones are proposed (SPEC §6)."""

    username: bool = True
    email: bool = False
    attributes: tuple[AttributePair, ...] = ()
    allow_partial: bool = False


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is done without a reviewer (SPEC §6)."""

    auto_confirm_exact: bool = False
    auto_confirm_partial: bool = False
    auto_confirm_new: bool = False
    auto_activate_new: bool = False


@dataclass(frozen=True, slots=True)
class Mastering:
    """Whether the app may master users, and what its word does to a status (SPEC §7)."""

    enabled: bool = False
    when_deactivated: WhenDeactivated = WhenDeactivated.DEACTIVATE
    reactivate_suspended: bool = False
    reactivate_deactivated: bool = False


@dataclass(frozen=True, slots=True)
class Safeguard:
    """The app's limit on unassignments in one run, in percent (SPEC §8)."""

    enabled: bool = True
    max_unassigned_percent: int = 20
    minimum_assignments: int = 0
    tolerate_unidentified: int = 0


@dataclass(frozen=True, slots=True)
class OrgSafeguard:
    """The org's limit over all apps, and the org-wide options that live beside it (API.md, /org/safeguard)."""

    enabled: bool = True
    max_unassigned_percent: int = 20
    minimum_assignments: int = 0
    update_deactivated_users: bool = False
    held_plan_retention_days: int = 30
    received_retention_days: int | None = None
    """How long what a run received is kept once it has ended: as long as its plan, where nothing is said, and never longer; 0: not at all."""

    @property
    def days_received_is_kept(self) -> int:
        """After how many days what an ended run received is forgotten."""
        days = self.received_retention_days
        return self.held_plan_retention_days if days is None else min(days, self.held_plan_retention_days)


@dataclass(frozen=True, slots=True)
class CsvActive:
    """The CSV column that says whether an account is active, and the values that mean it is."""

    column: str = "active"
    values: tuple[str, ...] = ("true",)


@dataclass(frozen=True, slots=True)
class Csv:
    """How the app's CSV is read. Several columns make a combined key, joined by `|`."""

    external_id: str | tuple[str, ...] = "externalId"
    active: CsvActive | None = field(default_factory=CsvActive)
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class ImportPolicy:
    """All that one app's administrator chose about imports."""

    username: Username = field(default_factory=Username)
    schedule: Schedule = field(default_factory=Schedule)
    matching: Matching = field(default_factory=Matching)
    confirmation: Confirmation = field(default_factory=Confirmation)
    mastering: Mastering = field(default_factory=Mastering)
    safeguard: Safeguard = field(default_factory=Safeguard)
    csv: Csv = field(default_factory=Csv)
    hook_id: str | None = None


class PasswordSeed(StrEnum):
    """Which password an app gets (SPEC §10): the directory's own, or a random one for each user."""

    OKTA = "OKTA"
    RANDOM = "RANDOM"


class PasswordChange(StrEnum):
    """What follows in the app when a user's password changes."""

    KEEP_EXISTING = "KEEP_EXISTING"
    CHANGE = "CHANGE"


@dataclass(frozen=True, slots=True)
class PasswordSync:
    """Whether passwords are pushed, which, and whether a change follows."""

    enabled: bool = False
    seed: PasswordSeed = PasswordSeed.RANDOM
    change: PasswordChange = PasswordChange.KEEP_EXISTING


@dataclass(frozen=True, slots=True)
class ProvisioningPolicy:
    """All that one app's administrator chose about what goes out to it, each switch on its own (SPEC §10). A new app gets nothing."""

    create_users: bool = False
    update_attributes: bool = False
    deactivate_users: bool = False
    exclude_username_updates: bool = False
    password: PasswordSync = field(default_factory=PasswordSync)


def faults(policy: ImportPolicy) -> list[str]:
    """What contradicts itself in a policy, a sentence each, naming the field; empty where all is well."""
    return [
        *_matching_faults(policy.matching),
        *_username_faults(policy.username),
        *_limit_faults(policy.safeguard),
        *_csv_faults(policy.csv),
    ]


def org_faults(org: OrgSafeguard) -> list[str]:
    """What is out of range in the org's options, a sentence each."""
    found = _percent_faults("", org.max_unassigned_percent, org.minimum_assignments)
    if not 1 <= org.held_plan_retention_days <= 3650:
        found.append("heldPlanRetentionDays: must be from 1 to 3650")
    if org.received_retention_days is not None and not 0 <= org.received_retention_days <= 3650:
        found.append("receivedRetentionDays: must be from 0 to 3650, or null: as long as plans are kept")
    return found


def _matching_faults(matching: Matching) -> list[str]:
    found = []
    if matching.attributes and (matching.username or matching.email):
        found.append("matching.attributes: matching by attributes excludes matching by username or email; switch those two off")
    if len(matching.attributes) > 10:
        found.append("matching.attributes: at most 10 pairs")
    if any(not pair.app or not pair.user for pair in matching.attributes):
        found.append("matching.attributes: each pair names an app attribute and a user attribute")
    return found


def _username_faults(username: Username) -> list[str]:
    if username.format is UsernameFormat.CUSTOM and not (username.expression or "").strip():
        return ["username.expression: the CUSTOM format needs an expression"]
    if username.format is UsernameFormat.EMAIL and username.expression:
        return ["username.expression: the EMAIL format takes no expression; use CUSTOM"]
    return []


def _limit_faults(safeguard: Safeguard) -> list[str]:
    found = _percent_faults("safeguard.", safeguard.max_unassigned_percent, safeguard.minimum_assignments)
    if safeguard.tolerate_unidentified < 0:
        found.append("safeguard.tolerateUnidentified: must not be negative")
    return found


def _percent_faults(prefix: str, percent: int, minimum: int) -> list[str]:
    found = []
    if not 0 <= percent <= 100:
        found.append(f"{prefix}maxUnassignedPercent: must be from 0 to 100")
    if minimum < 0:
        found.append(f"{prefix}minimumAssignments: must not be negative")
    return found


def _csv_faults(csv: Csv) -> list[str]:
    found = []
    columns = (csv.external_id,) if isinstance(csv.external_id, str) else csv.external_id
    if not columns or not all(columns):
        found.append("csv.externalId: name the column, or the columns, that identify a record")
    if len(set(columns)) < len(columns):
        found.append("csv.externalId: names a column twice")
    if len(csv.delimiter) != 1 or csv.delimiter in '"\r\n\0':
        found.append("csv.delimiter: must be one character, and not a quote or a line end")
    if csv.active is not None and (not csv.active.column or not csv.active.values):
        found.append("csv.active: name the column and at least one value that means active")
    return found
