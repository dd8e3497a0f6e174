"""Lists: `limit`, an opaque `after`, and a `Link` header that leads to the page itself and to the next (API.md, habits)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from litestar import Request, Response

T = TypeVar("T")

LAST = 2**63 - 1
"""The greatest `after` where it is a number: databases count no further."""
LAST_OF_A_CHAIN = 2**31 - 1
"""The greatest where what is numbered is one subject's events, or checkpoints: their columns hold no more, and PostgreSQL says so."""


def linked(request: Request[Any, Any, Any], items: Sequence[T], after: str | None) -> Response[list[T]]:
    """A page. `after` is where the next one begins; `None` on the last."""
    return Response(list(items), headers={"Link": links(request, after)})


def links(request: Request[Any, Any, Any], after: str | None) -> str:
    """The `Link` header of a page: the same address with the same questions, and the next page's."""
    address = f"{str(request.base_url).rstrip('/')}{quote(request.scope['path'])}"
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    here = [("after", value) for value in request.query_params.getall("after", [])]
    found = [_link(address, asked + here, "self")]
    if after is not None:
        found.append(_link(address, [*asked, ("after", after)], "next"))
    return ", ".join(found)


def _link(address: str, query: list[tuple[str, str]], rel: str) -> str:
    return f'<{address}{"?" if query else ""}{urlencode(query)}>; rel="{rel}"'
