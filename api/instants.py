"""Points in time as callers write them: always with a zone, since nobody knows what a clock on another wall shows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from mastering.errors import Invalid

Instant = Annotated[datetime, Meta(tz=True)]
"""A point in time in a body."""


def zoned(name: str, at: datetime | None) -> datetime | None:
    """A point in time in a query, where the decoder does not ask for the zone. Raises `Invalid`."""
    if at is not None and at.tzinfo is None:
        raise Invalid(f"Api validation failed: {name}", f"{name}: needs a time zone, such as Z")
    return at


def milliseconds(since: str, until: str) -> int:
    """How long something took, from one instant of the wire to another."""
    return round((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds() * 1000)
