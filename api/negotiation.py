"""What a client will take: a guard that refuses a request whose answer it has ruled out."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures.headers import Accept
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.status_codes import HTTP_406_NOT_ACCEPTABLE

OTHER_THAN_JSON = {"other_than_json": True}
"""The options of a handler that answers with something else."""


def acceptable(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse, with 406, to answer in JSON to who does not accept it."""
    accepted = connection.headers.get("accept")
    if not accepted or handler.opt.get("other_than_json"):
        return
    if Accept(accepted).best_match(["application/json"]) is None:
        raise HTTPException(status_code=HTTP_406_NOT_ACCEPTABLE)
