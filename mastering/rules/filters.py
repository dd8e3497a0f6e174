r"""What `filter` and `search` say: Okta's filter language, from text to a checked tree.

::

    status eq "ACTIVE" and (profile.department sw "Sal" or not (profile.title pr))

A comparison is a property, an operator and a value, all but `pr` (present) with a value: a text in double quotes, with `\"` and `\\` for
what would end it, a number, `true` or `false`. `and` binds closer than `or`. Operators and joining words may be written in any case,
properties may not.

The grammar takes any word for a property and any for an operator. Which there are, and which go together, a `Vocabulary` says, since every
list has its own: what it does not know is refused by name and position, and never passed over.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, NoReturn, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args

LONGEST: Final = 4_096
"""Characters of a filter."""
MOST: Final = 100
"""Comparisons in a filter."""
MAX_DEPTH: Final = 20
_DIGITS, _BEYOND = 40, 2**63

Kind = Literal["text", "exact", "instant", "number", "boolean", "list"]
"""What a property holds: a text compared without case, one compared exactly, an instant, a number, a boolean, or a list of such."""
Operand = str | int | float | bool | None

ORDERED: Final = frozenset({"eq", "gt", "ge", "lt", "le", "pr"})

GRAMMAR: Final = r"""
    ?start: any
    ?any: all (_OR all)*
    ?all: negation (_AND negation)*
    ?negation: comparison
             | NOT negation                  -> denial
    ?comparison: WORD PRESENT                -> present
               | WORD WORD value             -> compared
               | "(" any ")"
    ?value: TEXT | NUMBER | CONSTANT

    _OR.2: /(?i:or)(?![\w.])/
    _AND.2: /(?i:and)(?![\w.])/
    NOT.2: /(?i:not)(?![\w.])/
    PRESENT.2: /(?i:pr)(?![\w.])/
    CONSTANT.2: /(?i:true|false|null)(?![\w.])/
    WORD: /[A-Za-z_][\w$-]*(\.[\w$-]+)*/
    NUMBER: /-?[0-9]+(\.[0-9]+)?/
    TEXT: /"(?:[^"\\]|\\.)*"/
    %ignore /\s+/
"""


class FilterError(Exception):
    """A filter that cannot be; `position` is the 0-based character at which it goes wrong."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"at character {position + 1}: {message}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Comparison:
    """One property held against one value; the value of `pr` is None. An instant is as the wire writes it."""

    position: int
    property: str
    operator: str
    value: Operand = None


@dataclass(frozen=True, slots=True)
class Every:
    """Every part holds."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part holds."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Denial:
    """The part does not hold."""

    position: int
    part: "Node"


Node = Comparison | Every | Either | Denial


@dataclass(frozen=True, slots=True)
class Property:
    """What a property of a list holds, and which operators it knows. `words` lists the only texts it can be held against."""

    kind: Kind
    operators: frozenset[str]
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a list can be filtered by: a look-up of properties, a sentence naming some of them, and whether `not` is known."""

    find: Callable[[str], Property | None]
    some: str
    denies: bool = True


def comparisons(node: Node) -> list[Comparison]:
    """Every comparison in a tree, from left to right."""
    if isinstance(node, Comparison):
        return [node]
    parts = (node.part,) if isinstance(node, Denial) else node.parts
    return [found for part in parts for found in comparisons(part)]


def read(text: str, vocabulary: Vocabulary) -> Node:
    """The tree of a filter whose every comparison the vocabulary knows. Raises `FilterError`."""
    tree = parse(text)
    found = comparisons(tree)
    if len(found) > MOST:
        raise FilterError(f"a filter has at most {MOST} comparisons", found[MOST].position)
    return _checked(tree, vocabulary)


def parse(text: str) -> Node:
    """The tree of a filter, nothing known of its words. Raises `FilterError`."""
    if len(text) > LONGEST:
        raise FilterError(f"a filter has at most {LONGEST} characters", LONGEST)
    try:
        tree = cast("tuple[int, Node]", _parser().parse(text))
    except UnexpectedInput as unexpected:
        _refuse(text, unexpected)
    return tree[1]


# -- what a vocabulary makes of it ----------------------------------------------------------------------------------------


def _checked(node: Node, vocabulary: Vocabulary) -> Node:
    match node:
        case Comparison():
            return _known(node, vocabulary)
        case Every(parts):
            return Every(tuple(_checked(part, vocabulary) for part in parts))
        case Either(parts):
            return Either(tuple(_checked(part, vocabulary) for part in parts))
        case Denial(position, part):
            if not vocabulary.denies:
                raise FilterError("'not' is no operator here; and, or and parentheses are", position)
            return Denial(position, _checked(part, vocabulary))


def _known(term: Comparison, vocabulary: Vocabulary) -> Comparison:
    found = vocabulary.find(term.property)
    if found is None:
        raise FilterError(f"{term.property[:100]} is nothing to filter by; {vocabulary.some}", term.position)
    if term.operator not in found.operators:
        known = ", ".join(sorted(found.operators))
        instead = "; (x lt … or x gt …) says the same" if term.operator == "ne" and "lt" in found.operators else ""
        raise FilterError(f"{term.property} does not know the operator {term.operator[:20]}; it knows {known}{instead}", term.position)
    value = None if term.operator == "pr" else _operand(term, found)
    return Comparison(term.position, term.property, term.operator, value)


def _operand(term: Comparison, found: Property) -> Operand:
    value = term.value
    if found.kind == "instant":
        return _instant(term)
    if found.kind == "boolean" and not isinstance(value, bool):
        raise FilterError(f"{term.property} is compared with true or false", term.position)
    if found.kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise FilterError(f"{term.property} is compared with a number, written without quotes", term.position)
    if found.kind in {"text", "exact"} and not isinstance(value, str):
        raise FilterError(f'{term.property} is compared with a text in double quotes, as in "x"', term.position)
    if value is None:
        raise FilterError(f"{term.property} is not compared with null; not ({term.property} pr) finds who has none", term.position)
    if found.words and value not in found.words:
        raise FilterError(f"{term.property} is never {str(value)[:100]}; it is one of {', '.join(sorted(found.words))}", term.position)
    return value


def _instant(term: Comparison) -> str:
    """An instant as the wire writes it, of anything that ISO 8601 allows if it has a zone."""
    try:
        moment = datetime.fromisoformat(term.value) if isinstance(term.value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise FilterError(f'{term.property} is compared with an instant as in "2026-01-31T00:00:00.000Z"', term.position)
    try:
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        raise FilterError(f"{term.property} is compared with an instant of the years 1 to 9999", term.position) from None


# -- from text to tree ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=_Builder(), maybe_placeholders=False)


def _refuse(text: str, unexpected: UnexpectedInput) -> NoReturn:
    """Says in the language's own words what the parser tripped over."""
    position: int | None
    match unexpected:
        case UnexpectedToken(token=Token(type="$END")):
            message, position = 'the filter is not finished; a comparison is written name eq "value"', len(text)
        case UnexpectedToken(token=token):
            message, position = f'{token[:40]!r} does not fit here; a comparison is written name eq "value"', token.start_pos
        case UnexpectedCharacters(char='"', pos_in_stream=at):
            message, position = "the text that begins here is not closed", at
        case UnexpectedCharacters(char="'", pos_in_stream=at):
            message, position = "a text is written in double quotes", at
        case _:
            message, position = "this character does not fit here", unexpected.pos_in_stream
    raise FilterError(message, position or 0) from None


def _text(token: Token) -> str:
    """What a quoted text says: JSON's escapes, and a backslash before anything else is only that character."""
    try:
        return cast("str", json.loads(token, strict=False))
    except ValueError:
        return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)


Built = tuple[int, Node]
"""A node and its depth: too deep a text is refused as it is read, so that everything after may recurse."""


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Makes a node of each rule as the parser finishes it."""

    def TEXT(self, token: Token) -> str:  # noqa: N802 - lark calls it by the terminal's name
        text = _text(token)
        if not text.isprintable() and ("\0" in text or any("\ud800" <= character <= "\udfff" for character in text)):
            raise FilterError("a text has no NUL characters and no halves of surrogate pairs", token.start_pos or 0)
        return text

    def NUMBER(self, token: Token) -> int | float:  # noqa: N802 - as TEXT
        if len(token) > _DIGITS or abs(float(token)) >= _BEYOND:
            raise FilterError("the number is beyond 64 bits", token.start_pos or 0)
        return float(token) if "." in token else int(token)

    def CONSTANT(self, token: Token) -> bool | None:  # noqa: N802 - as TEXT
        return {"true": True, "false": False, "null": None}[token.lower()]

    def present(self, name: Token, _: Token) -> Built:
        return 1, Comparison(name.start_pos or 0, str(name), "pr")

    def compared(self, name: Token, operator: Token, value: Operand) -> Built:
        return 1, Comparison(name.start_pos or 0, str(name), operator.lower(), value)

    def denial(self, sign: Token, part: Built) -> Built:
        return _depth(sign.start_pos or 0, part), Denial(sign.start_pos or 0, part[1])

    def all(self, *parts: Built) -> Built:
        return _depth(_start(parts[0][1]), *parts), Every(tuple(part for _, part in parts))

    def any(self, *parts: Built) -> Built:
        return _depth(_start(parts[0][1]), *parts), Either(tuple(part for _, part in parts))


def _depth(position: int, *parts: Built) -> int:
    depth = 1 + max(depth for depth, _ in parts)
    if depth > MAX_DEPTH:
        raise FilterError(f"a filter is at most {MAX_DEPTH} levels deep", position)
    return depth


def _start(node: Node) -> int:
    return node.position if isinstance(node, Comparison | Denial) else _start(node.parts[0])
