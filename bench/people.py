"""The people that are imported: made up, the same in every run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

_CITIES = ("Berlin", "Lyon", "Porto", "Gdańsk", "Kraków", "Malmö", "Turin", "Ghent")
_TEAMS = ("Sales", "Engineering", "Finance", "Support", "Legal", "People", "Research")


def profile(number: int, title: str = "Engineer") -> dict[str, Any]:
    """One person's app profile: ten attributes, about 250 bytes."""
    return {
        "email": f"person.{number}@example.com",
        "firstName": f"First{number % 4_001}",
        "lastName": f"Last{number}",
        "employeeNumber": str(number),
        "department": _TEAMS[number % len(_TEAMS)],
        "city": _CITIES[number % len(_CITIES)],
        "countryCode": "DE",
        "title": title,
        "costCenter": f"CC{number % 97}",
        "manager": f"person.{number // 10}@example.com",
    }


def lines(count: int) -> Iterator[bytes]:
    """NDJSON record lines."""
    return lines_of(range(count))


def lines_of(numbers: Iterable[int], changed_every: int | None = None) -> Iterator[bytes]:
    """The lines of these people; every so many of them has another title than before."""
    encode = msgspec.json.encode
    for number in numbers:
        title = "Director" if changed_every and number % changed_every == 0 else "Engineer"
        yield encode({"externalId": f"E{number}", "active": True, "profile": profile(number, title)}) + b"\n"
