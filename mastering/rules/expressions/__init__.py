"""The Okta expression language (SPEC §9): parse once when saved, evaluate for every record.

    text ──grammar──▶ tree ──compiler──▶ closures ──Scope──▶ value

`grammar` reads, `tree` is what it read, `compiler` turns it into nested functions, `functions`, `times` and `countries` are the
language's library, and `values` says what values are and how they convert. Nothing here calls `eval`, reads a clock or touches the
outside; an expression cannot loop, call itself or look at anything but the profiles it is given, and its length, depth and results are
bounded. Values are passed on, not copied: who evaluates must not change a list they got.
"""

from collections.abc import Mapping
from functools import lru_cache

from mastering.rules.expressions.compiler import Compiler, Evaluate, Scope
from mastering.rules.expressions.grammar import parse
from mastering.rules.expressions.tree import Reference
from mastering.rules.expressions.values import MAX_SOURCE_LENGTH, ExpressionFailure, ExpressionSyntaxError, Value

__all__ = ["Expression", "ExpressionFailure", "ExpressionSyntaxError", "Scope", "Value", "compile_expression"]


class Expression:
    """A compiled expression: call it with a scope, get a value or an `ExpressionFailure`.

    `references` are the attributes it may read, as (profile, attribute), `source` and `appuser` kept apart as they were written, and
    `places` where each stands first, as an offset from 0.
    `path` is the way to the value if the whole expression is one reference, as in `appuser.name.givenName`, else None.
    """

    __slots__ = ("_evaluate", "path", "places", "references", "text")

    def __init__(self, text: str, evaluate: Evaluate, places: Mapping[tuple[str, str], int], path: tuple[str | int, ...] | None) -> None:
        self.text = text
        self.places = places
        self.references = frozenset(places)
        self.path = path
        self._evaluate = evaluate

    def __call__(self, scope: Scope) -> Value:
        """The value for these profiles. Raises `ExpressionFailure` if there is none."""
        try:
            return self._evaluate(scope)
        except RecursionError:  # comparing two values of the profile that nest a thousand deep
            raise ExpressionFailure("a value is nested too deeply") from None


def compile_expression(text: str, *, strict: bool = False) -> Expression:
    """The expression that the text says; `strict` is the reading in which joining anything to null is null (see `compiler`).

    Raises `ExpressionSyntaxError` with the position of the fault. The same text compiles once.
    """
    if len(text) > MAX_SOURCE_LENGTH:  # before the cache: it would keep the text
        raise ExpressionSyntaxError(f"an expression has at most {MAX_SOURCE_LENGTH} characters", MAX_SOURCE_LENGTH)
    return _compiled(text, strict)


@lru_cache(maxsize=1_024)
def _compiled(text: str, strict: bool) -> Expression:
    tree = parse(text)
    compiler = Compiler(strict=strict)
    evaluate = compiler.compile(tree)
    return Expression(text, evaluate, compiler.places, tree.keys if isinstance(tree, Reference) else None)
