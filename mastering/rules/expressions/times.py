"""The `Time` functions: moments as ISO 8601 text, Windows and Unix timestamps, and text in a Joda pattern.

Every moment is told in UTC with milliseconds and `Z`, unless `Time.now` is asked for a zone. A text without an offset is UTC. Unix
timestamps are seconds since 1970, Windows timestamps hundreds of nanoseconds since 1601; both are texts, as Okta has them.

A Joda pattern is letters and quoted text: `y` year, `M` month (`MMM` Jan, `MMMM` January), `d` day, `D` day of the year, `E` weekday,
`a` AM/PM, `H` hour 0-23, `k` 1-24, `K` 0-11, `h` 1-12, `m`, `s`, `S` fraction, `Z` offset (`ZZ` with a colon, `ZZZ` the zone's name).
Names are English. Two digits of a year mean 1970 to 2069.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from mastering.rules.expressions.values import ExpressionFailure, Value, as_text

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
WINDOWS_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
MAX_PATTERN_LENGTH: Final = 100
MAX_WRITTEN_LENGTH: Final = 200

WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
OFFSET: Final = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
PIECES: Final = re.compile(r"(?P<quoted>'(?:[^']|'')*')|(?P<letters>([A-Za-z])\3*)|(?P<plain>[^A-Za-z']+)")

MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# What each letter writes, as a number; how it is padded follows from how often it stands there.
NUMBERS: Final[Mapping[str, Callable[[datetime], int]]] = {
    "y": lambda moment: moment.year,
    "Y": lambda moment: moment.year,
    "M": lambda moment: moment.month,
    "d": lambda moment: moment.day,
    "D": lambda moment: moment.timetuple().tm_yday,
    "H": lambda moment: moment.hour,
    "k": lambda moment: moment.hour or 24,
    "K": lambda moment: moment.hour % 12,
    "h": lambda moment: moment.hour % 12 or 12,
    "m": lambda moment: moment.minute,
    "s": lambda moment: moment.second,
}
LETTERS: Final = frozenset(NUMBERS) | frozenset("SEaZ")
RANGES: Final[Mapping[str, tuple[int, int]]] = {"h": (1, 12), "K": (0, 11), "k": (1, 24)}  # where the calendar itself would not object
DIGITS: Final[Mapping[str, int]] = {"y": 4, "Y": 4, "D": 3}  # the most digits a letter reads; the others read two


def now(moment: datetime | None, zone: Value = None, pattern: Value = None) -> Value:
    """The moment of the evaluation, in UTC or in the zone, as ISO 8601 or in the pattern."""
    if moment is None:
        raise ExpressionFailure("there is no time here")
    name, layout = as_text(zone), as_text(pattern)
    local = moment.astimezone(UTC if name is None else _zone(name))
    return _iso(local) if layout is None else _write(local, layout)


def windows_to_iso(ticks: Value) -> Value:
    """A Windows timestamp as ISO 8601."""
    count = _whole(ticks)
    return None if count is None else _iso(_later(WINDOWS_EPOCH, count // 10))


def unix_to_iso(seconds: Value) -> Value:
    """A Unix timestamp as ISO 8601."""
    count = _whole(seconds)
    return None if count is None else _iso(_later(UNIX_EPOCH, count * 1_000_000))


def iso_to_windows(text: Value) -> Value:
    """An ISO 8601 time as a Windows timestamp."""
    moment = _moment(text)
    return None if moment is None else str((moment - WINDOWS_EPOCH) // MICROSECOND * 10)


def iso_to_unix(text: Value) -> Value:
    """An ISO 8601 time as a Unix timestamp."""
    moment = _moment(text)
    return None if moment is None else str((moment - UNIX_EPOCH) // timedelta(seconds=1))


def iso_to_text(text: Value, pattern: Value) -> Value:
    """An ISO 8601 time in a pattern, in UTC."""
    moment, layout = _moment(text), as_text(pattern)
    return None if moment is None or layout is None else _write(moment, layout)


def text_to_iso(text: Value, pattern: Value) -> Value:
    """A time in a pattern as ISO 8601."""
    written, layout = as_text(text), as_text(pattern)
    if not written or not layout:
        return None
    return _iso(_read(written, layout))


def _whole(value: Value) -> int | None:
    text = as_text(value)
    if not text:
        return None
    if not WHOLE.fullmatch(text):
        raise ExpressionFailure(f"{text[:40]!r} is no timestamp")
    return int(text)


def _later(epoch: datetime, microseconds: int) -> datetime:
    try:
        return epoch + timedelta(microseconds=microseconds)
    except OverflowError:
        raise ExpressionFailure("the timestamp is beyond the years 1 to 9999") from None


def _moment(value: Value) -> datetime | None:
    text = as_text(value)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ExpressionFailure(f"{text[:40]!r} is no ISO 8601 time") from None


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _zone(name: str) -> ZoneInfo:
    """The zone of that name. Whatever a hostile name makes the zone files do (a folder, a way out, too long) is the same failure."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ExpressionFailure(f"{name[:40]!r} is no time zone") from None


@lru_cache(maxsize=256)
def _pieces(pattern: str) -> tuple[tuple[str, int], ...]:
    """The pattern in pieces: a letter and how often it stands there, or some plain text and 0."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ExpressionFailure(f"a time pattern has at most {MAX_PATTERN_LENGTH} characters")
    pieces: list[tuple[str, int]] = []
    position = 0
    while piece := PIECES.match(pattern, position):
        position = piece.end()
        found = piece.group()
        if piece["letters"] is None:
            pieces.append((found if piece["plain"] else found[1:-1].replace("''", "'") or "'", 0))
        elif found[0] in LETTERS:
            pieces.append((found[0], len(found)))
        else:
            raise ExpressionFailure(f"{found[0]!r} is no letter of a time pattern")
    if position < len(pattern):
        raise ExpressionFailure("a quote in the time pattern is not closed")
    return tuple(pieces)


def _write(moment: datetime, pattern: str) -> str:
    return "".join(_written(moment, letter, count) if count else letter for letter, count in _pieces(pattern))


def _written(moment: datetime, letter: str, count: int) -> str:
    match letter:
        case "M" if count > 2:
            return MONTHS[moment.month - 1][: None if count > 3 else 3]
        case "E":
            return DAYS[moment.weekday()][: None if count > 3 else 3]
        case "a":
            return "AM" if moment.hour < 12 else "PM"
        case "S":
            return f"{moment.microsecond:06d}".ljust(count, "0")[:count]
        case "Z" if count > 2:
            return str(moment.tzinfo)
        case "Z":
            offset = moment.strftime("%z")
            return offset if count == 1 else f"{offset[:3]}:{offset[3:5]}"
        case "y" | "Y" if count == 2:
            return f"{moment.year % 100:02d}"
    return f"{NUMBERS[letter](moment):0{count}d}"


@lru_cache(maxsize=256)
def _reader(pattern: str) -> re.Pattern[str]:
    """What a text in the pattern looks like: one group per letter, and no letter twice, which also bounds the work of a bad match."""
    pieces = _pieces(pattern)
    letters = [letter for letter, count in pieces if count]
    if len(letters) > len(set(letters)):
        raise ExpressionFailure(f"the pattern {pattern!r} reads something twice")
    return re.compile("".join(map(_readable, pieces, [*pieces[1:], ("", 0)])), re.IGNORECASE)


def _readable(piece: tuple[str, int], after: tuple[str, int]) -> str:
    """The regular expression of one piece. Digits right before more digits are as many as there are letters, else as few as were written."""
    letter, count = piece
    if not count:
        return re.escape(letter)
    if letter == "M" and count > 2:
        return "(" + "|".join(month[: None if count > 3 else 3] for month in MONTHS) + ")"
    if letter == "E":
        return "(" + "|".join(day[: None if count > 3 else 3] for day in DAYS) + ")"
    if letter == "a":
        return "(AM|PM)"
    if letter == "Z":
        return r"([A-Za-z0-9_+/-]+)" if count > 2 else r"(Z|[+-][0-9]{2}:?[0-9]{2})"
    if letter == "S":
        return f"([0-9]{{{count}}})"
    exact = (after[1] and after[0] in NUMBERS) or (letter in "yY" and count in {2, 4})
    return f"([0-9]{{{count}}})" if exact else f"([0-9]{{1,{max(count, DIGITS.get(letter, 2))}}})"


def _read(text: str, pattern: str) -> datetime:
    found = _reader(pattern).fullmatch(text) if len(text) <= MAX_WRITTEN_LENGTH else None
    if found is None:
        raise ExpressionFailure(f"{text[:40]!r} is not a time in the pattern {pattern!r}")
    fields = [piece for piece in _pieces(pattern) if piece[1]]
    written = dict(zip((letter for letter, _ in fields), found.groups(), strict=True))
    try:
        values = {letter: _understood(letter, count, written[letter]) for letter, count in fields}
        return _assembled(values, _offset(written.get("Z", "Z"))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ExpressionFailure(f"{text[:40]!r} is a time that does not exist") from None


def _understood(letter: str, count: int, written: str) -> int:
    match letter:
        case "M" if count > 2:
            return next(number for number, month in enumerate(MONTHS, 1) if month[:3].lower() == written[:3].lower())
        case "a":
            return 12 if written.upper() == "PM" else 0
        case "S":
            return int(written.ljust(6, "0")[:6])
        case "y" | "Y" if count == 2:
            return int(written) + (2000 if int(written) < 70 else 1900)
        case "E" | "Z":
            return 0
    number = int(written)
    least, most = RANGES.get(letter, (0, number))
    if not least <= number <= most:
        raise ValueError(letter)
    return number


def _assembled(values: Mapping[str, int], zone: timezone | ZoneInfo) -> datetime:
    """The moment that the numbers of the letters name. What is not said is the first: January, the 1st, midnight."""
    hour = values.get("H", values.get("k", 0) % 24)
    if "h" in values or "K" in values:
        hour = values.get("h", values.get("K", 0)) % 12 + values.get("a", 0)
    year = values.get("y", values.get("Y", 1970))
    moment = datetime(
        year, values.get("M", 1), values.get("d", 1), hour, values.get("m", 0), values.get("s", 0), values.get("S", 0), tzinfo=zone
    )
    if "D" not in values:
        return moment
    if (counted := moment.replace(month=1, day=1) + timedelta(days=values["D"] - 1)).year != year:
        raise ValueError("D")
    return counted


def _offset(written: str) -> timezone | ZoneInfo:
    if written.upper() == "Z":
        return UTC
    if found := OFFSET.fullmatch(written):
        minutes = int(found[2]) * 60 + int(found[3])
        return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
    return _zone(written)
