"""Cron expressions: when a schedule fires next (SPEC §11; docs/decisions/0044).

An expression means what it means to cron: five fields, Sunday is 0 and 7, and where a day of the month and a day of the week are both
given, either will do. Summer time, as Debian's cron treats it:

==================================  =============================================================================
times of day (``30 2 * * *``)       in the hour that is skipped: once, at the first minute after it; in the hour that
                                    comes twice: once, the first time
every so often (``*/15 * * * *``)   by time elapsed: not in an hour that does not exist, and in both of one that comes
                                    twice. An expression is of this kind if its minutes or its hours begin with a star
==================================  =============================================================================
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_FIELDS = 5
_LONGEST = 200
"""Characters of an expression: every minute of an hour by name would be fewer."""


def cron_fault(expression: str, timezone: str, now: datetime) -> str | None:
    """What is wrong with an expression or its time zone, named as the field of a policy that is at fault; `None` where nothing is."""
    if not _is_cron(expression, now):
        return "cron: must be a cron expression of five fields, such as 0 * * * *"
    try:
        ZoneInfo(timezone or "none given")  # "" is refused by its own words
    except (ValueError, KeyError, OSError):
        return f"timezone: {timezone[:_LONGEST]!r} is not the name of a time zone"
    if next_firing(expression, timezone, now) is None:
        return "cron: names a day that never comes"
    return None


def _is_cron(expression: str, now: datetime) -> bool:
    """Whether it is written as cron wants it. Day and month are looked at one by one: that there is no 30th of February is another fault."""
    fields = expression.split()
    if len(expression) > _LONGEST or len(fields) != _FIELDS:
        return False
    minute, hour, day, month, weekday = fields
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", now)
        CronSim(f"{minute} {hour} * {month} {weekday}", now)
    except CronSimError:
        return False
    return True


def next_firing(expression: str, timezone: str, after: datetime) -> datetime | None:
    """The first instant later than `after` at which an expression without faults fires, in UTC; `None` if it does not in 50 years."""
    try:
        times = CronSim(expression, after.astimezone(ZoneInfo(timezone)))
        for time in times:
            if time.astimezone(UTC) > after:  # an hour that comes twice is not begun again
                return time.astimezone(UTC)
    except CronSimError:
        pass  # the one fault that the day of a month can have: it never comes
    return None
