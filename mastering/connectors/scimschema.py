"""What a SCIM server says that a user has (RFC 7643 §7), and a resource without what it does not know.

The standard lets a server pass over what it does not know (RFC 7644 §3.3), and most do. One that refuses it instead is asked for its schemas,
and told no more than these have: the attributes of a user, and the parts of each. What it requires and nobody has said stays unsaid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mastering.connectors.scimuser import fold

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_ALWAYS = frozenset({"schemas", "id", "externalid", "meta"})
"""What every resource has, whatever its schema says (RFC 7643 §3)."""
Parts = frozenset[str] | None
"""The parts of a complex attribute, casefolded; `None` for a plain one."""


@dataclass(frozen=True, slots=True)
class UserSchema:
    """The attributes of a user, by casefolded schema and attribute; `core` is the casefolded name of the core schema."""

    schemas: Mapping[str, Mapping[str, Parts]]
    core: str = CORE_USER.casefold()

    def fit(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """A resource with nothing in it that the server does not know."""
        kept: dict[str, Any] = {}
        for name, value in resource.items():
            key = name.casefold()
            if key in self.schemas and isinstance(value, Mapping):
                kept[name] = _attributes(value, self.schemas[key])
            elif key in _ALWAYS:
                kept[name] = value
            elif not key.startswith("urn:"):
                kept |= _attributes({name: value}, self.schemas[self.core])
        if isinstance(kept.get("schemas"), list):
            kept["schemas"] = [each for each in kept["schemas"] if str(each).casefold() in self.schemas]
        return kept

    def fit_patch(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        """A PATCH with no operation on what the server does not know, and the values of the others cut to what it does."""
        operations = []
        for operation in patch["Operations"]:
            schema, attribute, part = self._place(operation["path"])
            known = self.schemas.get(schema, {})
            parts = known.get(attribute)
            if attribute not in known or (part and parts is not None and part not in parts):
                continue
            value = operation.get("value")
            operations.append(operation if value is None or part else {**operation, "value": _value(value, parts)})
        return {**patch, "Operations": operations}

    def _place(self, path: str) -> tuple[str, str, str]:
        """Schema, attribute and part of a path, casefolded."""
        folded = path.casefold()
        schema = next((each for each in self.schemas if folded.startswith(f"{each}:")), self.core)
        attribute, _, part = folded.removeprefix(f"{schema}:").partition(".")
        return schema, attribute, part


def schema_in(document: Mapping[str, Any]) -> UserSchema | None:
    """What an answer of `/Schemas` says of users; `None` where it says nothing of the core schema."""
    listed = fold(document).get("resources")
    found: dict[str, Mapping[str, Parts]] = {}
    for each in listed if isinstance(listed, list) else []:
        schema = fold(each) if isinstance(each, dict) else {}
        attributes = schema.get("attributes")
        if isinstance(schema.get("id"), str) and isinstance(attributes, list):
            found[str(schema["id"]).casefold()] = _named(attributes)
    return UserSchema(found) if CORE_USER.casefold() in found else None


def _named(attributes: Sequence[Any]) -> dict[str, Parts]:
    found: dict[str, Parts] = {}
    for each in attributes:
        attribute = fold(each) if isinstance(each, dict) else {}
        if isinstance(attribute.get("name"), str):
            parts = attribute.get("subattributes")
            named = _named(parts) if isinstance(parts, list) and parts else None
            found[str(attribute["name"]).casefold()] = None if named is None else frozenset(named)
    return found


def _attributes(values: Mapping[str, Any], known: Mapping[str, Parts]) -> dict[str, Any]:
    return {name: _value(value, known[name.casefold()]) for name, value in values.items() if name.casefold() in known}


def _value(value: Any, parts: Parts) -> Any:
    if parts is None:
        return value
    if isinstance(value, Mapping):
        return {name: part for name, part in value.items() if name.casefold() in parts}
    return [_value(each, parts) for each in value] if isinstance(value, list) else value
