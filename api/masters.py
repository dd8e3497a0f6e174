"""The ranked list of profile masters (API.md, /profile-masters)."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, get, put
from litestar.params import JSONBody
from msgspec import Struct
from sqlalchemy import Engine

from api.auth import actor_of
from mastering.catalog import ranks
from mastering.clock import now


class MasterView(Struct, rename="camel"):
    """A master; rank 1 is the highest."""

    app_id: str
    label: str
    rank: int


class Ranking(Struct):
    """The masters, best first."""

    masters: list[MasterView]


class Placed(Struct, rename="camel"):
    """An app in the wanted order. What the list says beside it may be sent along; the place is what counts."""

    app_id: str


class WantedRanking(Struct, forbid_unknown_fields=True):
    """The whole order: it names exactly the enabled masters."""

    masters: list[Placed]


class MasterController(Controller):
    """`/profile-masters`."""

    path = "/api/v1/profile-masters"
    tags = ("Profile masters",)

    @get(summary="The ranked masters", sync_to_thread=True)
    def read_ranking(self, request: Request[Any, Any, Any]) -> Ranking:
        """The masters, best first."""
        return _ranking(request.app.state.engine)

    @put(summary="Order the masters", sync_to_thread=True)
    def replace_ranking(self, request: Request[Any, Any, Any], data: JSONBody[WantedRanking]) -> Ranking:
        """Give the masters a new order. Profiles are mapped again by it, no user's status moves."""
        engine = request.app.state.engine
        ranks.reorder(engine, actor_of(request), now(), [placed.app_id for placed in data.masters])
        return _ranking(engine)


def _ranking(engine: Engine) -> Ranking:
    return Ranking([MasterView(master.app_id, master.label, master.rank) for master in ranks.read(engine)])
