"""`ETag` and `If-Match`: a change is made to what its author saw, or refused (API.md, habits).

The tag is the version of the row that is shown. It is compared inside the transaction of the change, by a check that the walk is handed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from litestar import Request

from mastering.errors import PreconditionFailed


class Versioned(Protocol):
    """Anything that counts its changes."""

    version: int


def etag(version: int) -> str:
    """The tag of a version."""
    return f'"{version}"'


def expected(request: Request[Any, Any, Any]) -> Callable[[Versioned], None]:
    """The check that a request's `If-Match` asks for; it raises `PreconditionFailed`. Without the header it finds nothing wrong."""
    wanted = request.headers.get("if-match")

    def check(found: Versioned) -> None:
        if wanted is not None and wanted.strip() != "*" and etag(found.version) not in _tags(wanted):
            raise PreconditionFailed("The resource has changed since it was read", f"If-Match: the version is now {etag(found.version)}")

    return check


def _tags(header: str) -> set[str]:
    """The tags a header lists; one that a proxy has weakened on the way counts as it was given out."""
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
