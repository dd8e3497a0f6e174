"""The parts an expression is made of, as a tree that nobody changes."""

from dataclasses import dataclass

from mastering.rules.expressions.values import Value


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression: where its text begins, and how many levels it is deep."""

    position: int
    depth: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value written out."""

    value: Value


@dataclass(frozen=True, slots=True)
class Reference(Node):
    """An attribute of a profile: the profile's name, and the way to the value inside it."""

    root: str
    keys: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Subscripted(Node):
    """A part of a computed value, as in `{1, 2}[0]`."""

    subject: Node
    keys: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list written out."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function and its arguments."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Sum(Node):
    """Terms added, joined or subtracted, from left to right; `signs` stand before the second and later terms."""

    terms: tuple[Node, ...]
    signs: str


@dataclass(frozen=True, slots=True)
class Negative(Node):
    """A number with its sign turned."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Denial(Node):
    """A condition turned."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Compared(Node):
    """Two values and the question between them."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class AllOf(Node):
    """True if every part is; parts after the first false one are not evaluated."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf(Node):
    """True if a part is; parts after the first true one are not evaluated."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """The value beside the first condition that holds, or the last value; only that one is evaluated."""

    cases: tuple[tuple[Node, Node], ...]
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Default(Node):
    """A value, or another one where the first is null."""

    value: Node
    fallback: Node
