"""From tree to closures: each node becomes a function of the scope, made once, with everything already decided that can be.

Joining has two readings of null. In an attribute, a null part is left out, and only if no part but the written-out ones says anything
is the whole null: a person without a middle name still has a display name. In a username every part counts, so one null part makes
the whole null and no login like `.smith@example.com` comes out (the strict reading).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

from mastering.rules.expressions.functions import FUNCTIONS, Function
from mastering.rules.expressions.tree import (
    AllOf,
    AnyOf,
    Call,
    Compared,
    Conditional,
    Default,
    Denial,
    Items,
    Literal,
    Negative,
    Node,
    Reference,
    Subscripted,
    Sum,
)
from mastering.rules.expressions.values import (
    ExpressionFailure,
    ExpressionSyntaxError,
    Value,
    as_number,
    as_text,
    as_truth,
    bounded_number,
    bounded_text,
    check_length,
    compare,
    equal,
)

Evaluate = Callable[["Scope"], Value]

COMPARISONS: Mapping[str, Callable[[Value, Value], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": lambda left, right: compare(left, right) < 0,
    "<=": lambda left, right: compare(left, right) <= 0,
    ">": lambda left, right: compare(left, right) > 0,
    ">=": lambda left, right: compare(left, right) >= 0,
}


class Scope:
    """What an expression may look at: the profiles by their names in the language, and the moment, if there is one.

    `source` is the profile a mapping reads from; it is the app's own unless it is given.
    """

    __slots__ = ("appuser", "now", "source", "user")

    def __init__(
        self,
        appuser: Mapping[str, Any],
        user: Mapping[str, Any],
        now: datetime | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        self.appuser = appuser
        self.user = user
        self.now = now
        self.source = appuser if source is None else source


class Compiler:
    """Makes closures of nodes, in one of the two readings of null, and notes every attribute that is referred to, and where first."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.places: dict[tuple[str, str], int] = {}

    def compile(self, node: Node) -> Evaluate:
        """The function that evaluates this node. Raises `ExpressionSyntaxError` for an unknown function or a wrong number of arguments."""
        match node:
            case Literal(value=value):
                return _constant(value)
            case Reference():
                return self._reference(node)
            case Subscripted(subject=subject, keys=keys):
                return _walking(self.compile(subject), keys)
            case Items(items=items):
                parts = self._all(items)
                return lambda scope: [part(scope) for part in parts]
            case Call():
                return self._call(node)
            case Sum(terms=terms, signs=signs):
                return self._joined(terms) if "-" not in signs else _counted(self._all(terms), signs)
            case Negative(operand=operand):
                number = self.compile(operand)
                return lambda scope: bounded_number(-as_number(number(scope)))
            case Default(value=value, fallback=fallback):
                return _defaulting(self.compile(value), self.compile(fallback))
        return self._condition(node)

    def _all(self, nodes: tuple[Node, ...]) -> tuple[Evaluate, ...]:
        return tuple(self.compile(node) for node in nodes)

    def _condition(self, node: Node) -> Evaluate:
        match node:
            case Denial(operand=operand):
                denied = self.compile(operand)
                return lambda scope: not as_truth(denied(scope))
            case Compared(operator=operator, left=left, right=right):
                return _comparing(COMPARISONS[operator], self.compile(left), self.compile(right))
            case AllOf(parts=parts):
                every = self._all(parts)
                return lambda scope: all(as_truth(part(scope)) for part in every)
            case AnyOf(parts=parts):
                some = self._all(parts)
                return lambda scope: any(as_truth(part(scope)) for part in some)
            case Conditional(cases=cases, otherwise=otherwise):
                compiled = tuple((self.compile(condition), self.compile(value)) for condition, value in cases)
                return _choosing(compiled, self.compile(otherwise))
        raise TypeError(node)

    def _reference(self, node: Reference) -> Evaluate:
        first, rest = str(node.keys[0]), node.keys[1:]
        self.places.setdefault((node.root, first), node.position)
        profile: Callable[[Scope], Mapping[str, Any]] = attrgetter(node.root)

        def pick(scope: Scope) -> Value:
            value: Value = profile(scope).get(first)
            return None if value == "" else value

        return _walking(pick, rest) if rest else pick

    def _call(self, node: Call) -> Evaluate:
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise ExpressionSyntaxError(f"there is no function {node.function[:80]!r}", node.position)
        if not function.takes(len(node.arguments)):
            raise ExpressionSyntaxError(f"{node.function} takes {function.arity}, not {len(node.arguments)}", node.position)
        compute = function.strict if self.strict and function.strict else function.compute
        return _calling(node.function, function, compute, self._all(node.arguments))

    def _joined(self, terms: tuple[Node, ...]) -> Evaluate:
        """`a + b + …`. Almost always all are texts, and then one join does it; otherwise they are taken from left to right."""
        parts = self._all(terms)
        said = tuple(position for position, term in enumerate(terms) if not isinstance(term, Literal))
        written = sum(len(term.value) for term in terms if isinstance(term, Literal) and isinstance(term.value, str))
        strict = self.strict

        def join(scope: Scope) -> Value:
            values: list[Any] = [part(scope) for part in parts]
            try:
                length = sum(map(len, values))
                check_length(length)
                text = "".join(values)
            except TypeError:
                return _mixed(values, said, strict=strict)
            return text if length > written or strict or not said else None

        return join


def _mixed(values: list[Value], said: tuple[int, ...], *, strict: bool) -> Value:
    """The sum of values not all of which are texts: see the header for what null means."""
    if strict and None in values:
        return None
    if said and all(values[position] is None or values[position] == "" for position in said):
        return None
    total, *rest = values
    for value in rest:
        if isinstance(total, str) or isinstance(value, str):
            total = bounded_text((as_text(total) or "") + (as_text(value) or ""))
        elif total is not None or value is not None:
            total = bounded_number(as_number(total) + as_number(value))
    return total


def _constant(value: Value) -> Evaluate:
    return lambda _: value


def _counted(terms: tuple[Evaluate, ...], signs: str) -> Evaluate:
    """`a - b + …`: numbers only, as nothing can be taken from a text."""

    def count(scope: Scope) -> Value:
        total = as_number(terms[0](scope))
        for sign, term in zip(signs, terms[1:], strict=True):
            number = as_number(term(scope))
            total = bounded_number(total + number if sign == "+" else total - number)
        return total

    return count


def _walking(start: Evaluate, keys: tuple[str | int, ...]) -> Evaluate:
    """Down into objects by name and into lists by position; what is not there is null."""

    def walk(scope: Scope) -> Value:
        value = start(scope)
        for key in keys:
            if isinstance(value, dict) and isinstance(key, str):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return None if value == "" else value

    return walk


def _calling(name: str, function: Function, compute: Callable[..., Value], arguments: tuple[Evaluate, ...]) -> Evaluate:
    def call(scope: Scope) -> Value:
        values: list[Any] = [argument(scope) for argument in arguments]
        if function.reads_clock:
            values.insert(0, scope.now)
        try:
            return compute(*values)
        except ExpressionFailure as failure:
            raise ExpressionFailure(f"{name}: {failure.message}") from None

    return call


def _comparing(compared: Callable[[Value, Value], bool], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda scope: compared(left(scope), right(scope))


def _defaulting(value: Evaluate, fallback: Evaluate) -> Evaluate:
    def default(scope: Scope) -> Value:
        found = value(scope)
        return fallback(scope) if found is None or found == "" else found

    return default


def _choosing(cases: tuple[tuple[Evaluate, Evaluate], ...], otherwise: Evaluate) -> Evaluate:
    def choose(scope: Scope) -> Value:
        for condition, value in cases:
            if as_truth(condition(scope)):
                return value(scope)
        return otherwise(scope)

    return choose
