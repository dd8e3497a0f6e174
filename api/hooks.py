"""Inline hooks, in Okta's shape (API.md, /inlineHooks): of its types the user import hook, over HTTP with a secret header.

`onFailure` is ours: what becomes of a record whose hook failed. Clients made for Okta do not know it, so that a `PUT` without it leaves it
as it is. The header's value is taken and never shown.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from litestar import Controller, Request, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import UNSET, Struct, UnsetType, field
from prometheus_client import CollectorRegistry, Histogram

from api.auth import actor_of
from mastering.catalog import hooks
from mastering.clock import now
from mastering.connectors.importhook import IMPORT_TRANSFORM
from mastering.errors import Invalid
from mastering.imports.hooking import Observe
from mastering.rules.hook import OnFailure, Outcome
from mastering.store.documents import load
from mastering.store.tables import HookStatus, InlineHook

_VERSION = "1.0.0"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 6)


class HookType(StrEnum):
    """Okta's types of inline hooks. Only the first can be made here."""

    IMPORT = IMPORT_TRANSFORM
    TOKENS = "com.okta.oauth2.tokens.transform"
    SAML = "com.okta.saml.tokens.transform"
    TELEPHONY = "com.okta.telephony.provider"
    PASSWORD = "com.okta.user.credential.password.import"  # noqa: S105 - a type's name
    REGISTRATION = "com.okta.user.pre-registration"


class AuthSchemeForm(Struct):
    """The header that proves who calls. Left out, the value stays as it is."""

    key: str
    type: str = "HEADER"
    value: str | None = None


class HeaderForm(Struct):
    """A header that is sent along, and is no secret."""

    key: str
    value: str


class ConfigForm(Struct, rename="camel"):
    """Where the hook is called, and with what."""

    uri: str | None = None
    method: str | None = None
    headers: list[HeaderForm] | None = None
    auth_scheme: AuthSchemeForm | None = None


class ChannelForm(Struct):
    """How the hook is called: over HTTP."""

    type: str = "HTTP"
    version: str = _VERSION
    config: ConfigForm = field(default_factory=ConfigForm)


class HookForm(Struct, rename="camel"):
    """What is taken of a hook. Type and version never change."""

    name: str | None = None
    type: HookType | UnsetType = UNSET
    version: str | UnsetType = UNSET
    channel: ChannelForm | None = None
    on_failure: OnFailure | None = None


class AuthSchemeView(Struct):
    """The header that proves who calls, without its value."""

    type: str
    key: str


class ConfigView(Struct, rename="camel", omit_defaults=True):
    """Where the hook is called, and with what but the secret."""

    uri: str
    method: str
    headers: list[HeaderForm]
    auth_scheme: AuthSchemeView | None = None


class ChannelView(Struct):
    """How the hook is called."""

    type: str
    version: str
    config: ConfigView


class HookView(Struct, rename="camel"):
    """An inline hook in Okta's shape, with what becomes of a record whose hook failed."""

    id: str
    name: str
    type: HookType
    version: str
    status: HookStatus
    created: str
    last_updated: str
    channel: ChannelView
    on_failure: OnFailure
    links: dict[str, dict[str, Any]] = field(name="_links")


class HookController(Controller):
    """`/inlineHooks`, a hook's lifecycle, and its trial."""

    path = "/api/v1/inlineHooks"
    tags = ("Inline hooks",)

    @get(summary="Inline hooks", sync_to_thread=True)
    def list_hooks(self, request: Request[Any, Any, Any], type: FromQuery[HookType | None] = None) -> list[HookView]:
        """All hooks, or those of one type; of the types that cannot be made here there are none."""
        if type not in {None, HookType.IMPORT}:
            return []
        return [hook_view(request, row) for row in hooks.listed(request.app.state.engine)]

    @post(status_code=HTTP_200_OK, summary="Create an inline hook", sync_to_thread=True)
    def create_hook(self, request: Request[Any, Any, Any], data: JSONBody[HookForm]) -> HookView:
        """A new hook of the type `com.okta.import.transform`, active. It is called once an app's import policy names it."""
        form = _form(data, creating=True)
        state = request.app.state
        return hook_view(request, hooks.create(state.engine, state.vault, actor_of(request), now(), form))

    @get("/{hook_id:str}", summary="An inline hook", sync_to_thread=True)
    def read_hook(self, request: Request[Any, Any, Any], hook_id: FromPath[str]) -> HookView:
        """One hook."""
        return hook_view(request, hooks.read(request.app.state.engine, hook_id))

    @put("/{hook_id:str}", summary="Replace an inline hook", sync_to_thread=True)
    def replace_hook(self, request: Request[Any, Any, Any], hook_id: FromPath[str], data: JSONBody[HookForm]) -> HookView:
        """Replace name and channel. A header that keeps its name may keep its value unsaid; `onFailure` stays if it is left out."""
        return _changed(request, hook_id, data, replace=True)

    @post("/{hook_id:str}", status_code=HTTP_200_OK, summary="Change an inline hook", sync_to_thread=True)
    def update_hook(self, request: Request[Any, Any, Any], hook_id: FromPath[str], data: JSONBody[HookForm]) -> HookView:
        """Change what is said and leave the rest as it is."""
        return _changed(request, hook_id, data, replace=False)

    @delete("/{hook_id:str}", summary="Delete an inline hook", sync_to_thread=True)
    def delete_hook(self, request: Request[Any, Any, Any], hook_id: FromPath[str]) -> None:
        """Delete a hook that is inactive and that no import policy names."""
        hooks.delete(request.app.state.engine, actor_of(request), now(), hook_id)

    @post("/{hook_id:str}/lifecycle/activate", status_code=HTTP_200_OK, summary="Activate an inline hook", sync_to_thread=True)
    def activate(self, request: Request[Any, Any, Any], hook_id: FromPath[str]) -> HookView:
        """Let imports call the hook."""
        return hook_view(request, hooks.set_status(request.app.state.engine, actor_of(request), now(), hook_id, HookStatus.ACTIVE))

    @post("/{hook_id:str}/lifecycle/deactivate", status_code=HTTP_200_OK, summary="Deactivate an inline hook", sync_to_thread=True)
    def deactivate(self, request: Request[Any, Any, Any], hook_id: FromPath[str]) -> HookView:
        """Do not call the hook: imports go on as if no policy named it."""
        return hook_view(request, hooks.set_status(request.app.state.engine, actor_of(request), now(), hook_id, HookStatus.INACTIVE))

    @post("/{hook_id:str}/execute", status_code=HTTP_200_OK, summary="Try an inline hook", sync_to_thread=True)
    def execute(self, request: Request[Any, Any, Any], hook_id: FromPath[str], data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
        """Send a payload to the hook, whether it is active or not, and show its answer. Nothing is changed by it."""
        state = request.app.state
        return hooks.execute(state.engine, state.vault, state.door, hook_id, data)


def hook_view(request: Request[Any, Any, Any], row: InlineHook) -> HookView:
    """A hook as Okta shows it."""
    base = f"{str(request.base_url).rstrip('/')}/api/v1/inlineHooks/{row.id}"
    act = "deactivate" if row.status is HookStatus.ACTIVE else "activate"
    links = {
        "self": {"href": base, "hints": {"allow": ["GET", "PUT", "POST", "DELETE"]}},
        act: {"href": f"{base}/lifecycle/{act}", "hints": {"allow": ["POST"]}},
        "execute": {"href": f"{base}/execute", "hints": {"allow": ["POST"]}},
    }
    if row.status is HookStatus.INACTIVE:
        links["delete"] = {"href": base, "hints": {"allow": ["DELETE"]}}
    headers = [HeaderForm(header["key"], header["value"]) for header in load(row.headers)]
    auth = AuthSchemeView("HEADER", row.auth_key) if row.auth_key else None
    return HookView(
        id=row.id,
        name=row.name,
        type=HookType.IMPORT,
        version=_VERSION,
        status=row.status,
        created=row.created,
        last_updated=row.last_updated,
        channel=ChannelView("HTTP", _VERSION, ConfigView(row.uri, row.method, headers, auth)),
        on_failure=row.on_failure,
        links=links,
    )


def observed(registry: CollectorRegistry) -> Observe:
    """Let the metrics count records that hooks are asked about, and measure how long that takes, retry and all."""
    seconds = Histogram(
        "mastering_inline_hook_seconds",
        "Time that an inline hook took for one record, its retry included.",
        ("outcome",),
        registry=registry,
        buckets=_SECONDS,
    )

    def observe(outcome: Outcome, took: float) -> None:
        seconds.labels(outcome.value).observe(took)

    return observe


def _changed(request: Request[Any, Any, Any], hook_id: str, data: HookForm, *, replace: bool) -> HookView:
    state, form = request.app.state, _form(data, creating=False)
    return hook_view(request, hooks.update(state.engine, state.vault, actor_of(request), now(), hook_id, form, replace=replace))


def _form(data: HookForm, *, creating: bool) -> hooks.Form:
    """What the body says; raises `Invalid` for what belongs to hooks that cannot be made here."""
    causes = []
    if data.type is not HookType.IMPORT and (creating or data.type is not UNSET):
        causes.append(f"type: must be {IMPORT_TRANSFORM}; other inline hooks are not called by this service")
    if data.version not in {UNSET, _VERSION}:
        causes.append(f"version: must be {_VERSION}")
    channel = data.channel or ChannelForm()
    config, auth = channel.config, channel.config.auth_scheme
    if channel.type != "HTTP":
        causes.append("channel.type: must be HTTP; a hook is authenticated by a secret header")
    if channel.version != _VERSION:
        causes.append(f"channel.version: must be {_VERSION}")
    if auth is not None and auth.type != "HEADER":
        causes.append("channel.config.authScheme.type: must be HEADER")
    if causes:
        raise Invalid("Api validation failed: inlineHook", *causes)
    headers = [(header.key, header.value) for header in config.headers] if config.headers is not None else None
    if creating:
        data.name, config.uri = data.name or "", config.uri or ""
    return hooks.Form(data.name, config.uri, config.method, headers, hooks.Auth(auth.key, auth.value) if auth else None, data.on_failure)
