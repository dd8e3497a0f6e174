"""The people that are imported: made up, the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

_CITIES = ("Berlin", "Lyon", "Porto", "Gdańsk", "Kraków", "Malmö", "Turin", "Ghent")
_TEAMS = ("Sales", "Engineering", "Finance", "Support", "Legal", "People", "Research")


def profile(number: int) -> dict[str, Any]:
    """One person's app profile: ten attributes, about 250 bytes."""
    return {
        "email": f"person.{number}@example.com",
        "firstName": f"First{number % 4_001}",
        "lastName": f"Last{number}",
        "employeeNumber": str(number),
        "department": _TEAMS[number % len(_TEAMS)],
        "city": _CITIES[number % len(_CITIES)],
        "countryCode": "DE",
        "title": "Engineer",
        "costCenter": f"CC{number % 97}",
        "manager": f"person.{number // 10}@example.com",
    }


def lines(count: int) -> Iterator[bytes]:
    """NDJSON record lines."""
    encode = msgspec.json.encode
    return (encode({"externalId": f"E{number}", "active": True, "profile": profile(number)}) + b"\n" for number in range(count))
