"""One received line: at a glance, by its mark, and in full (SPEC §5.2).

The mark is made while lines come in and kept beside them: whether a line says anything new is then told without reading it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import UNSET

from mastering.connectors.lines import Line, decode_unusable, leading_external_id
from mastering.rules.record import MARK, Record, Unusable, external_id_of, mark_of
from mastering.store.documents import canonical

_NO_MEMBER = "Object contains unknown field `"
"""How the decoder begins what it says of a member that it does not know; the name follows."""
_TWICE = "duplicate_external_id"
_NO_MARK = bytes(MARK)
"""Of a line that has to be read."""


class _Head(msgspec.Struct):
    externalId: Any = None  # noqa: N815 - the wire's word
    active: Any = UNSET  # left out is not null


class _Body(_Head, forbid_unknown_fields=True):
    profile: Any = msgspec.field(default_factory=dict)


_head = msgspec.json.Decoder(_Head).decode
_body = msgspec.json.Decoder(_Body).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def digest_of(payload: bytes) -> bytes:
    """The digest by which an unchanged record is known again."""
    return sha256(payload).digest()[:16]


def marks_of(payloads: Iterable[bytes]) -> bytes:
    """The marks of lines, one after the other. A snapshot's line without `active` says active; a delta's lines are not known by marks."""
    return b"".join(map(_mark_of, payloads))


def _mark_of(payload: bytes) -> bytes:
    external_id, active = glance(payload)
    if external_id is None or not (active is UNSET or isinstance(active, bool)):
        return _NO_MARK
    return mark_of(digest_of(payload), active=active is not False)


_MALFORMED = object()


def glance(payload: bytes) -> tuple[str | None, Any]:
    """The external id and what `active` says. A line that breaks off further on still names its account if it begins with it."""
    if payload[:1] != b"{":
        return external_id_of(decode_unusable(payload)[2]), _MALFORMED
    try:
        head = _head(payload)
    except _UNREADABLE:
        return external_id_of(leading_external_id(payload)), _MALFORMED
    return external_id_of(head.externalId), head.active


def content_of(payload: bytes) -> Any:
    """What a row says, comparable: the order of keys means nothing, while 1 and true, which Python takes for equal, differ."""
    try:
        body = _body(payload)
    except _UNREADABLE:
        return payload
    return repr(body.active), canonical(body.profile)


def decode(line: Line) -> Record | Unusable:
    """A line as a record, or why it cannot be one."""
    if line.payload[:1] != b"{":
        reason, detail, _ = decode_unusable(line.payload)
        return _unusable(line, reason.value, detail)
    try:
        body = _body(line.payload)
    except RecursionError:
        return _unusable(line, "not_json", "the record is nested too deeply")
    except UnicodeDecodeError:
        return _unusable(line, "not_utf8", "the line is not UTF-8 text")
    except msgspec.DecodeError as error:
        told, _, name = str(error).partition(_NO_MEMBER)
        if told or not name:
            return _unusable(line, "not_json", str(error))
        detail = f"{name.partition('`')[0]}: is no member of a record, which has externalId, active and profile"
        return _unusable(line, "unknown_member", detail)
    external_id = external_id_of(body.externalId)
    if external_id is None:
        return _unusable(line, "no_external_id", "externalId: must be a text of 1 to 512 characters, or an integer")
    if body.active is not UNSET and not isinstance(body.active, bool):
        return _unusable(line, "bad_active", "active: must be true or false")
    if not isinstance(body.profile, dict):
        return _unusable(line, "bad_profile", "profile: must be an object")
    return Record(line.number, external_id, None if body.active is UNSET else body.active, body.profile, digest_of(line.payload))


def _unusable(line: Line, reason: str, detail: str) -> Unusable:
    external_id, active = glance(line.payload)
    return Unusable(line.number, reason, detail, external_id, leaver=active is False)


def twice(line: Line) -> Unusable:
    """A line whose external id others of the run have, too, and say something else of."""
    external_id, _ = glance(line.payload)
    detail = "externalId: several records of this import have this external id and differ"
    return Unusable(line.number, _TWICE, detail, external_id)
