"""JSON bodies, held to the letter of their type, with every fault told at once.

The framework reads a body leniently ("5" is a number to it) and stops at the first fault. A request here looks first: it decodes the body,
holds it against the type of the handler's `data`, and notes the fault; then it takes the faulty place out and looks again, until nothing
is wrong any more. Of a list, and of a part that lacks something it must have, the first fault stands for the rest. A NUL character is a fault
of any text, whatever the type says of it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from copy import deepcopy
from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from mastering.errors import Invalid, MalformedBody, UnsupportedMediaType

_MOST_FAULTS = 50
_DEEPEST = 100
"""Levels of a document; what people send has five."""
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
_HALF_A_PAIR = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_FAULT = re.compile(r"(?P<message>.*?)(?: - at `\$(?P<place>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"Object (?P<what>missing required|contains unknown) field `(?P<name>.*)`$", re.DOTALL)
_UNNAMED = "[...]"  # how the decoder writes an entry of an object whose keys are free
_MOST_ENTRIES = 1_000
_WORDS = {"missing required": "is required", "contains unknown": "is not a field of this resource"}


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is what the handler says it takes, or is refused with one cause per fault."""

    async def json(self) -> Any:
        """The decoded body. Raises `UnsupportedMediaType`, `MalformedBody` or `Invalid`."""
        said = self.headers.get("content-type", "application/json")
        kind = said.partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedMediaType(f"This endpoint takes application/json, not {kind[:100] or 'a body of no type'}")
        charset = _CHARSET.search(said)
        if charset is not None and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
            raise UnsupportedMediaType(f"charset {charset[1][:100]} is not read; send UTF-8")
        document = decoded(await self.body())
        declared = self.route_handler.parsed_data_field
        causes = _text_faults(document)
        causes += faults_of(document, declared.annotation) if declared is not None else []
        if causes:
            raise Invalid(f"Api validation failed: {causes[0].partition(':')[0]}", *causes)
        return document

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives. Raises `MalformedBody` where the sender hangs up before its end."""
        try:
            async for part in super().stream():
                yield part
        except InternalServerException as fault:
            raise MalformedBody("The body broke off before its end") from fault


def decoded(body: bytes) -> Any:
    """The document that a body says; raises `MalformedBody`."""
    try:
        return msgspec.json.decode(body)
    except RecursionError as fault:
        raise MalformedBody("The request body was not well-formed: it is nested too deeply") from fault
    except UnicodeDecodeError as fault:
        raise MalformedBody("The request body was not well-formed: it is not UTF-8 text") from fault
    except msgspec.DecodeError as fault:
        why = "it has half of a surrogate pair, which is no character" if _HALF_A_PAIR.search(body) else str(fault).partition(" - at ")[0]
        raise MalformedBody(f"The request body was not well-formed: {why}") from fault


def _text_faults(document: Any) -> list[str]:
    """The texts that no database keeps, by their fields. Raises `MalformedBody` where the document is deeper than anybody looks."""
    causes: list[str] = []
    ahead: list[tuple[Any, str, int]] = [(document, "", 0)]
    while ahead:
        value, place, depth = ahead.pop()
        if depth > _DEEPEST:
            raise MalformedBody("The request body was not well-formed: it is nested too deeply")
        if isinstance(value, dict):
            causes += [f"{place or 'body'}: has a name with a NUL character" for name in value if "\0" in name]
            ahead += [(part, f"{place}.{name}".lstrip("."), depth + 1) for name, part in value.items()]
        elif isinstance(value, list):
            ahead += [(part, f"{place}[{number}]", depth + 1) for number, part in enumerate(value)]
        elif isinstance(value, str) and "\0" in value:
            causes.append(f"{place or 'body'}: has a NUL character")
    return causes[:_MOST_FAULTS]


def faults_of(document: Any, kind: Any) -> list[str]:
    """Everything in a document that is not of the type, a sentence each that begins with the field."""
    causes: list[str] = []
    taken_out: list[list[str]] = []
    while len(causes) < _MOST_FAULTS:
        try:
            msgspec.convert(document, kind)
        except msgspec.ValidationError as fault:
            path, lacking, cause = _told(str(fault))
            entry = _entry_at_fault(document, path, str(fault), kind) if _UNNAMED in cause else None
            if entry is not None:
                path, cause = [*path, entry], cause.replace(_UNNAMED, f".{entry[:100]}", 1)
            if path not in taken_out:
                causes.append(cause)
            path = path[:-1] if lacking else path
            document = deepcopy(document)
            if not _take_out(document, path):
                return causes
            taken_out.append(path)
        else:
            return causes
    return causes


def _told(fault: str) -> tuple[list[str], bool, str]:
    """The path to what is wrong, as far as it can be followed; whether something is lacking there; and the sentence that tells of it."""
    located = _FAULT.match(fault)
    message, place = (located["message"], located["place"] or "") if located else (fault, "")
    path = [step for step in place.partition("[")[0].split(".") if step]
    written = place.lstrip(".")
    of_field = _FIELD.match(message)
    if of_field is None:
        return path, False, f"{written or 'body'}: {in_words(message)}"
    what, name = of_field["what"], of_field["name"]
    cause = f"{written}.{name}: {_WORDS[what]}".lstrip(".")
    if "[" in place:
        return path, False, cause
    return [*path, name], what == "missing required", cause


def _entry_at_fault(document: Any, path: list[str], fault: str, kind: Any) -> str | None:
    """The key of the entry, in the object at `path`, that makes the fault: the one that makes it alone, too."""
    found = _at(document, path)
    if not isinstance(found, dict) or len(found) > _MOST_ENTRIES:
        return None
    for key, value in found.items():
        try:
            msgspec.convert(_with(document, path, {key: value}), kind)
        except msgspec.ValidationError as again:
            if str(again) == fault:
                return str(key)
    return None


def _at(document: Any, path: list[str]) -> Any:
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _with(document: Any, path: list[str], part: Any) -> Any:
    """The document with another part at the end of the path; the original stays as it is."""
    return {**document, path[0]: _with(document[path[0]], path[1:], part)} if path else part


def in_words(message: str) -> str:
    """A decoder's message as the end of a sentence."""
    plain = message.replace("`", "").replace(" | null", "").partition(" - at $")[0]
    return plain[:1].lower() + plain[1:]


def _take_out(document: Any, path: list[str]) -> bool:
    """Take the place that a path leads to out of a document; whether there was one."""
    holder = _at(document, path[:-1])
    if not path or not isinstance(holder, dict) or path[-1] not in holder:
        return False
    del holder[path[-1]]
    return True
