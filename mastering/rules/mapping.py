"""Mapping (SPEC §4, §9): what one profile says about another, and which login an app's profile asks for.

Each app has two mappings: the inbound one, from the app's profile (`appuser`) to the user's, and the outbound one, from the user's
profile (`user`) to the app's. In both, `source` is the profile that is read.

A mapping is a list of rules: target attribute ← expression over the source profile, pushed always or only when the user is created. The
result names only what the source *carries*, because absent is not null:

==============================================  =========================================================
`appuser.x`, and the source has no `x`          not in the result: the user's attribute keeps its value
`appuser.x`, and it is null or empty            None: the attribute is cleared
an expression, none of whose attributes is there  not in the result
any other expression                            evaluated; an empty result is None
==============================================  =========================================================

Most rules are plain references. Those are picked from the source without evaluating anything, which is what makes a mapping cost less
than decoding the record it is applied to.

Two things an inbound mapping cannot say: an attribute of `user`, as the user is what it makes and no result may depend on what was there
before; and the login, which is the username format's to give. Outbound it is `appuser` that is made and cannot be read. In a username every part counts: one that is null leaves no login at all.
"""

from collections import abc
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal

from mastering.errors import Invalid
from mastering.rules.expressions import Expression, ExpressionFailure, ExpressionSyntaxError, Scope, Value, compile_expression
from mastering.rules.policy import UsernameFormat
from mastering.rules.schema import Schema

Profile = abc.Mapping[str, Any]
UsernameOf = abc.Callable[[Profile, Profile], str]

NOBODY: Final[Profile] = {}
_LONGEST_TARGET: Final = 200


class Direction(Enum):
    """Which way a mapping leads; its value is the profile it reads, as expressions call it."""

    INBOUND = "appuser"
    OUTBOUND = "user"


@dataclass(frozen=True, slots=True)
class MappingRule:
    """One target attribute and where it comes from; `create_only` is Okta's DONT_PUSH, applied when the user is created and never again."""

    target: str
    expression_text: str
    create_only: bool = False


@dataclass(frozen=True, slots=True)
class MappingFault:
    """Why a rule cannot be saved; `position` is the offset in the expression, where it is the expression that is wrong."""

    field: str
    message: str
    position: int | None = None

    def __str__(self) -> str:
        where = "" if self.position is None else f" (at position {self.position})"
        return f"{self.field}: {self.message}{where}"


class MappingRefused(Invalid):
    """A mapping or username format that cannot be saved, with every fault in it."""

    def __init__(self, summary: str, faults: abc.Iterable[MappingFault]) -> None:
        self.faults = tuple(faults)
        super().__init__(summary, *map(str, self.faults))


class MappingFailure(ExpressionFailure):
    """A rule that has no value for this source profile: the record is invalid, and this is why."""

    def __init__(self, target: str, message: str) -> None:
        super().__init__(message)
        self.target = target


class UsernameFailure(Exception):
    """There is no login for this record. `reason` is `empty_username` or `failing_expression`."""

    def __init__(self, reason: Literal["empty_username", "failing_expression"], message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class _Computed:
    """A rule that is more than a plain reference; `names` are the source attributes it looks at."""

    target: str
    expression: Expression
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Rules:
    """Rules ready to be applied: (target, source attribute) pairs to pick, and the others."""

    picked: tuple[tuple[str, str], ...]
    computed: tuple[_Computed, ...]


class CompiledMapping:
    """A mapping ready for many records. Made by `compile_mapping`."""

    __slots__ = ("_creating", "_direction", "_updating", "targets")

    def __init__(self, rules: abc.Iterable[tuple[MappingRule, Expression]], direction: Direction) -> None:
        compiled = tuple(rules)
        self._direction = direction
        self.targets = frozenset(rule.target for rule, _ in compiled)
        self._creating = _prepared(compiled)
        self._updating = _prepared(tuple((rule, expression) for rule, expression in compiled if not rule.create_only))

    def apply(self, source: Profile, *, creating: bool, now: datetime | None = None) -> dict[str, Any]:
        """The target attributes that the source carries, None for those it clears. Raises `MappingFailure` if an expression fails."""
        rules = self._creating if creating else self._updating
        carried: dict[str, Any] = {}
        for target, name in rules.picked:
            if name in source:
                value = source[name]
                carried[target] = None if value == "" else value
        if rules.computed:
            inbound = self._direction is Direction.INBOUND
            scope = Scope(source, NOBODY, now) if inbound else Scope(NOBODY, source, now, source)
            for rule in rules.computed:
                if _carries(rule, source):
                    carried[rule.target] = _evaluated(rule, scope)
        return carried


def compile_mapping(rules: abc.Iterable[MappingRule], schema: Schema, direction: Direction = Direction.INBOUND) -> CompiledMapping:
    """The mapping these rules make. Raises `MappingRefused` with every fault of every rule."""
    inbound = direction is Direction.INBOUND
    compiled: list[tuple[MappingRule, Expression]] = []
    found: list[MappingFault] = []
    targets: set[str] = set()
    for rule in rules:
        message = _target_objection(rule.target, schema) if inbound else _app_target_objection(rule.target)
        if message is None and rule.target in targets:
            message = "is mapped twice"
        if message is not None:
            found.append(MappingFault(rule.target, message))
        targets.add(rule.target)
        expression = _compiled(rule.target, rule.expression_text, found, strict=False)
        if expression is None:
            continue
        found += _reference_faults(rule.target, expression, schema, direction)
        compiled.append((rule, expression))
    if found:
        raise MappingRefused("The mapping cannot be saved.", found)
    return CompiledMapping(compiled, direction)


def default_rules(schema: Schema, direction: Direction = Direction.INBOUND) -> tuple[MappingRule, ...]:
    """The mapping a new app starts with: every attribute but the login from the other side's attribute of the same name."""
    return tuple(MappingRule(name, f"{direction.value}.{name}") for name in schema.attributes if name != "login")


def compile_username(format: UsernameFormat, expression_text: str | None) -> UsernameOf:
    """The function from (source profile, mapped user profile) to the login.

    EMAIL takes the mapped e-mail address. CUSTOM evaluates the expression, in which `user` is the mapped profile. The function raises
    `UsernameFailure`, and this one `MappingRefused` for an expression that is missing or does not parse.
    """
    if format is UsernameFormat.EMAIL:
        return lambda _, mapped: _login(mapped.get("email"))
    found: list[MappingFault] = []
    expression = _compiled("username.expression", expression_text or "", found, strict=True)
    if expression is None:
        raise MappingRefused("The username format cannot be saved.", found)

    def custom(source: Profile, mapped: Profile) -> str:
        try:
            return _login(expression(Scope(source, mapped)))
        except ExpressionFailure as failure:
            raise UsernameFailure("failing_expression", failure.message) from None

    return custom


def normalise(profile: dict[str, Any]) -> dict[str, Any]:
    """The profile with its empty texts as nulls (SPEC §4); the very same one if it has none. Values inside values stay as they are."""
    if "" not in profile.values():
        return profile
    return {name: None if value == "" else value for name, value in profile.items()}


def _compiled(field: str, text: str, found: list[MappingFault], *, strict: bool) -> Expression | None:
    try:
        return compile_expression(text, strict=strict)
    except ExpressionSyntaxError as error:
        found.append(MappingFault(field, error.message, error.position))
        return None


def _reference_faults(target: str, expression: Expression, schema: Schema, direction: Direction) -> list[MappingFault]:
    """References to the profile that the mapping makes; outbound also those to attributes that no user has. An app's may be any."""
    found = []
    for (root, name), place in expression.places.items():
        if root not in {direction.value, "source"}:
            read, made = ("the app's profile", "user") if direction is Direction.INBOUND else ("the user's profile", "appuser")
            found.append(MappingFault(target, f"an {direction.name.lower()} mapping reads {read}, not {made}.{name}", place))
        elif direction is Direction.OUTBOUND and name not in schema.attributes:
            found.append(MappingFault(target, f"{root}.{name} is not an attribute of the user schema", place))
    return found


def _target_objection(target: str, schema: Schema) -> str | None:
    if target not in schema.attributes:
        return "is not an attribute of the user schema"
    return "comes from the username format, not from a mapping" if target == "login" else None


def _app_target_objection(target: str) -> str | None:
    """An app's attributes are its own affair, a SCIM path among them; but a name has an end, and no blanks around it."""
    if not 0 < len(target) <= _LONGEST_TARGET or target != target.strip() or not target.isprintable():
        return f"is no name of an app's attribute: 1 to {_LONGEST_TARGET} printable characters, no blanks around them"
    return None


def _prepared(rules: tuple[tuple[MappingRule, Expression], ...]) -> _Rules:
    picked: list[tuple[str, str]] = []
    computed: list[_Computed] = []
    for rule, expression in rules:
        if expression.path is not None and len(expression.path) == 1:
            picked.append((rule.target, str(expression.path[0])))
        else:
            computed.append(_Computed(rule.target, expression, frozenset(name for _, name in expression.references)))
    return _Rules(tuple(picked), tuple(computed))


def _carries(rule: _Computed, source: Profile) -> bool:
    """Whether the source says anything about the rule's target. A reference into an object must find its way to the last step."""
    if rule.expression.path is not None:
        return _leads(source, rule.expression.path)
    return not rule.names or not rule.names.isdisjoint(source)


def _leads(source: Profile, path: tuple[str | int, ...]) -> bool:
    value: Any = source
    for key in path:
        if value is None:
            return True
        if isinstance(value, list):
            if not isinstance(key, int) or key >= len(value):
                return False
            value = value[key]
        elif isinstance(value, abc.Mapping) and key in value:
            value = value[key]
        else:
            return False
    return True


def _evaluated(rule: _Computed, scope: Scope) -> Value:
    try:
        value = rule.expression(scope)
    except ExpressionFailure as failure:
        raise MappingFailure(rule.target, failure.message) from None
    return None if value == "" else value


def _login(value: Value) -> str:
    """The login that a value says: text without the blanks around it, or a whole number in digits, as with employee numbers."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 64:
        return str(value)
    if value is not None and not isinstance(value, str):
        raise UsernameFailure("failing_expression", "the username is neither text nor a whole number")
    login = (value or "").strip()
    if not login:
        raise UsernameFailure("empty_username", "the username is empty")
    return login
