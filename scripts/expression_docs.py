"""The page of the expression language: every function with its arguments and examples, whose results are what the program answers.

`scripts/generate_docs.py` writes the page and a test compares it. A function without an example, and an example of a function that does
not exist, are refused here.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from mastering.rules.expressions import Scope, compile_expression
from mastering.rules.expressions.functions import FUNCTIONS
from mastering.rules.expressions.values import MAX_DEPTH, MAX_ITEMS, MAX_SOURCE_LENGTH, MAX_TEXT_LENGTH

JANE = {
    "firstName": "Jane",
    "lastName": "Smith",
    "email": "jane.smith@example.com",
    "department": "Sales",
    "level": 5,
    "teams": ["red", "blue"],
}
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

OPERATORS = (
    ('"text"', "A text, in single or double quotes. A quote inside is doubled; a backslash is only a backslash.", "'it''s'"),
    ("`{a, b}`", "A list.", "{1, 'two'}"),
    ("`x[0]`, `x['a b']`, `x.y`", "A part of a list or an object; what is not there is null.", "appuser.teams[1]"),
    ("`+`", "Joins when a text is among the terms, else adds.", "appuser.firstName + ' ' + appuser.lastName"),
    ("`-`", "Subtracts numbers.", "appuser.level - 1"),
    ("`==` `eq`, `!=` `ne`", "Equal or not; null and the empty text are equal, a text and a number are not.", "appuser.level eq '5'"),
    ("`<` `lt`, `<=` `le`, `>` `gt`, `>=` `ge`", "Order; null comes before everything.", "appuser.level >= 5"),
    (
        "`and` `&&`, `or` <code>&#124;&#124;</code>, `not` `!`",
        "Conditions; words in any case.",
        "appuser.level > 3 AND NOT appuser.level == 4",
    ),
    ("`c ? x : y`", "x if the condition holds, else y; chains need no parentheses.", "appuser.level > 3 ? 'senior' : 'junior'"),
    ("`x ?: y`", "x, or y where x is null or empty.", "appuser.nickName ?: appuser.firstName"),
)

EXAMPLES = {
    "String.append": ("text, suffix", "String.append('This is', ' a test')"),
    "String.join": ("separator, texts…", "String.join('-', 'a', null, 'b')"),
    "String.len": ("text", "String.len('This')"),
    "String.removeSpaces": ("text", "String.removeSpaces('This is a test')"),
    "String.replace": ("text, match, replacement", "String.replace('This is a test', 'is', 'at')"),
    "String.replaceFirst": ("text, match, replacement", "String.replaceFirst('This is a test', 'is', 'at')"),
    "String.stringContains": ("text, part", "String.stringContains('This is a test', 'test')"),
    "String.startsWith": ("text, part", "String.startsWith(appuser.email, 'jane')"),
    "String.stringSwitch": (
        "text, default, part, value, …",
        "String.stringSwitch(appuser.department, 'other', 'Sal', 'front', 'IT', 'back')",
    ),
    "String.substring": ("text, start, end", "String.substring('This is a test', 2, 9)"),
    "String.substringAfter": ("text, mark", "String.substringAfter(appuser.email, '@')"),
    "String.substringBefore": ("text, mark", "String.substringBefore(appuser.email, '@')"),
    "String.toLowerCase": ("text", "String.toLowerCase('This')"),
    "String.toUpperCase": ("text", "String.toUpperCase('This')"),
    "Convert.toInt": ("text or number", "Convert.toInt('1234')"),
    "Convert.toNum": ("text", "Convert.toNum('3.141')"),
    "Arrays.add": ("list, item", "Arrays.add(appuser.teams, 'green')"),
    "Arrays.remove": ("list, item", "Arrays.remove(appuser.teams, 'red')"),
    "Arrays.clear": ("list", "Arrays.clear(appuser.teams)"),
    "Arrays.get": ("list, position", "Arrays.get(appuser.teams, 0)"),
    "Arrays.flatten": ("values…", "Arrays.flatten('a', {'b', {'c'}}, 'd')"),
    "Arrays.contains": ("list, item", "Arrays.contains(appuser.teams, 'red')"),
    "Arrays.size": ("list", "Arrays.size(appuser.teams)"),
    "Arrays.isEmpty": ("list", "Arrays.isEmpty(appuser.absent)"),
    "Arrays.toCsvString": ("list", "Arrays.toCsvString({'This', 'is', ' a ', 'test'})"),
    "Time.now": ("zone, pattern", "Time.now('Europe/Berlin', 'yyyy-MM-dd HH:mm')"),
    "Time.fromWindowsToIso8601": ("timestamp", "Time.fromWindowsToIso8601('131210000000000000')"),
    "Time.fromUnixToIso8601": ("timestamp", "Time.fromUnixToIso8601('1480000000')"),
    "Time.fromStringToIso8601": ("text, pattern", "Time.fromStringToIso8601('31/12/2026', 'dd/MM/yyyy')"),
    "Time.fromIso8601ToWindows": ("time", "Time.fromIso8601ToWindows('2026-03-01T12:30:00.000Z')"),
    "Time.fromIso8601ToUnix": ("time", "Time.fromIso8601ToUnix('2026-03-01T12:30:00.000Z')"),
    "Time.fromIso8601ToString": ("time, pattern", "Time.fromIso8601ToString('2026-03-01T12:30:00.000Z', 'd MMM yyyy')"),
    "Iso3166Convert.toAlpha2": ("country", "Iso3166Convert.toAlpha2('DEU')"),
    "Iso3166Convert.toAlpha3": ("country", "Iso3166Convert.toAlpha3('DE')"),
    "Iso3166Convert.toNumeric": ("country", "Iso3166Convert.toNumeric('DE')"),
    "Iso3166Convert.toName": ("country", "Iso3166Convert.toName('276')"),
}

NULLS = (
    ("a reference to what is not there", "appuser.absent.further"),
    ("a part among others that say something", "appuser.firstName + ' ' + appuser.nickName"),
    ("nothing but nulls, however they are joined", "appuser.nickName + ', ' + appuser.title"),
    ("its length", "String.len(appuser.nickName)"),
    ("as a condition", "appuser.nickName ? 'yes' : 'no'"),
    ("the empty text", "appuser.nickName == ''"),
)


def answer(text: str) -> str:
    """What an expression says of Jane, as JSON."""
    return json.dumps(compile_expression(text)(Scope(JANE, JANE, NOW)), ensure_ascii=False)


WHAT_IT_READS = """\
Mappings and usernames are written in the part of Okta's expression language that mappings use. An expression reads a profile and says a
value. What it may read depends on where it stands: `appuser` is the app's profile, in inbound mappings and usernames; `user` is the user's
profile, in outbound mappings, and in usernames the profile that the mapping has just made; `source` is whichever profile a mapping reads.
`appUser` is `appuser`. Naming an app, as in `salesforce.email`, is not supported, nor are groups, managers and sessions."""

SPELLING = """\
Names of attributes and functions are spelled exactly; the words of operators, `true`, `false` and `null` may be in any case. `not` holds the
whole comparison after it, `!` the next operand only."""

OF_ALL_FUNCTIONS = """\
The old spellings without `String.` of OLD are understood, too. Positions count from 0, and one beyond the end of a text is its end. Nothing
is a regular expression. A text in a list's place is a comma-separated list."""

IN_USERNAMES = "In a username every part counts: one part that is null leaves no username at all, and the record is invalid."

REFUSALS = """\
## What is refused, and what fails

A text that does not parse, a function that does not exist and a wrong number of arguments are refused when they are saved, with the position,
counted from 0. A saved expression that has no value for a profile (a word that is to be a number, a text compared with a number) makes that
record invalid, and the record's row says which attribute it was."""


def page(made: str) -> str:
    """The page; `made` is the line that says where it comes from."""
    parts = [
        f"# The expression language\n\n{made}",
        WHAT_IT_READS,
        f"The examples speak of {_code(json.dumps(JANE))} at {NOW:%Y-%m-%dT%H:%MZ}, and show what the program answers.",
        "## Operators\n\n" + _table(("written", "meaning", "example", "value"), _operators()),
        SPELLING,
        "## Functions\n\n" + _table(("function", "arguments", "example", "value"), _functions()),
        OF_ALL_FUNCTIONS.replace("OLD", ", ".join(_code(name) for name in FUNCTIONS if "." not in name)),
        "## Null\n\nAn empty text is null. Null is:\n\n" + _table(("where", "expression", "value"), _nulls()),
        IN_USERNAMES,
        REFUSALS,
        _bounds(),
    ]
    return "\n\n".join(parts) + "\n"


def _bounds() -> str:
    return (
        f"Expressions are bounded: {MAX_SOURCE_LENGTH:,} characters, {MAX_DEPTH} levels deep, texts they make {MAX_TEXT_LENGTH:,} characters,\n"
        f"lists they make or look through {MAX_ITEMS:,} items, whole numbers 64 bits. They cannot loop, name things, or reach anything but the\n"
        "profiles they are given."
    )


def _operators() -> Iterator[tuple[str, ...]]:
    return ((written, meaning, _code(example), _code(answer(example))) for written, meaning, example in OPERATORS)


def _functions() -> Iterator[tuple[str, ...]]:
    named = [name for name in FUNCTIONS if "." in name]
    if set(named) != set(EXAMPLES):
        raise ValueError(f"functions and examples differ: {set(named) ^ set(EXAMPLES)}")
    return ((_code(name), EXAMPLES[name][0], _code(EXAMPLES[name][1]), _code(answer(EXAMPLES[name][1]))) for name in named)


def _nulls() -> Iterator[tuple[str, ...]]:
    return ((where, _code(text), _code(answer(text))) for where, text in NULLS)


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ("---",) * len(head), *rows))
