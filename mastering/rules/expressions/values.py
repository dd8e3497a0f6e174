"""What an expression computes with: the values, the two errors, the bounds, and the conversions between types.

A value is what JSON can say: null, boolean, number, text, list, object. Four rules hold everywhere in the language:

* **Empty is null.** The service keeps an empty string as null (SPEC §4), so `x == ""` and `x == null` ask the same question.
* **Null is less than everything** when ordered, and is not true when asked for a truth.
* **Text and number are different things**: `"1" == 1` is false, and ordering one against the other is a failure, not a guess.
  `Convert.toNum` and `Convert.toInt` turn one into the other.
* **Everything is bounded.** Texts, whole numbers and lists that an expression makes have a largest size, and so have the lists that its
  functions look through; passing on a value of the source untouched is neither.
"""

import math
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"

MAX_SOURCE_LENGTH = 4_096  # characters of an expression
MAX_DEPTH = 50  # operators, calls and parentheses inside each other
MAX_TEXT_LENGTH = 100_000  # characters of a text that an expression makes
MAX_ITEMS = 10_000  # items of a list that an expression makes, or looks through
MAX_NESTED = 250_000  # lists inside lists that are opened to make them one
MAX_INTEGER = 2**63 - 1  # whole numbers are signed 64-bit numbers


class ExpressionSyntaxError(Exception):
    """The text is no expression of the language; `position` is the offset, from 0, of the first character that does not fit."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} (at position {position})")
        self.message = message
        self.position = position


class ExpressionFailure(Exception):
    """A well-formed expression has no value for this profile, as when a word is converted to a number."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def kind(value: Value) -> str:
    """The name of a value's type, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"


def as_text(value: Value) -> str | None:
    """A scalar as text: booleans as `true` and `false`, numbers in decimals; null stays null. Lists and objects fail."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(bounded_number(value))
    raise ExpressionFailure(f"text is needed here, not {kind(value)}")


def as_number(value: Value) -> int | float:
    """A number as it is; anything else fails, text that looks like a number included."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise ExpressionFailure(f"a number is needed here, not {kind(value)}")


def as_integer(value: Value) -> int:
    """A whole number as it is; anything else fails."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ExpressionFailure(f"a whole number is needed here, not {kind(value)}")


def as_list(value: Value) -> list[Value]:
    """A list as it is, text as comma-separated items, null as no items, another scalar as a list of one; fails for one beyond the bound."""
    match value:
        case None:
            return []
        case list():
            return bounded_items(value)
        case str():
            check_items(value.count(",") + 1)
            return [item.strip() for item in value.split(",")] if value else []
    return [value]


def as_truth(value: Value) -> bool:
    """Whether a condition holds. Null does not; the words `true` and `false` mean what they say, as a CSV column can say no other way."""
    match value:
        case bool():
            return value
        case None:
            return False
        case str() if (word := value.casefold()) in {"true", "false", ""}:
            return word == "true"
    raise ExpressionFailure(f"a condition must be true or false, not {kind(value)}")


def equal(left: Value, right: Value) -> bool:
    """Equality without conversion, but for whole and decimal numbers; null and the empty text are equal."""
    if left is None or left == "":
        return right is None or right == ""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    return type(left) is type(right) and left == right


def compare(left: Value, right: Value) -> int:
    """-1, 0 or 1: numbers by size, texts by code point, null before everything. Other pairs fail."""
    if equal(left, right):
        return 0
    if left is None or left == "":
        return -1
    if right is None or right == "":
        return 1
    if isinstance(left, str) and isinstance(right, str):
        return -1 if left < right else 1
    if isinstance(left, (str, list, dict, bool)) or isinstance(right, (str, list, dict, bool)):
        raise ExpressionFailure(f"{kind(left)} and {kind(right)} have no order")
    return -1 if left < right else 1


def bounded_text(text: str) -> str:
    """The text, if it is within the bound."""
    check_length(len(text))
    return text


def check_length(length: int) -> None:
    """Fails for a text length beyond the bound; called before the text is made, where making it could be costly."""
    if length > MAX_TEXT_LENGTH:
        raise ExpressionFailure(f"the text would be longer than {MAX_TEXT_LENGTH} characters")


def bounded_items(items: list[Value]) -> list[Value]:
    """The list, if it is within the bound."""
    check_items(len(items))
    return items


def check_items(count: int) -> None:
    """Fails for a list of more items than the bound; called before the list is made, where making it could be costly."""
    if count > MAX_ITEMS:
        raise ExpressionFailure(f"the list would have more than {MAX_ITEMS} items")


def bounded_number(number: float) -> int | float:
    """The number, if it is finite and, when whole, within 64 bits."""
    if isinstance(number, int):
        if not -MAX_INTEGER - 1 <= number <= MAX_INTEGER:
            raise ExpressionFailure("the whole number is beyond 64 bits")
    elif not math.isfinite(number):
        raise ExpressionFailure("the number is not finite")
    return number
