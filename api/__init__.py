"""The HTTP application (API.md).

`create_app` puts it together: the controllers, one module per subject; who may call; the error envelope; the description of it all; and
what lives as long as the process, the database and the import worker. Any ASGI server runs it: `uvicorn --factory api:create_app`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import structlog
from litestar import Litestar
from litestar.concurrency import sync_to_thread
from litestar.types import ControllerRouterHandler
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from api import (
    app_users,
    apps,
    connections,
    description,
    features,
    health,
    history,
    hooks,
    identity_sources,
    imports,
    logs,
    mappings,
    masters,
    org,
    policies,
    previews,
    provisioning_tasks,
    reconciliations,
    review,
    tokens,
    user_schema,
    user_views,
    users,
    why,
)
from api.admission import Admission
from api.auth import Authentication, authorise
from api.bodies import StrictRequest
from api.errors import HANDLERS
from api.idempotency import Idempotency
from api.negotiation import acceptable
from api.observing import Observed, Traced
from mastering import keys
from mastering import logs as log_lines
from mastering.clock import now
from mastering.connections import Peers
from mastering.connectors.outbound import Door
from mastering.imports.hooking import HookCaller
from mastering.imports.puller import Puller
from mastering.imports.worker import Worker, recover
from mastering.provisioning import deliverer as deliveries
from mastering.provisioning.deliverer import Deliverer
from mastering.schedule import Ticker
from mastering.settings import Settings
from mastering.store.engine import open_database
from mastering.store.sole import sole_server
from mastering.tokens import ensure_admin
from mastering.vault import Vault, open_vault

MAX_BODY = 10 * 1024**2
"""Bytes of a request's body; imports have a limit of their own."""

CONTROLLERS: list[ControllerRouterHandler] = [
    users.UserController,
    user_views.UserViewController,
    apps.AppController,
    app_users.AppUserController,
    policies.PolicyController,
    features.FeatureController,
    connections.ConnectionController,
    provisioning_tasks.ProvisioningTaskController,
    masters.MasterController,
    mappings.MappingController,
    user_schema.UserSchemaController,
    hooks.HookController,
    *imports.CONTROLLERS,
    identity_sources.SessionController,
    *review.CONTROLLERS,
    why.WhyController,
    previews.PreviewController,
    reconciliations.ReconciliationController,
    org.OrgController,
    org.NightlyController,
    tokens.TokenController,
    logs.LogController,
    history.HistoryController,
    health.HealthController,
    *description.HANDLERS,
]

_log = structlog.get_logger("mastering.api")


def create_app(settings: Settings | None = None) -> Litestar:
    """The application. Without settings it reads them from the environment; raises `SettingInvalid`.

    While it runs, `state` has the `engine`, how many `uploads` are being received, the import `worker`, the `puller`, the metrics' `registry`, the `vault` of secrets,
    the `door` outwards, and the `peers`, clients of the apps' own servers.
    """
    settings = settings or Settings.from_environment(os.environ)
    log_lines.configure(settings.log_format)
    app = Litestar(
        route_handlers=CONTROLLERS,
        lifespan=[_lifespan],
        middleware=[Traced(), Authentication(), Idempotency()],
        guards=[authorise, acceptable],
        exception_handlers=HANDLERS,
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY,
        openapi_config=description.CONFIG,
        logging_config=None,
    )
    app.state.settings = settings
    app.state.uploads = 0
    app.state.registry = CollectorRegistry()
    app.state.observe_hooks = hooks.observed(app.state.registry)
    app.asgi_handler = Observed(Admission(app.asgi_handler), app.state.registry)
    return app


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    """Open the database, make sure that an admin can call, let the worker work; and the way back."""
    settings: Settings = app.state.settings
    engine = app.state.engine = await sync_to_thread(open_database, settings.database_url)
    door = app.state.door = Door(settings.outbound_allow)
    alone = ExitStack()
    try:
        alone.enter_context(sole_server(settings.database_url))
        health.watch(app.state.registry, engine)
        file = await sync_to_thread(ensure_admin, engine, now(), settings.admin_token, settings.data_dir)
        if file is not None:
            _log.info("a token for the first admin was made", file=str(file))
        if engine.dialect.name == "sqlite":  # an embedded database has one process: whoever worked on it before is gone
            await sync_to_thread(recover, engine)
            await sync_to_thread(deliveries.recover, engine)
        app.state.vault = await sync_to_thread(_open_vault, engine, settings)
        app.state.peers = Peers(engine, app.state.vault, door)
        caller = HookCaller(app.state.vault, door, observe=app.state.observe_hooks)
        worker, ticker = Worker(engine, caller, settings.lease), Ticker(engine, vault=app.state.vault)
        deliverer = Deliverer(engine, app.state.peers.open, app.state.vault, settings.lease)
        puller = Puller(engine, app.state.peers, settings.lease, sealed=worker.wake)
        app.state.worker, app.state.puller = worker, puller
        if settings.work:
            worker.start()
            puller.start()
            deliverer.start()
        ticker.start()
        try:
            yield
        finally:
            await sync_to_thread(ticker.stop)
            await sync_to_thread(puller.stop)
            await sync_to_thread(worker.stop)
            await sync_to_thread(deliverer.stop)
    finally:
        door.close()
        alone.close()
        engine.dispose()


def _open_vault(engine: Engine, settings: Settings) -> Vault:
    """The vault, with what earlier keys sealed brought under the present one. What no key opens has to be entered again: that is told."""
    vault = open_vault(settings.secret_key, settings.data_dir, settings.secret_key_file)
    lost = keys.reseal(engine, vault)
    if lost:
        _log.warning("secrets cannot be read with this key: set MASTERING_SECRET_KEY to the one of before, or enter them again", **lost)
    return vault
