"""The expression language alone: the expressions that mappings commonly have, in turn, on the people of the imports."""

from __future__ import annotations

from time import perf_counter

from bench.people import profile
from mastering.rules.expressions import Scope, compile_expression

_COMMON = (
    "appuser.department",
    "appuser.firstName + ' ' + appuser.lastName",
    "String.toLowerCase(appuser.lastName)",
    "String.substringBefore(appuser.email, '@')",
    "String.substring(appuser.firstName, 0, 1) + appuser.lastName",
    "appuser.department == 'Sales' ? 'S' : 'X'",
    "appuser.title ?: 'Employee'",
    "appuser.countryCode eq 'DE' and appuser.city != null",
    "String.stringSwitch(appuser.department, 'other', 'Sales', 'front', 'Support', 'front', 'Legal', 'back')",
    "Convert.toInt(appuser.employeeNumber)",
)


def rate(count: int) -> float:
    """Evaluations a second. They are compiled beforehand, as they are when a mapping is loaded."""
    compiled = [compile_expression(text) for text in _COMMON]
    scopes = [Scope(person, person) for person in map(profile, range(max(1, count // len(compiled))))]
    started = perf_counter()
    for scope in scopes:
        for expression in compiled:
            expression(scope)
    return len(scopes) * len(compiled) / (perf_counter() - started)
