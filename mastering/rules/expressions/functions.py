"""The functions of the language: `String`, `Convert`, `Arrays`, `Iso3166Convert`, and the table that also holds `Time`.

Null goes in and null comes out, except where Okta documents an answer for it: the length and the size of null are 0, null is empty,
nothing is found in it, and `stringSwitch` gives its default. A position beyond the end of a text means its end, so that "the first six
letters" of a short name is the whole name. Nothing here is a regular expression.

`String.append` and `String.join` put texts together, as `+` does, and like `+` they exist in two readings (see `compiler`): usually a
null part is left out; where the result names a person, a null part makes the whole null.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mastering.rules.expressions import countries, times
from mastering.rules.expressions.values import (
    MAX_NESTED,
    ExpressionFailure,
    Value,
    as_integer,
    as_list,
    as_number,
    as_text,
    bounded_items,
    bounded_number,
    bounded_text,
    check_length,
    equal,
)

WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Function:
    """One function: what it computes, and how many arguments it takes (`most` is None for any number; after `least` they come in steps).

    `reads_clock` functions get the scope's moment as their first argument. `strict` is the reading in which no part may be null.
    """

    compute: Callable[..., Value]
    least: int
    most: int | None
    step: int = 1
    reads_clock: bool = False
    strict: Callable[..., Value] | None = None

    def takes(self, count: int) -> bool:
        """Whether so many arguments are right."""
        return count >= self.least and (self.most is None or count <= self.most) and (count - self.least) % self.step == 0

    @property
    def arity(self) -> str:
        """How many arguments are right, in words."""
        if self.most is None:
            return f"{self.least} or more arguments" + (" in pairs after the second" if self.step > 1 else "")
        if self.least == self.most:
            return "1 argument" if self.least == 1 else f"{self.least} arguments"
        return f"{self.least} to {self.most} arguments"


def _append(text: Value, suffix: Value) -> Value:
    if text is None and suffix is None:
        return None
    return bounded_text((as_text(text) or "") + (as_text(suffix) or ""))


def _append_strictly(text: Value, suffix: Value) -> Value:
    return None if text is None or suffix is None else _append(text, suffix)


def _join(separator: Value, *parts: Value) -> Value:
    texts = [text for part in parts if (text := as_text(part)) is not None]
    if not texts:
        return None
    between = as_text(separator) or ""
    check_length(sum(map(len, texts)) + len(between) * (len(texts) - 1))
    return between.join(texts)


def _join_strictly(separator: Value, *parts: Value) -> Value:
    return None if None in parts else _join(separator, *parts)


def _length(text: Value) -> Value:
    return len(as_text(text) or "")


def _remove_spaces(text: Value) -> Value:
    plain = as_text(text)
    return None if plain is None else bounded_text("".join(plain.split()))


def _replace(text: Value, match: Value, replacement: Value, count: int = -1) -> Value:
    plain, old, new = as_text(text), as_text(match), as_text(replacement) or ""
    if plain is None or not old:
        return plain
    found = plain.count(old) if count < 0 else min(count, plain.count(old))
    check_length(len(plain) + found * (len(new) - len(old)))
    return plain.replace(old, new, count)


def _replace_first(text: Value, match: Value, replacement: Value) -> Value:
    return _replace(text, match, replacement, 1)


def _contains_text(text: Value, part: Value) -> Value:
    plain, wanted = as_text(text), as_text(part)
    return bool(plain and wanted and wanted in plain)


def _starts_with(text: Value, part: Value) -> Value:
    plain, wanted = as_text(text), as_text(part)
    return bool(plain and wanted and plain.startswith(wanted))


def _switch(text: Value, default: Value, *pairs: Value) -> Value:
    plain = as_text(text) or ""
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        wanted = as_text(key)
        if wanted and wanted in plain:
            return value
    return default


def _substring(text: Value, start: Value, end: Value) -> Value:
    plain, first, last = as_text(text), as_integer(start), as_integer(end)
    return None if plain is None else bounded_text(plain[max(first, 0) : max(last, 0)])


def _after(text: Value, mark: Value) -> Value:
    plain, wanted = as_text(text), as_text(mark)
    if plain is None or not wanted:
        return plain
    return bounded_text(plain.partition(wanted)[2])


def _before(text: Value, mark: Value) -> Value:
    plain, wanted = as_text(text), as_text(mark)
    if plain is None or not wanted:
        return plain
    return bounded_text(plain.partition(wanted)[0])


def _lower(text: Value) -> Value:
    plain = as_text(text)
    return None if plain is None else bounded_text(plain.lower())


def _upper(text: Value) -> Value:
    plain = as_text(text)
    return None if plain is None else bounded_text(plain.upper())


def _to_integer(value: Value) -> Value:
    if isinstance(value, str):
        stripped = value.strip()
        if not stripped:
            return None
        if not WHOLE.fullmatch(stripped):
            raise ExpressionFailure(f"{stripped[:40]!r} is no whole number")
        return bounded_number(int(stripped))
    if value is None:
        return None
    number = as_number(value)
    return bounded_number(number if isinstance(number, int) else math.floor(bounded_number(number) + 0.5))


def _to_number(value: Value) -> Value:
    if isinstance(value, str):
        stripped = value.strip()
        if not stripped:
            return None
        if not DECIMAL.fullmatch(stripped):
            raise ExpressionFailure(f"{stripped[:40]!r} is no number")
        return bounded_number(float(stripped))
    return None if value is None else bounded_number(float(as_number(value)))


def _add(items: Value, value: Value) -> Value:
    return bounded_items([*as_list(items), value])


def _remove(items: Value, value: Value) -> Value:
    return bounded_items([item for item in as_list(items) if not equal(item, value)])


def _clear(items: Value) -> Value:
    as_list(items)
    return []


def _get(items: Value, position: Value) -> Value:
    found, index = as_list(items), as_integer(position)
    return found[index] if 0 <= index < len(found) else None


def _flatten(*values: Value) -> Value:
    """One list of all that is in the lists, in order. A pile of half-read lists stands in for recursion, as profiles may nest at will."""
    flat: list[Value] = []
    opened = 0
    pile: list[Iterator[Value]] = [iter([as_list(value) for value in values])]
    while pile:
        for item in pile[-1]:
            if isinstance(item, list):
                opened += 1
                if opened > MAX_NESTED:
                    raise ExpressionFailure(f"there are more than {MAX_NESTED} lists in it")
                pile.append(iter(item))
                break
            flat.append(item)
        else:
            pile.pop()
        bounded_items(flat)
    return flat


def _contains_item(items: Value, value: Value) -> Value:
    return any(equal(item, value) for item in as_list(items))


def _size(items: Value) -> Value:
    return len(as_list(items))


def _is_empty(items: Value) -> Value:
    return not as_list(items)


def _to_csv(items: Value) -> Value:
    if items is None:
        return None
    texts = [as_text(item) or "" for item in as_list(items)]
    check_length(sum(map(len, texts)) + len(texts))
    return ",".join(texts)


STRING: Final = {
    "append": Function(_append, 2, 2, strict=_append_strictly),
    "join": Function(_join, 1, None, strict=_join_strictly),
    "len": Function(_length, 1, 1),
    "removeSpaces": Function(_remove_spaces, 1, 1),
    "replace": Function(_replace, 3, 3),
    "replaceFirst": Function(_replace_first, 3, 3),
    "stringContains": Function(_contains_text, 2, 2),
    "startsWith": Function(_starts_with, 2, 2),
    "stringSwitch": Function(_switch, 4, None, step=2),
    "substring": Function(_substring, 3, 3),
    "substringAfter": Function(_after, 2, 2),
    "substringBefore": Function(_before, 2, 2),
    "toLowerCase": Function(_lower, 1, 1),
    "toUpperCase": Function(_upper, 1, 1),
}

FUNCTIONS: Final[Mapping[str, Function]] = {
    **{f"String.{name}": function for name, function in STRING.items()},
    # the old spellings without a namespace, which mappings made long ago still use
    **{name: STRING[name] for name in ("toUpperCase", "toLowerCase", "substring", "substringAfter", "substringBefore")},
    "Convert.toInt": Function(_to_integer, 1, 1),
    "Convert.toNum": Function(_to_number, 1, 1),
    "Arrays.add": Function(_add, 2, 2),
    "Arrays.remove": Function(_remove, 2, 2),
    "Arrays.clear": Function(_clear, 1, 1),
    "Arrays.get": Function(_get, 2, 2),
    "Arrays.flatten": Function(_flatten, 1, None),
    "Arrays.contains": Function(_contains_item, 2, 2),
    "Arrays.size": Function(_size, 1, 1),
    "Arrays.isEmpty": Function(_is_empty, 1, 1),
    "Arrays.toCsvString": Function(_to_csv, 1, 1),
    "Time.now": Function(times.now, 0, 2, reads_clock=True),
    "Time.fromWindowsToIso8601": Function(times.windows_to_iso, 1, 1),
    "Time.fromUnixToIso8601": Function(times.unix_to_iso, 1, 1),
    "Time.fromStringToIso8601": Function(times.text_to_iso, 2, 2),
    "Time.fromIso8601ToWindows": Function(times.iso_to_windows, 1, 1),
    "Time.fromIso8601ToUnix": Function(times.iso_to_unix, 1, 1),
    "Time.fromIso8601ToString": Function(times.iso_to_text, 2, 2),
    "Iso3166Convert.toAlpha2": Function(countries.to_alpha2, 1, 1),
    "Iso3166Convert.toAlpha3": Function(countries.to_alpha3, 1, 1),
    "Iso3166Convert.toNumeric": Function(countries.to_numeric, 1, 1),
    "Iso3166Convert.toName": Function(countries.to_name, 1, 1),
}
