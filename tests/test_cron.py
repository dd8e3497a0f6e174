"""What a cron expression means, whatever summer time does to its hours (SPEC §11)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.cron import cron_fault, next_firing

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
A_WEDNESDAY = NOW


def firings(cron: str, timezone: str, after: str, count: int) -> list[str]:
    """The next instants, each asked for from the one before, as the claim of a firing does."""
    at, found = datetime.fromisoformat(after), []
    for _ in range(count):
        following = next_firing(cron, timezone, at)
        assert following is not None
        at = following
        found.append(f"{at:%m-%d %H:%M}")
    return found


@pytest.mark.parametrize("sunday", ["0", "7", "SUN", "sun"])
def test_sunday_is_zero_and_seven_as_cron_has_it(sunday: str) -> None:
    following = next_firing(f"0 3 * * {sunday}", "UTC", A_WEDNESDAY)
    assert following is not None
    assert f"{following:%A %H:%M}" == "Sunday 03:00"


def test_monday_to_friday_is_one_to_five() -> None:
    assert firings("0 3 * * 1-5", "UTC", "2026-11-26T12:00Z", 3) == ["11-27 03:00", "11-30 03:00", "12-01 03:00"]


def test_of_a_day_of_the_month_and_a_day_of_the_week_either_will_do() -> None:
    assert firings("0 0 13 * FRI", "UTC", "2026-11-25T12:00Z", 4) == ["11-27 00:00", "12-04 00:00", "12-11 00:00", "12-13 00:00"]


def test_an_hour_is_one_of_the_schedules_own_zone() -> None:
    assert firings("0 2 * * *", "America/New_York", "2026-11-25T12:00Z", 1) == ["11-26 07:00"]
    assert firings("0 2 * * *", "Asia/Kolkata", "2026-11-25T12:00Z", 1) == ["11-25 20:30"]


def test_a_time_that_the_spring_skips_fires_once_as_soon_as_it_is_over() -> None:
    assert firings("30 2 * * *", BERLIN, "2027-03-26T12:00Z", 3) == ["03-27 01:30", "03-28 01:00", "03-29 00:30"]


def test_several_times_that_the_spring_skips_fire_once_together() -> None:
    assert firings("0,30 2 * * *", BERLIN, "2027-03-27T12:00Z", 3) == ["03-28 01:00", "03-29 00:00", "03-29 00:30"]


def test_a_time_that_the_autumn_repeats_fires_the_first_time_alone() -> None:
    assert firings("30 2 * * *", BERLIN, "2026-10-23T12:00Z", 3) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]
    assert firings("30 2 * * *", BERLIN, "2026-10-25T01:10Z", 1) == ["10-26 01:30"]  # asked while the hour is repeated


def test_what_fires_every_so_often_goes_by_time_elapsed() -> None:
    assert firings("0 * * * *", BERLIN, "2026-10-24T23:30Z", 4) == ["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]
    assert firings("*/30 * * * *", BERLIN, "2027-03-28T00:40Z", 3) == ["03-28 01:00", "03-28 01:30", "03-28 02:00"]


def test_half_an_hour_of_summer_time_is_no_different() -> None:
    assert firings("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00Z", 3) == ["10-02 15:45", "10-03 15:30", "10-04 15:15"]


def test_a_midnight_that_does_not_exist_fires_at_one() -> None:
    assert firings("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00Z", 2) == ["11-04 03:00", "11-05 02:00"]


def test_a_leap_day_is_waited_for() -> None:
    assert next_firing("0 0 29 2 *", "UTC", NOW) == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "whenever",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "0 0 ² * *",
        "0 0 30 2",
        "0 0 31-32 2 *",
        "9" * 5000 + " * * * *",
        ",".join(["1"] * 200) + " * * * *",
    ],
)
def test_what_is_no_cron_expression_is_told(cron: str) -> None:
    assert cron_fault(cron, BERLIN, NOW) == "cron: must be a cron expression of five fields, such as 0 * * * *"


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 30-31 2 *"])
def test_a_day_that_never_comes_is_told(cron: str) -> None:
    assert cron_fault(cron, BERLIN, NOW) == "cron: names a day that never comes"


@pytest.mark.parametrize("timezone", ["", "Mars", "America", "../UTC", "/etc/localtime", "\0", "Europe/Berlin\n", "x" * 5000])
def test_what_is_no_time_zone_is_told(timezone: str) -> None:
    fault = cron_fault("0 * * * *", timezone, NOW)
    assert fault is not None
    assert fault.startswith("timezone: ")
    assert len(fault) < 300


_numbers = st.integers(0, 59).map(str)


@given(
    cron=st.tuples(
        st.one_of(st.just("*"), _numbers, st.just("*/7")),
        st.one_of(st.just("*"), st.integers(0, 23).map(str), st.just("1-3")),
        st.one_of(st.just("*"), st.integers(1, 28).map(str)),
        st.just("*"),
        st.one_of(st.just("*"), st.integers(0, 7).map(str)),
    ).map(" ".join),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo", "UTC"]),
    after=st.datetimes(datetime(2015, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - Hypothesis adds the zone
)
def test_the_next_firing_lies_ahead_and_has_none_before_it(cron: str, zone: str, after: datetime) -> None:
    first = next_firing(cron, zone, after)
    assert first is not None
    assert first > after
    middle = after + (first - after) / 2
    assert next_firing(cron, zone, middle) == first
