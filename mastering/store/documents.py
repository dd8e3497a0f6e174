"""JSON in the database: one encoder and one decoder, and the canonical form that history hashes.

Canonical means: keys sorted, no blanks, UTF-8. The same document always has the same bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()


def dump(document: Any) -> str:
    """A document as JSON text."""
    return _encoder.encode(document).decode()


def canonical(document: Any) -> bytes:
    """A document in the canonical form that digests are taken of."""
    return _canonical.encode(document)


def load(text: str | bytes) -> Any:
    """A document from JSON text."""
    return _decoder.decode(text)
