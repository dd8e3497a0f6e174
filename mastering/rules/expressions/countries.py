"""The `Iso3166Convert` functions: one country, four ways to write it."""

import re
from typing import Final

from iso3166 import Country, countries

from mastering.rules.expressions.values import ExpressionFailure, Value, as_text

NUMERIC: Final = re.compile(r"[0-9]{1,3}")
BY_CODE: Final = {code: country for country in countries for code in (country.alpha2, country.alpha3, country.numeric)}


def to_alpha2(code: Value) -> Value:
    """`DEU` or `276` as `DE`."""
    country = _country(code)
    return None if country is None else country.alpha2


def to_alpha3(code: Value) -> Value:
    """`DE` or `276` as `DEU`."""
    country = _country(code)
    return None if country is None else country.alpha3


def to_numeric(code: Value) -> Value:
    """`DE` or `DEU` as the text `276`; three digits always."""
    country = _country(code)
    return None if country is None else country.numeric


def to_name(code: Value) -> Value:
    """`DE`, `DEU` or `276` as `Germany`."""
    country = _country(code)
    return None if country is None else country.name


def _country(code: Value) -> Country | None:
    """The country of an alpha-2, alpha-3 or numeric code in any case. A number may have lost its leading zeros on its way through a sheet."""
    written = (as_text(code) or "").strip()
    if not written:
        return None
    country = BY_CODE.get(written.zfill(3) if NUMERIC.fullmatch(written) else written.upper())
    if country is None:
        raise ExpressionFailure(f"{written[:40]!r} is no ISO 3166-1 country code")
    return country
