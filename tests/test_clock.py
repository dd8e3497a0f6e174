"""Instants as the wire writes them: texts that sort as the instants do."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from mastering.clock import wire

ZONES = st.integers(min_value=-23 * 60, max_value=23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(timezones=ZONES)


def test_an_instant_is_utc_with_milliseconds() -> None:
    assert wire(datetime(2026, 1, 31, 1, 2, 3, 4999, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-30T23:02:03.004Z"


def test_a_year_has_four_digits() -> None:
    assert wire(datetime(999, 1, 1, tzinfo=UTC)) == "0999-01-01T00:00:00.000Z"


def test_beyond_the_calendar_is_its_end() -> None:
    assert wire(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))) == "0001-01-01T00:00:00.000Z"
    assert wire(datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-14)))) == "9999-12-31T23:59:59.999Z"


@given(INSTANTS, INSTANTS)
def test_texts_sort_as_their_instants(one: datetime, other: datetime) -> None:
    assert len(wire(one)) == len(wire(other)) == 24
    if one <= other:
        assert wire(one) <= wire(other)
