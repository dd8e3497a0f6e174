"""The one clock. Every walk reads it once and passes `now` down, so that one computation has one time.

Built by arithmetic so that the result is a plain `datetime` also while a test has frozen time: the wire library
refuses subclasses of it.
"""

from __future__ import annotations

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def now() -> datetime:
    """The present instant, aware, in UTC, cut to milliseconds (the wire's precision)."""
    since = datetime.now(UTC) - EPOCH
    return EPOCH + since - (since % _MILLISECOND)


_MILLISECOND = datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC) - EPOCH


def wire(at: datetime) -> str:
    """An instant as API.md writes it: ISO 8601, UTC, milliseconds, Z; such texts sort as their instants do.

    One that its zone puts beyond the calendar's first or last year is the first or the last instant there is.
    """
    try:
        utc = at.astimezone(UTC)
    except OverflowError:
        utc = _FIRST if at.year == 1 else _LAST
    return f"{utc.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
