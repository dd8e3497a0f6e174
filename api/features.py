"""An app's features in Okta's shape: views of its two policies (API.md, /apps/{id}/features; docs/decisions/0030).

INBOUND_PROVISIONING is the import policy that `/apps/{id}/import-policy` shows whole, USER_PROVISIONING the provisioning policy. Both are
there for every app, as every app can be imported by push and connected later; a feature is ENABLED while its app is active.
"""

from __future__ import annotations

from typing import Any, Literal

from litestar import Controller, Request, Response, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Struct, field

from api.auth import actor_of
from api.inbound import EnabledStatus, InboundCapabilities, InboundForm, in_oktas_names, inbound_from, inbound_view
from api.outbound import OutboundCapabilities, OutboundForm, outbound_from, outbound_view
from api.preconditions import etag, expected
from mastering.catalog import apps, policies, provisioning, schedules
from mastering.clock import now
from mastering.errors import Invalid
from mastering.store.catalog import policy_of, provisioning_of
from mastering.store.tables import App, AppStatus


class InboundFeature(Struct, rename="camel"):
    """What comes in from the app."""

    name: Literal["INBOUND_PROVISIONING"]
    status: EnabledStatus
    description: str
    capabilities: InboundCapabilities
    links: dict[str, Any] = field(name="_links")


class OutboundFeature(Struct, rename="camel"):
    """What goes out to the app."""

    name: Literal["USER_PROVISIONING"]
    status: EnabledStatus
    description: str
    capabilities: OutboundCapabilities
    links: dict[str, Any] = field(name="_links")


class FeatureController(Controller):
    """`/apps/{id}/features`."""

    path = "/api/v1/apps/{app_id:str}/features"
    tags = ("App features",)

    @get(summary="An app's features", sync_to_thread=True)
    def list_features(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> list[OutboundFeature | InboundFeature]:
        """Both features of an app."""
        app = apps.read(request.app.state.engine, app_id)
        return [outbound_feature(request, app), inbound_feature(request, app)]

    @get("/INBOUND_PROVISIONING", summary="What comes in from an app", sync_to_thread=True)
    def read_inbound(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> Response[InboundFeature]:
        """The import policy as far as Okta's shape can say it, with its tag."""
        return _inbound_answer(request, apps.read(request.app.state.engine, app_id))

    @put("/INBOUND_PROVISIONING", summary="Change what comes in from an app", sync_to_thread=True)
    def update_inbound(
        self, request: Request[Any, Any, Any], app_id: FromPath[str], data: JSONBody[InboundForm]
    ) -> Response[InboundFeature]:
        """Change what the request names of the import policy; the rest stays, what this shape cannot say included."""
        engine, actor = request.app.state.engine, actor_of(request)
        try:
            app = policies.revise(engine, actor, now(), app_id, lambda known: inbound_from(data, known), check=expected(request))
        except Invalid as refused:
            raise Invalid("Api validation failed: INBOUND_PROVISIONING", *in_oktas_names(refused.causes)) from refused
        return _inbound_answer(request, app)

    @get("/USER_PROVISIONING", summary="What goes out to an app", sync_to_thread=True)
    def read_outbound(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> Response[OutboundFeature]:
        """The provisioning policy, with its tag."""
        return _outbound_answer(request, apps.read(request.app.state.engine, app_id))

    @put("/USER_PROVISIONING", summary="Change what goes out to an app", sync_to_thread=True)
    def update_outbound(
        self, request: Request[Any, Any, Any], app_id: FromPath[str], data: JSONBody[OutboundForm]
    ) -> Response[OutboundFeature]:
        """Change what the request names of the provisioning policy; the rest stays."""
        engine, actor = request.app.state.engine, actor_of(request)
        app = provisioning.revise(engine, actor, now(), app_id, lambda known: outbound_from(data, known), check=expected(request))
        return _outbound_answer(request, app)


def inbound_feature(request: Request[Any, Any, Any], app: App) -> InboundFeature:
    """The import policy as a feature."""
    told = "What is imported from the app, and how it becomes users"
    next_firings = schedules.next_firings(request.app.state.engine, app.id)
    name: Literal["INBOUND_PROVISIONING"] = "INBOUND_PROVISIONING"
    return InboundFeature(name, _status(app), told, inbound_view(policy_of(app), next_firings), _links(request, app, name))


def outbound_feature(request: Request[Any, Any, Any], app: App) -> OutboundFeature:
    """The provisioning policy as a feature."""
    told = "What is pushed from the directory to the app"
    name: Literal["USER_PROVISIONING"] = "USER_PROVISIONING"
    return OutboundFeature(name, _status(app), told, outbound_view(provisioning_of(app)), _links(request, app, name))


def _status(app: App) -> EnabledStatus:
    return EnabledStatus.of(app.status is AppStatus.ACTIVE)


def _links(request: Request[Any, Any, Any], app: App, name: str) -> dict[str, Any]:
    address = f"{str(request.base_url).rstrip('/')}/api/v1/apps/{app.id}/features/{name}"
    return {"self": {"href": address, "hints": {"allow": ["GET", "PUT"]}}}


def _inbound_answer(request: Request[Any, Any, Any], app: App) -> Response[InboundFeature]:
    return Response(inbound_feature(request, app), headers={"ETag": etag(app.version)})


def _outbound_answer(request: Request[Any, Any, Any], app: App) -> Response[OutboundFeature]:
    return Response(outbound_feature(request, app), headers={"ETag": etag(app.version)})
