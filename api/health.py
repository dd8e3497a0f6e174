"""How the service is: `/health/live` (the process answers), `/health/ready` (the database answers, too), `/metrics` (Prometheus)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import structlog
from litestar import Controller, Request, Response, get
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_503_SERVICE_UNAVAILABLE
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.auth import PUBLIC
from api.negotiation import OTHER_THAN_JSON
from mastering.clock import now, wire
from mastering.rules.decision import Situation
from mastering.rules.hook import Outcome
from mastering.rules.lifecycle import Status
from mastering.rules.runs import RunStatus
from mastering.rules.tasks import OPEN, TaskStatus
from mastering.store import deliveries, figures, outbound, owed
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
        """Users, runs and records; what waits, for whom and for how long; and the time that requests took (docs/operations.md)."""
        return Response(generate_latest(request.app.state.registry), media_type=_EXPOSITION)


class _Figures(Collector):
    """What the database says at the moment it is asked, so also of what worker processes do. What nobody stands in counts nought."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        at = now()
        with reading(self._engine) as session:
            users, runs = figures.users_by_status(session), figures.runs_by_status(session)
            records, asked = figures.totals(session, figures.Told.situation), figures.totals(session, figures.Told.hook)
            held, waiting, takeovers = figures.held_users(session), figures.waiting(session), figures.takeovers(session)
            queue = figures.queue(session, wire(at))
            outgoing, stopped = outbound.counts(session), deliveries.stopped_apps(session)
            owing, since = owed.unfinished(session)
        yield _by("status", "mastering_users", "Users by status.", {each.value: users.get(each.value, 0) for each in Status})
        yield GaugeMetricFamily("mastering_held_users", "Users under an admin's hold.", value=held)
        yield _by("status", "mastering_import_runs", "Import runs by status.", {each.value: runs.get(each.value, 0) for each in RunStatus})
        situations = {each.name: records.get(each.name, 0) for each in Situation}
        yield _by("situation", "mastering_import_records", "Rows of all plans by situation.", situations, CounterMetricFamily)
        outcomes = {each.value: asked.get(each.value, 0) for each in Outcome}
        yield _by("outcome", "mastering_inline_hook_records", "Records of all plans by what a hook said.", outcomes, CounterMetricFamily)
        yield GaugeMetricFamily("mastering_waiting_accounts", "Accounts that wait for review.", value=waiting)
        yield GaugeMetricFamily("mastering_queue_depth", "Runs that wait for a worker to begin.", value=queue.depth)
        yield GaugeMetricFamily("mastering_queue_age_seconds", "How long the first of them has waited.", value=_age(at, queue.oldest))
        yield GaugeMetricFamily("mastering_owed_work", "Changes of the catalog from which work has still to follow.", value=owing)
        yield GaugeMetricFamily("mastering_owed_age_seconds", "How long the first of them has been owed.", value=_age(at, since))
        yield GaugeMetricFamily("mastering_left_runs", "Runs that were begun and are in no worker's hands.", value=queue.left)
        yield GaugeMetricFamily(
            "mastering_history_lag_rows", "Rows of plans being applied that history does not tell yet.", value=queue.unapplied
        )
        yield from _outgoing(outgoing, stopped, at)
        yield CounterMetricFamily("mastering_lease_takeovers", "Runs taken over from workers that did not stir.", value=takeovers)

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: the database is asked when the figures are."""
        return iter(())


def _outgoing(counts: dict[str, outbound.Counts], stopped: set[str], at: datetime) -> Iterator[Metric]:
    """What waits to go out, app by app; apps for which nothing waits and that are not paused are left out."""
    tasks = GaugeMetricFamily("mastering_provisioning_tasks", "Tasks that wait for an app, or are dead.", labels=["app", "status"])
    age = GaugeMetricFamily("mastering_provisioning_age_seconds", "How long the first task of an app has waited.", labels=["app"])
    paused = GaugeMetricFamily("mastering_provisioning_paused", "Whether an app's queue is paused.", labels=["app"])
    for app_id, told in counts.items():
        for status in (*sorted(OPEN), TaskStatus.DEAD):
            tasks.add_metric([app_id, status.value], told.by_status.get(status, 0))
        age.add_metric([app_id], _age(at, told.oldest))
    for app_id in sorted(counts.keys() | stopped):
        paused.add_metric([app_id], app_id in stopped)
    return iter((tasks, age, paused))


def _age(at: datetime, since: str | None) -> float:
    """For how many seconds something has waited; none for what does not wait, or began by a clock that is ahead."""
    return max((at - datetime.fromisoformat(since)).total_seconds(), 0.0) if since else 0.0


def _by(
    label: str, name: str, meaning: str, counts: dict[str, int], kind: type[GaugeMetricFamily | CounterMetricFamily] = GaugeMetricFamily
) -> Metric:
    family = kind(name, meaning, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def watch(registry: CollectorRegistry, engine: Engine) -> None:
    """Let the metrics count what is in the database."""
    registry.register(_Figures(engine))
