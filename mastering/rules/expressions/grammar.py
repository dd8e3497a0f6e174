r"""From text to tree: the grammar of the Okta expression language, read by a LALR parser built once.

The language is the part of Spring's expression language that Okta documents for mappings. Three of its habits surprise:

* a quote inside a text is doubled (`'it''s'`), and a backslash is only a backslash: `"DOMAIN\"` ends where it seems to end;
* `AND`, `OR`, `NOT`, `TRUE`, `FALSE`, `NULL` and the words for the comparisons (`EQ`, `NE`, `LT`, `LE`, `GT`, `GE`) may be written in
  any case; names of attributes and functions may not;
* `{1, 2, 3}` is a list, and `x ?: y` is x unless that is null.

`!` holds the next operand only, while the word `not` holds the whole comparison after it: where both readings have a value they agree.

The parser works bottom-up without recursion, so no text, however nested, can exhaust the stack; every node knows its depth and is
refused as soon as it is too deep, which is what lets everything after it recurse without a second thought. Chains (`a + b + c`,
`a and b and c`, `… ? … : … ? … : …`) are one node each and cost one level.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NoReturn, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args

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
from mastering.rules.expressions.values import MAX_DEPTH, MAX_INTEGER, ExpressionSyntaxError

GRAMMAR: Final = r"""
    ?start: choice

    ?choice: any
           | any "?" choice ":" choice                  -> conditional
           | any "?:" choice                            -> default

    ?any: all (_OR all)*
    ?all: negation (_AND negation)*
    ?negation: comparison
             | NOT negation                             -> denial
    ?comparison: sum
               | sum COMPARISON sum                     -> compared
    ?sum: unary ((PLUS | MINUS) unary)*
    ?unary: operand
          | BANG unary                                  -> denial
          | MINUS unary                                 -> negative
    ?operand: primary
            | primary subscript+                        -> subscripted
            | NAME ("." NAME)* subscript*               -> reference
    ?primary: CONSTANT                                  -> constant
            | TEXT                                      -> text
            | DECIMAL                                   -> decimal
            | INTEGER                                   -> integer
            | NAME ("." NAME)* "(" arguments ")"        -> call
            | BRACE arguments "}"                       -> items
            | PARENTHESIS choice ")"                    -> group

    subscript: "[" (TEXT | INTEGER) "]" ("." NAME)*
    arguments: [choice ("," choice)*]

    _OR.2: /(?i:or)(?!\w)|\|\|/
    _AND.2: /(?i:and)(?!\w)|&&/
    NOT.2: /(?i:not)(?!\w)/
    CONSTANT.2: /(?i:true|false|null)(?!\w)/
    COMPARISON.2: "==" | "!=" | "<=" | ">=" | "<" | ">" | /(?i:eq|ne|le|ge|lt|gt)(?!\w)/
    BANG: "!"
    PLUS: "+"
    MINUS: "-"
    BRACE: "{"
    PARENTHESIS: "("
    NAME: /[^\W\d]\w*/
    DECIMAL.2: /[0-9]+\.[0-9]+/
    INTEGER: /[0-9]+/
    TEXT: /"(?:[^"]|"")*"|'(?:[^']|'')*'/
    %ignore /\s+/
"""

ROOTS: Final = {"appuser": "appuser", "appUser": "appuser", "user": "user", "source": "source"}  # Okta's own pages spell it both ways
WORDS: Final = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
Keys = tuple[str | int, ...]


def parse(text: str) -> Node:
    """The tree of an expression. Raises `ExpressionSyntaxError` for a text that is none, or that is too deep."""
    if "\0" in text:
        raise ExpressionSyntaxError("an expression has no NUL characters", text.index("\0"))
    try:
        return cast("Node", _parser().parse(text))
    except UnexpectedInput as unexpected:
        _refuse(text, unexpected)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=_Builder(), maybe_placeholders=False)


def _refuse(text: str, unexpected: UnexpectedInput) -> NoReturn:
    """Says in the language's own words what the parser tripped over."""
    match unexpected:
        case UnexpectedToken(token=Token(type="$END")):
            raise ExpressionSyntaxError("the expression is not finished", len(text)) from None
        case UnexpectedToken(token=token):
            raise ExpressionSyntaxError(f"{token[:40]!r} does not fit here", _at(token)) from None
        case UnexpectedCharacters(char="'" | '"'):
            message = "the text that begins here is not closed"
        case UnexpectedCharacters(char="="):
            message = "'=' assigns, and nothing can be assigned; '==' compares"
        case _:
            message = "this character does not fit here"
    raise ExpressionSyntaxError(message, cast("int", unexpected.pos_in_stream)) from None


def _at(token: Token) -> int:
    return token.start_pos or 0


def _depth(position: int, *children: Node) -> int:
    depth = 1 + max((child.depth for child in children), default=0)
    if depth > MAX_DEPTH:
        raise ExpressionSyntaxError(f"an expression is at most {MAX_DEPTH} levels deep", position)
    return depth


def _unquoted(token: Token) -> str:
    quote = token[0]
    return token[1:-1].replace(quote * 2, quote)


def _whole(token: Token) -> int:
    if len(token) > len(str(MAX_INTEGER)) or int(token) > MAX_INTEGER:
        raise ExpressionSyntaxError("the whole number is beyond 64 bits", _at(token))
    return int(token)


@v_args(inline=True)
class _Builder(Transformer[Token, Node]):
    """Makes a node of each rule as the parser finishes it."""

    def constant(self, token: Token) -> Node:
        return Literal(_at(token), 1, {"true": True, "false": False, "null": None}[token.lower()])

    def text(self, token: Token) -> Node:
        return Literal(_at(token), 1, _unquoted(token))

    def decimal(self, token: Token) -> Node:
        if float(token) > MAX_INTEGER:
            raise ExpressionSyntaxError("the number is too large", _at(token))
        return Literal(_at(token), 1, float(token))

    def integer(self, token: Token) -> Node:
        return Literal(_at(token), 1, _whole(token))

    def reference(self, name: Token, *steps: Token | Keys) -> Node:
        keys: Keys = tuple(key for step in steps for key in ((str(step),) if isinstance(step, Token) else step))
        root = ROOTS.get(name)
        if root is None:
            raise ExpressionSyntaxError(f"{name[:40]!r} is unknown; an attribute is appuser.x, source.x or user.x", _at(name))
        if not keys or not isinstance(keys[0], str):
            raise ExpressionSyntaxError(f"{root!r} needs the name of an attribute, as in {root}.email", _at(name))
        return Reference(_at(name), 1, root, keys)

    def subscript(self, key: Token, *names: Token) -> Keys:
        return (_unquoted(key) if key.type == "TEXT" else _whole(key), *map(str, names))

    def subscripted(self, subject: Node, *subscripts: Keys) -> Node:
        keys: Keys = tuple(key for subscript in subscripts for key in subscript)
        return Subscripted(subject.position, _depth(subject.position, subject), subject, keys)

    def arguments(self, *arguments: Node) -> tuple[Node, ...]:
        return arguments

    def call(self, *parts: Any) -> Node:
        *names, arguments = parts
        position = _at(names[0])
        return Call(position, _depth(position, *arguments), ".".join(names), arguments)

    def items(self, brace: Token, items: tuple[Node, ...]) -> Node:
        return Items(_at(brace), _depth(_at(brace), *items), items)

    def group(self, parenthesis: Token, inner: Node) -> Node:
        return replace(inner, position=_at(parenthesis), depth=_depth(_at(parenthesis), inner))

    def negative(self, sign: Token, operand: Node) -> Node:
        return Negative(_at(sign), _depth(_at(sign), operand), operand)

    def denial(self, sign: Token, operand: Node) -> Node:
        return Denial(_at(sign), _depth(_at(sign), operand), operand)

    def sum(self, *parts: Node | Token) -> Node:
        terms = tuple(part for part in parts if isinstance(part, Node))
        signs = "".join(part for part in parts if isinstance(part, Token))
        return Sum(terms[0].position, _depth(terms[0].position, *terms), terms, signs)

    def compared(self, left: Node, operator: Token, right: Node) -> Node:
        return Compared(left.position, _depth(left.position, left, right), WORDS.get(operator.lower(), str(operator)), left, right)

    def all(self, *parts: Node) -> Node:
        return AllOf(parts[0].position, _depth(parts[0].position, *parts), parts)

    def any(self, *parts: Node) -> Node:
        return AnyOf(parts[0].position, _depth(parts[0].position, *parts), parts)

    def default(self, value: Node, fallback: Node) -> Node:
        return Default(value.position, _depth(value.position, value, fallback), value, fallback)

    def conditional(self, condition: Node, value: Node, otherwise: Node) -> Node:
        cases: tuple[tuple[Node, Node], ...] = ((condition, value),)
        if isinstance(otherwise, Conditional):
            cases, otherwise = cases + otherwise.cases, otherwise.otherwise
        inside = [node for case in cases for node in case]
        return Conditional(condition.position, _depth(condition.position, *inside, otherwise), cases, otherwise)
