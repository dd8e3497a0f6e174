"""SCIM paths as names of attributes (RFC 7644 §3.10, §3.5.2): what a User resource has at `emails[type eq "work"].value`.

A mapping may read an app's attribute by its path, besides the flat names of `scimuser`: `appuser["name.givenName"]`, or, inside an object
that the path leads to, `appuser.name.givenName`. The profile then carries that attribute under the path as it was written.

================================================================  ==================================================================
`title`, `name.givenName`                                         an attribute, or a part of one
`emails.value`                                                    of several values the primary one, else the first
`emails[type eq "work"].value`                                    of those that the filter finds the primary one, else the first
`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`      a whole extension
`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`  an attribute of one
================================================================  ==================================================================

What a resource does not carry is not in the profile; a filter that finds nothing among values that it does carry gives null. Names and
texts are compared without regard to case (RFC 7643 §2.1). `meta` cannot be read: it changes with every writing, whoever writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import UNSET
from scim2_models import Path
from scim2_models.exceptions import SCIMException
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

CORE = "urn:ietf:params:scim:schemas:core:2.0:user"
_MOST_PATHS, _LONGEST = 500, 400

Place = AttrPath | ValuePath
Paths = Mapping[str, Place]
"""Paths by how they were written."""


def paths_in(names: Iterable[str]) -> dict[str, Place]:
    """Those of these names of attributes that can be paths of a User resource. Which of them lead anywhere, each resource shows."""
    found: dict[str, Place] = {}
    for name in sorted(names)[:_MOST_PATHS]:
        if len(name) > _LONGEST:
            continue
        try:
            node = Path(name).ast
        except (SCIMException, ValueError):
            continue
        if isinstance(node, AttrPath | ValuePath) and _attribute(node).attr.casefold() != "meta":
            found[name] = node
    return found


def picked(paths: Paths, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a resource, its attributes under casefolded names, has at these paths."""
    found = {name: _at(node, attributes) for name, node in paths.items()}
    return {name: value for name, value in found.items() if value is not UNSET}


def _attribute(node: Place) -> AttrPath:
    return node.attr_path if isinstance(node, ValuePath) else node


def _at(node: Place, attributes: Mapping[str, Any]) -> Any:
    """The value at a path; UNSET where the resource does not carry it."""
    if isinstance(node, ValuePath):
        values = _carried(node.attr_path, attributes)
        if values is UNSET or values is None:
            return values
        fitting = (
            [entry for entry in values if isinstance(entry, dict) and _fits(node.val_filter, _fold(entry))]
            if isinstance(values, list)
            else []
        )
        chosen = _first(fitting)
        return chosen if chosen is None or node.sub_attr is None else _fold(chosen).get(node.sub_attr.casefold())
    value = _carried(node, attributes)
    if node.sub_attr is None or value is None or value is UNSET:
        return value
    if isinstance(value, list):
        chosen = _first([entry for entry in value if isinstance(entry, dict)])
        return None if chosen is None else _fold(chosen).get(node.sub_attr.casefold())
    return _fold(value).get(node.sub_attr.casefold(), UNSET) if isinstance(value, dict) else UNSET


def _carried(path: AttrPath, attributes: Mapping[str, Any]) -> Any:
    """The attribute itself, in the core schema or in an extension; a path may also name an extension as a whole."""
    if path.uri is None or path.uri.casefold() == CORE:
        return attributes.get(path.attr.casefold(), UNSET)
    whole = attributes.get(f"{path.uri}:{path.attr}".casefold(), UNSET)
    extension = attributes.get(path.uri.casefold())
    return _fold(extension).get(path.attr.casefold(), whole) if isinstance(extension, dict) else whole


def _first(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The entry marked primary, else the first one."""
    return next((entry for entry in entries if _fold(entry).get("primary") is True), entries[0] if entries else None)


def _fold(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name.casefold(): value for name, value in values.items()}


def _fits(node: FilterNode, entry: Mapping[str, Any]) -> bool:
    """Whether one value of several is what a filter looks for."""
    match node:
        case LogicalExpr(op=op, terms=terms):
            return (all if op is LogicalOperator.and_ else any)(_fits(term, entry) for term in terms)
        case Not(expr=inner):
            return not _fits(inner, entry)
        case Present(attr_path=path):
            return entry.get(path.attr.casefold()) not in (None, "", [])
        case Comparison(attr_path=path, op=op, value=wanted):
            return _compares(op, entry.get(path.attr.casefold()), wanted)
    return False


def _compares(op: CompareOperator, value: Any, wanted: Any) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        value, wanted = value.casefold(), wanted.casefold()
    if op is CompareOperator.eq:
        return type(value) is type(wanted) and bool(value == wanted)
    if op is CompareOperator.ne:
        return type(value) is not type(wanted) or bool(value != wanted)
    if not isinstance(value, str) or not isinstance(wanted, str):
        return _ordered(op, value, wanted) if _are_numbers(value, wanted) else False
    if op is CompareOperator.co:
        return wanted in value
    if op is CompareOperator.sw:
        return value.startswith(wanted)
    return value.endswith(wanted) if op is CompareOperator.ew else _ordered(op, value, wanted)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _ordered(op: CompareOperator, value: Any, wanted: Any) -> bool:
    orders = {
        CompareOperator.gt: value > wanted,
        CompareOperator.ge: value >= wanted,
        CompareOperator.lt: value < wanted,
        CompareOperator.le: value <= wanted,
    }
    return bool(orders.get(op, False))
