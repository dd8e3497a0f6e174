"""The mouth of an import: from the bytes of a request to numbered record lines (SPEC §5.1, API.md "Starting an import").

    intake = open_intake(content_type, policy.csv)
    for chunk in body:
        store(intake.feed(chunk))
    store(intake.close())

Bytes are pushed in as they arrive, cut anywhere; the lines that come out, one call after the other, do not depend on the cuts. What a
line is, and how an unusable one is told from a record, is written at the top of `lines`.

A body fails as a whole only where nobody could say any more which records it holds: MalformedBody, and the run changes nothing. A record
that cannot be read, among others that can, is a line of its own and the import goes on.
"""

from collections.abc import Iterable
from email.message import Message
from typing import Protocol

from mastering.connectors.csvfile import CsvIntake
from mastering.connectors.jsonbody import JsonIntake
from mastering.connectors.lines import MAX_LINE, Line, Unusable, decode_unusable, leading_external_id
from mastering.connectors.ndjson import NdjsonIntake
from mastering.connectors.scim import ScimIntake
from mastering.connectors.scimpaths import paths_in
from mastering.errors import UnsupportedMediaType
from mastering.rules.policy import Csv

__all__ = ["MAX_LINE", "Intake", "Line", "Unusable", "decode_unusable", "leading_external_id", "open_intake"]


class Intake(Protocol):
    """A decoder of one body. Both calls raise MalformedBody; after that, or after `close`, it is of no more use."""

    def feed(self, data: bytes) -> list[Line]:
        """Take the next bytes; give the lines that are complete by now, in order."""

    def close(self) -> list[Line]:
        """The body has ended: give the lines that are left, if the body as a whole can be read."""


def open_intake(content_type: str, csv: Csv, names: Iterable[str] = ()) -> Intake:
    """The decoder for a `Content-Type`, its parameters included. `csv` is asked only for `text/csv`.

    `names`: attributes that the app's mapping reads, of which SCIM finds those that are paths.

    Raises UnsupportedMediaType for a type that no decoder speaks, and for a charset other than UTF-8.
    """
    header = Message()
    header["Content-Type"] = content_type
    charset = header.get_content_charset("utf-8")
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMediaType(f"charset {charset} is not read; send UTF-8")
    match header.get_content_type():
        case "application/x-ndjson":
            return NdjsonIntake()
        case "application/json":
            return JsonIntake()
        case "application/scim+json":
            return ScimIntake(paths=paths_in(names))
        case "text/csv":
            return CsvIntake(csv)
        case _:
            raise UnsupportedMediaType(
                f"{content_type!r} is not read; send application/x-ndjson, application/json, text/csv or application/scim+json"
            )
