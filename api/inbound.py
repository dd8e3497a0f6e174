"""INBOUND_PROVISIONING: the import policy as Okta writes it, in both directions (API.md, /apps/{id}/features).

Okta's shape says less than the policy: no matching by attributes, nothing of mastering, safeguard, CSV or hook. What it cannot say it
leaves alone. A request may say any part of it; what it leaves out stays as it is.

=================================  ===================================================================================
``exactMatchCriteria``             EMAIL or USERNAME; null where the policy's criterion is another, or several together
``schedule.status``                DISABLED where nothing is scheduled, or what is scheduled rests
``usernameFormat``, ``timezone``   also read as ``userNameFormat`` and ``timeZone``, as Okta's own pages write them
``next``                           ours: when an import fires next; shown while it does, and nothing is made of it when sent
=================================  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType, field

from mastering.errors import Invalid
from mastering.rules.policy import Confirmation, Firing, ImportPolicy, Matching, Schedule, Username, UsernameFormat
from mastering.rules.record import Mode


class EnabledStatus(StrEnum):
    """Whether a setting is on."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"

    @classmethod
    def of(cls, on: bool) -> EnabledStatus:
        """The word for a switch."""
        return cls.ENABLED if on else cls.DISABLED


class Criterion(StrEnum):
    """What an exact match compares, as far as Okta has words for it."""

    EMAIL = "EMAIL"
    USERNAME = "USERNAME"


# -- what is shown --------------------------------------------------------------------------------------------------------


class CronView(Struct, rename="camel"):
    """A cron expression, the time zone it is read in, and when it fires next."""

    expression: str
    timezone: str
    next: str | UnsetType


class ScheduleView(Struct, rename="camel"):
    """When the app is pulled."""

    status: EnabledStatus
    full_import: CronView | None
    incremental_import: CronView | None


class UsernameView(Struct, rename="camel"):
    """How the login of an imported record is made."""

    username_format: UsernameFormat
    user_name_expression: str | None


class ImportSettings(Struct, rename="camel"):
    """Username and schedule."""

    username: UsernameView
    schedule: ScheduleView


class UserCreateAndMatch(Struct, rename="camel"):
    """What an exact match is, and what is done without a reviewer."""

    exact_match_criteria: Criterion | None
    allow_partial_match: bool
    auto_confirm_partial_match: bool
    auto_confirm_exact_match: bool
    auto_confirm_new_users: bool
    auto_activate_new_users: bool


class ImportRules(Struct, rename="camel"):
    """Matching and confirmation."""

    user_create_and_match: UserCreateAndMatch


class InboundCapabilities(Struct, rename="camel"):
    """The import policy, as far as Okta's shape can say it."""

    import_settings: ImportSettings
    import_rules: ImportRules


def inbound_view(policy: ImportPolicy, next_firings: Mapping[Mode, str]) -> InboundCapabilities:
    """The policy as Okta shows it, and when it fires next."""
    schedule, confirmation = policy.schedule, policy.confirmation
    scheduled = schedule.enabled and (schedule.full or schedule.incremental) is not None
    return InboundCapabilities(
        ImportSettings(
            UsernameView(policy.username.format, policy.username.expression),
            ScheduleView(
                EnabledStatus.of(scheduled),
                _cron(schedule.full, next_firings.get(Mode.FULL)),
                _cron(schedule.incremental, next_firings.get(Mode.INCREMENTAL)),
            ),
        ),
        ImportRules(
            UserCreateAndMatch(
                exact_match_criteria=_criterion(policy.matching),
                allow_partial_match=policy.matching.allow_partial,
                auto_confirm_partial_match=confirmation.auto_confirm_partial,
                auto_confirm_exact_match=confirmation.auto_confirm_exact,
                auto_confirm_new_users=confirmation.auto_confirm_new,
                auto_activate_new_users=confirmation.auto_activate_new,
            )
        ),
    )


def _cron(firing: Firing | None, next_firing: str | None) -> CronView | None:
    return CronView(firing.cron, firing.timezone, next_firing or UNSET) if firing else None


def _criterion(matching: Matching) -> Criterion | None:
    if matching.attributes or matching.username == matching.email:
        return None
    return Criterion.USERNAME if matching.username else Criterion.EMAIL


# -- what is said ---------------------------------------------------------------------------------------------------------


class _Form(Struct, rename="camel", forbid_unknown_fields=True):
    """A part of a request. What is left out stays as it is."""


class CronForm(_Form):
    """A cron expression, and its time zone in either spelling; an empty object means that nothing is scheduled."""

    expression: str | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    next: str | UnsetType = UNSET


class ScheduleForm(_Form):
    """When the app is pulled."""

    status: EnabledStatus | UnsetType = UNSET
    full_import: CronForm | UnsetType | None = UNSET
    incremental_import: CronForm | UnsetType | None = UNSET


class UsernameForm(_Form):
    """How the login of an imported record is made, in either spelling."""

    username_format: UsernameFormat | UnsetType = UNSET
    user_name_format: UsernameFormat | UnsetType = UNSET
    user_name_expression: str | UnsetType | None = UNSET


class ImportSettingsForm(_Form):
    """Username and schedule."""

    username: UsernameForm = field(default_factory=UsernameForm)
    schedule: ScheduleForm = field(default_factory=ScheduleForm)


class UserCreateAndMatchForm(_Form):
    """What an exact match is, and what is done without a reviewer."""

    exact_match_criteria: Criterion | UnsetType | None = UNSET
    allow_partial_match: bool | UnsetType = UNSET
    auto_confirm_partial_match: bool | UnsetType = UNSET
    auto_confirm_exact_match: bool | UnsetType = UNSET
    auto_confirm_new_users: bool | UnsetType = UNSET
    auto_activate_new_users: bool | UnsetType = UNSET


class ImportRulesForm(_Form):
    """Matching and confirmation."""

    user_create_and_match: UserCreateAndMatchForm = field(default_factory=UserCreateAndMatchForm)


class InboundForm(_Form):
    """What is to change of an import policy."""

    import_settings: ImportSettingsForm = field(default_factory=ImportSettingsForm)
    import_rules: ImportRulesForm = field(default_factory=ImportRulesForm)


def inbound_from(said: InboundForm, known: ImportPolicy) -> ImportPolicy:
    """The policy that a request makes of the one in force; raises `Invalid` with a cause for each contradiction."""
    rules, causes = said.import_rules.user_create_and_match, list[str]()
    policy = replace(
        known,
        username=_username(said.import_settings.username, known.username, causes),
        schedule=_schedule(said.import_settings.schedule, known.schedule, causes),
        matching=_matching(rules, known.matching),
        confirmation=Confirmation(
            auto_confirm_exact=_said(rules.auto_confirm_exact_match, known.confirmation.auto_confirm_exact),
            auto_confirm_partial=_said(rules.auto_confirm_partial_match, known.confirmation.auto_confirm_partial),
            auto_confirm_new=_said(rules.auto_confirm_new_users, known.confirmation.auto_confirm_new),
            auto_activate_new=_said(rules.auto_activate_new_users, known.confirmation.auto_activate_new),
        ),
    )
    if causes:
        raise Invalid("Api validation failed: INBOUND_PROVISIONING", *causes)
    return policy


def _said(wanted: bool | UnsetType, known: bool) -> bool:
    return known if wanted is UNSET else bool(wanted)


def _matching(said: UserCreateAndMatchForm, known: Matching) -> Matching:
    """A criterion that is named takes the place of whatever was compared before; null, which stands for what Okta cannot say, keeps it."""
    matching = replace(known, allow_partial=_said(said.allow_partial_match, known.allow_partial))
    if not isinstance(said.exact_match_criteria, Criterion):
        return matching
    by_username = said.exact_match_criteria is Criterion.USERNAME
    return replace(matching, username=by_username, email=not by_username, attributes=())


_SETTINGS = "importSettings"


def _username(said: UsernameForm, known: Username, causes: list[str]) -> Username:
    where = f"{_SETTINGS}.username"
    wanted = _one_of({"usernameFormat": said.username_format, "userNameFormat": said.user_name_format}, where, causes)
    chosen = known.format if wanted is None else UsernameFormat(wanted)
    if said.user_name_expression is not UNSET:
        return Username(chosen, said.user_name_expression or None)
    return Username(chosen, known.expression if chosen is known.format else None)


def _schedule(said: ScheduleForm, known: Schedule, causes: list[str]) -> Schedule:
    where = f"{_SETTINGS}.schedule"
    full = _firing(said.full_import, known.full, f"{where}.fullImport", causes)
    incremental = _firing(said.incremental_import, known.incremental, f"{where}.incrementalImport", causes)
    schedule = Schedule(full, incremental, known.enabled)
    if said.status is UNSET:
        return schedule
    if full is None and incremental is None:
        if said.status is EnabledStatus.ENABLED:
            causes.append(f"{where}.status: ENABLED needs a fullImport or an incrementalImport")
        return schedule
    return replace(schedule, enabled=said.status is EnabledStatus.ENABLED)


def _firing(said: CronForm | UnsetType | None, known: Firing | None, where: str, causes: list[str]) -> Firing | None:
    if isinstance(said, UnsetType):
        return known
    if said is None or said == CronForm(next=said.next):
        return None
    zone = _one_of({"timezone": said.timezone, "timeZone": said.time_zone}, where, causes)
    if isinstance(said.expression, UnsetType) and known is None:
        causes.append(f"{where}.expression: is required")
        return None
    before = known or Firing("")
    cron = before.cron if isinstance(said.expression, UnsetType) else said.expression
    return Firing(cron, before.timezone if zone is None else zone)


def _one_of(spelled: dict[str, str | UnsetType], where: str, causes: list[str]) -> str | None:
    """What is said under either spelling; both may say the same."""
    told = {name: value for name, value in spelled.items() if not isinstance(value, UnsetType)}
    if len(set(told.values())) > 1:
        causes.append(f"{where}.{next(iter(told))}: contradicts {' and '.join(list(told)[1:])}; they are two spellings of one setting")
    return next(iter(told.values()), None)


_OKTAS_NAMES = {
    "username.expression": f"{_SETTINGS}.username.userNameExpression",
    "schedule.full: cron": f"{_SETTINGS}.schedule.fullImport.expression",
    "schedule.full: timezone": f"{_SETTINGS}.schedule.fullImport.timezone",
    "schedule.incremental: cron": f"{_SETTINGS}.schedule.incrementalImport.expression",
    "schedule.incremental: timezone": f"{_SETTINGS}.schedule.incrementalImport.timezone",
}


def in_oktas_names(causes: Iterable[str]) -> list[str]:
    """What the policy's own check found, with the fields named as this shape names them."""
    return [_renamed(cause) for cause in causes]


def _renamed(cause: str) -> str:
    for ours, oktas in _OKTAS_NAMES.items():
        if cause.startswith(f"{ours}:"):
            return oktas + cause.removeprefix(ours)
    return cause
