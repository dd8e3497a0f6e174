"""What every decoder hands on: numbered record lines.

A body arrives in one of four formats and leaves this package in one: NDJSON, a JSON object to a line. That is what a run stores while it
receives and what planning reads back, so a restart loses nothing and the rules never meet a format.

Two rules hold for every payload, whatever was sent:

* Its first byte says what it is. ``{`` opens a record that planning has yet to read. ``!`` opens a *refusal*: here was a record, and it
  cannot be used. No sender can forge a refusal, because a line of theirs that does not start with ``{`` becomes one itself.
* It has no line break in it, and a record has at most `MAX_LINE` bytes.

A refusal is a row of the plan like any other, INVALID with its line number and reason (SPEC §5.2). It carries the external id wherever that
is beyond doubt, because an account that is named, even by an unusable record, is not missing. Where there is doubt it carries none:
a wrong name would leave the right account to be taken for gone.
"""

import re
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

MAX_LINE = 1_048_576
"""Bytes of one record. A longer one is refused, and passes through without ever being held whole."""

MAX_KNOWN_ID = 1_000
"""Characters of an external id that a refusal repeats. Nobody's key is longer, and a refusal should not be long."""

_LEADING_ID = re.compile(rb'\{\s*"externalId"\s*:\s*("(?:[^"\\\x00-\x1f]|\\.){1,6000}"|-?[0-9]{1,1000})\s*[,}]')


class Line(NamedTuple):
    """One record of a body. `number` counts from 1: lines in NDJSON and CSV, places in the array in JSON and SCIM."""

    number: int
    payload: bytes


class Unusable(StrEnum):
    """Why a record could not be decoded."""

    not_utf8 = "not_utf8"
    line_too_long = "line_too_long"
    not_json = "not_json"
    not_an_object = "not_an_object"
    not_csv = "not_csv"
    wrong_number_of_columns = "wrong_number_of_columns"
    nul_character = "nul_character"
    unsupported_operation = "unsupported_operation"


class _Record(msgspec.Struct, rename="camel", kw_only=True):
    external_id: object = UNSET
    active: object = UNSET
    profile: dict[str, object]


class _Refusal(msgspec.Struct, rename="camel", omit_defaults=True):
    unusable: Unusable
    detail: str
    external_id: str | None = None


_encode = msgspec.json.Encoder().encode
_decode_refusal = msgspec.json.Decoder(_Refusal).decode


def record_line(
    number: int, profile: dict[str, object], external_id: object | UnsetType = UNSET, active: object | UnsetType = UNSET
) -> Line:
    """The canonical line of a record that did not come as one. What is UNSET is left out.

    Raises UnicodeEncodeError if a string is not text that UTF-8 can write.
    """
    payload = _encode(_Record(external_id=external_id, active=active, profile=profile))
    if len(payload) > MAX_LINE:
        return too_long(number, external_id if isinstance(external_id, str) else None)
    return Line(number, payload)


def refusal(number: int, reason: Unusable, detail: str, external_id: str | None = None) -> Line:
    """The line of a record that cannot be used: `detail` is a sentence for the person who sent it."""
    if external_id is not None and len(external_id) > MAX_KNOWN_ID:
        external_id = None
    return Line(number, b"!" + _encode(_Refusal(reason, detail, external_id or None)))


def too_long(number: int, external_id: str | None = None) -> Line:
    """The refusal of a record of more than `MAX_LINE` bytes."""
    return refusal(number, Unusable.line_too_long, f"the record is longer than {MAX_LINE} bytes", external_id)


def decode_unusable(payload: bytes) -> tuple[Unusable, str, str | None]:
    """Reason, detail and external id, if known, of a payload that begins with ``!``."""
    found = _decode_refusal(payload[1:])
    return found.unusable, found.detail, found.external_id


def leading_external_id(text: bytes) -> str | None:
    """The external id of a JSON record that cannot be read to its end: too long, cut off, or broken further on.

    Known only where it is the first member, as it is in every record that we write ourselves, and is a string or an integer.
    """
    found = _LEADING_ID.match(text)
    if found is None:
        return None
    try:
        value: object = msgspec.json.decode(found[1])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return str(value)
