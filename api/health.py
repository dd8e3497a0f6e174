"""How the service is: `/health/live` (the process answers), `/health/ready` (the database answers, too), `/metrics` (Prometheus)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog
from litestar import Controller, Request, Response, get
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_503_SERVICE_UNAVAILABLE
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.auth import PUBLIC
from api.negotiation import OTHER_THAN_JSON
from mastering.rules.lifecycle import Status
from mastering.rules.runs import RunStatus
from mastering.store import figures
from mastering.store.engine import reading

_log = structlog.get_logger("mastering.api")

_EXPOSITION = CONTENT_TYPE_LATEST.partition("; charset")[0]  # the framework adds the charset


class Health(Struct):
    """All is well; what is not is an error."""

    status: str


class HealthController(Controller):
    """For those who watch over the service."""

    tags = ("Health",)

    @get("/health/live", opt=PUBLIC, security=[], summary="Does the process answer?", sync_to_thread=False)
    def live(self) -> Health:
        """It does."""
        return Health("ok")

    @get("/health/ready", opt=PUBLIC, security=[], summary="Can it work?", sync_to_thread=True)
    def ready(self, request: Request[Any, Any, Any]) -> Health:
        """Ask the database something; 503 if it does not answer."""
        try:
            with reading(request.app.state.engine) as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError as fault:
            _log.error("the database does not answer", exc_info=fault)
            raise HTTPException(status_code=HTTP_503_SERVICE_UNAVAILABLE) from fault
        return Health("ok")

    @get("/metrics", opt=OTHER_THAN_JSON, media_type=_EXPOSITION, summary="Figures for Prometheus", sync_to_thread=True)
    def metrics(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Users and import runs by status, accounts that wait for review, and the time that requests took."""
        return Response(generate_latest(request.app.state.registry), media_type=_EXPOSITION)


class _Figures(Collector):
    """What the database says at the moment it is asked. A status that nobody stands in counts nought."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        with reading(self._engine) as session:
            users, runs, waiting = figures.users_by_status(session), figures.runs_by_status(session), figures.waiting(session)
        yield _by_status("mastering_users", "Users by status.", {status.value: users.get(status.value, 0) for status in Status})
        yield _by_status(
            "mastering_import_runs", "Import runs by status.", {status.value: runs.get(status.value, 0) for status in RunStatus}
        )
        yield GaugeMetricFamily("mastering_waiting_accounts", "Accounts that wait for review.", value=waiting)

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: the database is asked when the figures are."""
        return iter(())


def _by_status(name: str, meaning: str, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=["status"])
    for status, count in counts.items():
        family.add_metric([status], count)
    return family


def watch(registry: CollectorRegistry, engine: Engine) -> None:
    """Let the metrics count what is in the database."""
    registry.register(_Figures(engine))
