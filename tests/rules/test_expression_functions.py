"""The library of the expression language: Okta's documented examples, what null gives, and what cannot be answered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.rules.expressions import ExpressionFailure, Scope, compile_expression

NOW = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1601, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def value(text: str, *, now: datetime | None = NOW, **profile: Any) -> Any:
    return compile_expression(text)(Scope(profile, profile, now))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('String.append("This is", " a test")', "This is a test"),
        ('String.join(",", "This", "is", "a", "test")', "This,is,a,test"),
        ('String.join("", "This", "is", "a", "test")', "Thisisatest"),
        ('String.len("This")', 4),
        ("String.len(1234)", 4),
        ('String.removeSpaces("This is a test")', "Thisisatest"),
        ('String.replace("This is a test", "is", "at")', "That at a test"),
        ('String.replace("a.b.c", ".", "")', "abc"),
        ('String.replace("abc", "", "x")', "abc"),
        ('String.replaceFirst("This is a test", "is", "at")', "That is a test"),
        ('String.stringContains("This is a test", "test")', True),
        ('String.stringContains("This is a test", "doesn\'tExist")', False),
        ('String.startsWith("This is", "This")', True),
        ('String.startsWith("This is", "is")', False),
        ('String.stringSwitch("This is a test", "default", "key1", "value1")', "default"),
        ('String.stringSwitch("This is a test", "default", "test", "value1")', "value1"),
        ('String.stringSwitch("First match wins", "default", "absent", "v1", "wins", "v2", "match", "v3")', "v2"),
        ('String.stringSwitch("Substrings count", "default", "ring", "value1")', "value1"),
        ('String.stringSwitch("abc", "default", null, "v1", "", "v2")', "default"),
        ('String.substring("This is a test", 2, 9)', "is is a"),
        ('String.substring("Ann", 0, 6)', "Ann"),
        ('String.substring("Ann", String.len("Ann") - 20, String.len("Ann"))', "Ann"),
        ('String.substring("Ann", 2, 1)', ""),
        ('String.substringAfter("abc@okta.com", "@")', "okta.com"),
        ('String.substringAfter("abc", "@")', ""),
        ('String.substringBefore("abc@okta.com", "@")', "abc"),
        ('String.substringBefore("abc", "@")', "abc"),
        ('String.toUpperCase("This")', "THIS"),
        ('String.toLowerCase("ThiS")', "this"),
        ('toLowerCase(substring("Winston", 0, 1)) + toUpperCase("ch")', "wCH"),
        ('substringBefore(substringAfter("w.c@gmail.com", "@"), ".")', "gmail"),
    ],
)
def test_texts(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Arrays.add({10, 20, 30}, 40)", [10, 20, 30, 40]),
        ("Arrays.remove({10, 20, 30, 20}, 20)", [10, 30]),
        ("Arrays.clear({10, 20, 30})", []),
        ("Arrays.get({0, 1, 2}, 0)", 0),
        ("Arrays.get({0, 1, 2}, 3)", None),
        ("Arrays.get({0, 1, 2}, -1)", None),
        ("Arrays.flatten(10, {20, 30}, 40)", [10, 20, 30, 40]),
        ("Arrays.flatten({1, {2, {3, {}}}, 4}, null, {{5}})", [1, 2, 3, 4, 5]),
        ("Arrays.flatten('10, 20, 30')", ["10", "20", "30"]),
        ("Arrays.contains({10, 20, 30}, 10)", True),
        ("Arrays.contains({10, 20, 30}, 50)", False),
        ("Arrays.contains({1}, true)", False),
        ("Arrays.size({10, 20, 30})", 3),
        ("Arrays.size(NULL)", 0),
        ("Arrays.isEmpty({10, 20})", False),
        ("Arrays.isEmpty(NULL)", True),
        ('Arrays.toCsvString({"This", "is", " a ", "test"})', "This,is, a ,test"),
        ("Arrays.toCsvString({1, null, true})", "1,,true"),
        ("Arrays.toCsvString('a')", "a"),
    ],
)
def test_lists(text: str, expected: Any) -> None:
    assert value(text) == expected


def test_a_list_of_the_profile_is_never_changed_by_an_expression() -> None:
    items = [1, 2]
    assert value("Arrays.add(appuser.items, 3)", items=items) == [1, 2, 3]
    assert value("Arrays.remove(appuser.items, 1)", items=items) == [2]
    assert value("Arrays.clear(appuser.items)", items=items) == []
    assert items == [1, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Convert.toInt('1234')", 1234),
        ("Convert.toInt(' -7 ')", -7),
        ("Convert.toInt(123.4)", 123),
        ("Convert.toInt(123.6)", 124),
        ("Convert.toInt(2.5)", 3),
        ("Convert.toInt(12)", 12),
        ("Convert.toNum('3.141')", 3.141),
        ("Convert.toNum('-1e3')", -1000.0),
        ("Convert.toNum(2)", 2.0),
        ('Iso3166Convert.toAlpha2("IND")', "IN"),
        ('Iso3166Convert.toAlpha3("840")', "USA"),
        ("Iso3166Convert.toAlpha3(4)", "AFG"),
        ('Iso3166Convert.toNumeric("USA")', "840"),
        ('Iso3166Convert.toNumeric("af")', "004"),
        ('Iso3166Convert.toName("IN")', "India"),
    ],
)
def test_conversions(text: str, expected: Any) -> None:
    found = value(text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Time.now()", "2024-05-06T07:08:09.123Z"),
        ('Time.now("EST")', "2024-05-06T02:08:09.123-05:00"),
        ('Time.now("Europe/Berlin", "YYYY-MM-dd HH:mm:ss")', "2024-05-06 09:08:09"),
        ('Time.now(null, "E EEEE d MMM MMMM yy D h k K a S SSSS")', "Mon Monday 6 May May 24 127 7 7 7 AM 1 1234"),
        ("Time.now(\"Asia/Kolkata\", \"Z ZZ ZZZ 'o''clock' ''\")", "+0530 +05:30 Asia/Kolkata o'clock '"),
        ("Time.fromIso8601ToString('2024-05-06T13:00:00Z', 'K h k H a')", "1 1 13 13 PM"),
        ("Time.fromIso8601ToString('2024-05-06T00:00:00Z', 'K h k H a')", "0 12 24 0 AM"),
        ("Time.fromWindowsToIso8601('132000000000000000')", "2019-04-17T18:40:00.000Z"),
        ("Time.fromWindowsToIso8601(0)", "1601-01-01T00:00:00.000Z"),
        ("Time.fromUnixToIso8601('1430000000')", "2015-04-25T22:13:20.000Z"),
        ("Time.fromUnixToIso8601(-1)", "1969-12-31T23:59:59.000Z"),
        ("Time.fromIso8601ToWindows('2019-04-17T18:40:00.000Z')", "132000000000000000"),
        ("Time.fromIso8601ToUnix('2015-04-26T00:13:20+02:00')", "1430000000"),
        ("Time.fromIso8601ToUnix('2015-04-25')", "1429920000"),
        ("Time.fromIso8601ToString('2024-01-31T23:30:00-02:00', 'MM/dd/yyyy')", "02/01/2024"),
        ("Time.fromStringToIso8601('20240131', 'yyyyMMdd')", "2024-01-31T00:00:00.000Z"),
        ("Time.fromStringToIso8601('3 jan 24, 11:05 pm', 'd MMM yy, h:mm a')", "2024-01-03T23:05:00.000Z"),
        ("Time.fromStringToIso8601('12 AM 1/2/1999', 'h a d/M/yyyy')", "1999-02-01T00:00:00.000Z"),
        ("Time.fromStringToIso8601('March 5 1985', 'MMMM d yyyy')", "1985-03-05T00:00:00.000Z"),
        ("Time.fromStringToIso8601('Fri 24:30 1970-05', 'E k:mm yyyy-MM')", "1970-05-01T00:30:00.000Z"),
        ("Time.fromStringToIso8601('Fri 3 May 69', 'EEE d MMM yy')", "2069-05-03T00:00:00.000Z"),
        ("Time.fromStringToIso8601('Friday 3 May 70', 'EEEE d MMMM yy')", "1970-05-03T00:00:00.000Z"),
        ("Time.fromStringToIso8601('11 PM', 'K a')", "1970-01-01T23:00:00.000Z"),
        ("Time.fromStringToIso8601('2024-060', 'yyyy-DDD')", "2024-02-29T00:00:00.000Z"),
        ("Time.fromStringToIso8601('2024-01-31T10:00:00.25 +02:00', 'yyyy-MM-dd''T''HH:mm:ss.SS ZZ')", "2024-01-31T08:00:00.250Z"),
        ("Time.fromStringToIso8601('2024-07-31 Europe/Berlin', 'yyyy-MM-dd ZZZ')", "2024-07-30T22:00:00.000Z"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("String.len(null)", 0),
        ("String.stringContains(null, 'a')", False),
        ("String.stringContains('a', null)", False),
        ("String.startsWith(null, 'a')", False),
        ("String.stringSwitch(null, 'default', 'a', 'b')", "default"),
        ("String.replace('aba', 'b', null)", "aa"),
        ("String.replace('aba', null, 'b')", "aba"),
        ("String.substringAfter('a', null)", "a"),
        ("Arrays.add(null, 1)", [1]),
        ("Arrays.contains(null, 1)", False),
    ],
)
def test_null_has_the_answer_that_okta_documents(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "call",
    [
        "String.append(null, null)",
        "String.removeSpaces(null)",
        "String.replace(null, 'a', 'b')",
        "String.replaceFirst(null, 'a', 'b')",
        "String.substring(null, 0, 1)",
        "String.substringAfter(null, '@')",
        "String.substringBefore(null, '@')",
        "String.toLowerCase(null)",
        "String.toUpperCase(null)",
        "Convert.toInt(null)",
        "Convert.toInt(' ')",
        "Convert.toNum('')",
        "Convert.toNum(null)",
        "Arrays.toCsvString(null)",
        "Arrays.get(null, 0)",
        "Iso3166Convert.toName(null)",
        "Iso3166Convert.toAlpha2('')",
        "Iso3166Convert.toAlpha3(null)",
        "Iso3166Convert.toNumeric(' ')",
        "Time.fromWindowsToIso8601(null)",
        "Time.fromUnixToIso8601('')",
        "Time.fromIso8601ToUnix(null)",
        "Time.fromIso8601ToWindows(null)",
        "Time.fromIso8601ToString(null, 'yyyy')",
        "Time.fromStringToIso8601(null, 'yyyy')",
        "Time.fromStringToIso8601('2024', null)",
    ],
)
def test_nothing_comes_of_nothing(call: str) -> None:
    assert value(call) is None


@pytest.mark.parametrize(
    "call",
    [
        "String.substring('abc', '0', 1)",
        "String.substring('abc', 0, 1.5)",
        "String.substring('abc', null, 1)",
        "Convert.toInt('12.5')",
        "Convert.toInt('1_000')",
        "Convert.toInt('１２')",
        "Convert.toInt(true)",
        "Convert.toInt({1})",
        "Convert.toInt('9223372036854775808')",
        "Convert.toNum('nan')",
        "Convert.toNum('0x1F')",
        "Convert.toNum('1,5')",
        "Arrays.get({1}, '0')",
        "Arrays.toCsvString({{1}})",
        "Iso3166Convert.toName('Utopia')",
        "Iso3166Convert.toAlpha2('XX')",
        "Iso3166Convert.toAlpha2('000')",
        "Time.now('Utopia/Nowhere')",
        "Time.now('../../etc/passwd')",
        "Time.now('/etc/passwd')",
        "Time.now('Europe')",
        "Time.now('')",
        "Time.now('UTC', 'yyyy-QQ')",
        "Time.now('UTC', \"yyyy 'open\")",
        "Time.fromUnixToIso8601('tomorrow')",
        "Time.fromUnixToIso8601('99999999999999999')",
        "Time.fromWindowsToIso8601('9223372036854775807')",
        "Time.fromIso8601ToUnix('31/01/2024')",
        "Time.fromIso8601ToUnix('0001-01-01T00:00:00+14:00')",
        "Time.fromStringToIso8601('2024', 'yy')",
        "Time.fromStringToIso8601('31.02.2024', 'dd.MM.yyyy')",
        "Time.fromStringToIso8601('13 AM', 'h a')",
        "Time.fromStringToIso8601('2023-366', 'yyyy-DDD')",
        "Time.fromStringToIso8601('2024-01-31 Utopia/Nowhere', 'yyyy-MM-dd ZZZ')",
        "Time.fromStringToIso8601('2024 +99:00', 'yyyy ZZ')",
        "Time.fromStringToIso8601('1 1', 'd d')",
    ],
)
def test_what_has_no_answer_is_a_failure_that_names_the_function(call: str) -> None:
    with pytest.raises(ExpressionFailure) as caught:
        value(call)
    assert caught.value.message.startswith(call.partition("(")[0] + ": ")


def test_without_a_moment_there_is_no_now() -> None:
    with pytest.raises(ExpressionFailure, match="no time"):
        value("Time.now()", now=None)


def test_a_hostile_time_pattern_costs_no_more_than_any_other() -> None:
    for pattern in ("d'1'" * 25, "Z" * 101, "S" * 100, "y" * 100, "ZZZ'a'" * 16):
        with pytest.raises(ExpressionFailure):
            value("Time.fromStringToIso8601(appuser.written, appuser.pattern)", written="1" * 150 + "x", pattern=pattern)


@given(MOMENTS)
def test_every_moment_survives_the_way_through_windows_and_unix_timestamps(moment: datetime) -> None:
    exact = moment.isoformat(timespec="microseconds")
    ticks = value("Time.fromIso8601ToWindows(appuser.x)", x=exact)
    assert int(ticks) == (moment - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    seconds = value("Time.fromIso8601ToUnix(appuser.x)", x=exact)
    again = datetime.fromisoformat(value("Time.fromUnixToIso8601(appuser.x)", x=seconds))
    assert again == moment.replace(microsecond=0)


@given(
    MOMENTS,
    st.sampled_from(
        ["yyyy-MM-dd HH:mm:ss.SSSSSS", "yyyyMMddHHmmssSSSSSS", "EEEE d MMMM yyyy h:m:s.SSSSSS a ZZ", "yyyy/DDD k.mm.ss,SSSSSS Z"]
    ),
)
def test_every_moment_survives_being_written_and_read_in_a_pattern(moment: datetime, pattern: str) -> None:
    iso = moment.isoformat(timespec="microseconds")
    written = value("Time.fromIso8601ToString(appuser.iso, appuser.pattern)", iso=iso, pattern=pattern)
    read = value("Time.fromStringToIso8601(appuser.written, appuser.pattern)", written=written, pattern=pattern)
    assert datetime.fromisoformat(read) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
