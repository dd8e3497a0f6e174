"""What a text of a given format looks like: the formats that Okta's user schema knows and that can be told from the text alone.

A format is a promise about shape, not about the world: an e-mail address has one `@` with something on both sides, and whether anybody
reads mail there is nobody's business here. `encrypted`, `hashed` and `ref-id` are not among them, as nothing here encrypts or refers.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from iso3166 import countries_by_alpha2

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
_LOCALE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return "T" in text


def _is_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # no such zone; or a name that is a folder, leads elsewhere, or is too long for a file
        return False
    return True


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


FORMATS: Final[Mapping[str, tuple[str, Callable[[str], bool]]]] = {
    "country-code": ("an ISO 3166-1 alpha-2 country code", lambda text: text in countries_by_alpha2),
    "date-time": ("an ISO 8601 date and time", _is_moment),
    "email": ("an e-mail address", _matches(_EMAIL)),
    "language-code": ("a language tag such as en or de-CH", _matches(_LANGUAGE)),
    "locale": ("a locale such as en_US", _matches(_LOCALE)),
    "timezone": ("the name of a time zone", _is_zone),
    "uri": ("an absolute URI", _matches(_URI)),
}
"""Each format: what it is called in messages, and whether a text, which is not empty, has it."""
