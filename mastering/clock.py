"""The one clock. Every walk reads it once and passes `now` down, so that one computation has one time.

Built by arithmetic so that the result is a plain `datetime` also while a test has frozen time: the wire library
refuses subclasses of it.
"""

from __future__ import annotations

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> datetime:
    """The present instant, aware, in UTC, cut to milliseconds (the wire's precision)."""
    since = datetime.now(UTC) - EPOCH
    return EPOCH + since - (since % _MILLISECOND)


_MILLISECOND = datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC) - EPOCH


def wire(at: datetime) -> str:
    """An instant as API.md writes it: ISO 8601, UTC, milliseconds, Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
