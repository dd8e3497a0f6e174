"""JSON: an array of records, or an object with that array in `records`. For bodies that fit into memory.

Records go on as they came, but for the blanks between their tokens, so that pretty printing is no change of content.
"""

import msgspec

from mastering.connectors.document import MAX_DOCUMENT, Document
from mastering.connectors.lines import MAX_LINE, Line, Unusable, leading_external_id, refusal, too_long


class _Records(msgspec.Struct):
    records: list[msgspec.Raw]


_decoder = msgspec.json.Decoder(list[msgspec.Raw] | _Records)


class JsonIntake:
    """One body of `application/json`, of `limit` bytes at most."""

    def __init__(self, limit: int = MAX_DOCUMENT) -> None:
        self._document = Document(limit)

    def feed(self, data: bytes) -> list[Line]:
        """Nothing yet: there are no records before the document is complete."""
        self._document.feed(data)
        return []

    def close(self) -> list[Line]:
        """All the records. Raises MalformedBody if the document is not JSON from its first byte to its last, or is no list of records."""
        found = self._document.read(_decoder, "an array of records, or an object with that array in `records`")
        records = found.records if isinstance(found, _Records) else found
        return [_line(number, raw) for number, raw in enumerate(records, 1)]


def _line(number: int, raw: msgspec.Raw) -> Line:
    try:
        payload = msgspec.json.format(bytes(raw), indent=-1)
    except RecursionError:  # what the document's decoder just let pass, a little deeper in the program
        return refusal(number, Unusable.not_json, "the element is nested too deeply", leading_external_id(bytes(raw)))
    if len(payload) > MAX_LINE:
        return too_long(number, leading_external_id(payload))
    if not payload.startswith(b"{"):
        return refusal(number, Unusable.not_an_object, "the element is not an object")
    return Line(number, payload)
