"""Upload sessions, as Okta's clients speak of them (API.md, /identity-sources). The identity source is an app, the session an import run.

A job makes a session, loads people into it by some requests, starts it, and looks now and then whether it is COMPLETED. Under the
session's id `/imports` tells the rest: the plan, a safeguard that holds it, what became of every record.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from litestar.response.base import ASGIResponse
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED
from msgspec import UNSET, Meta, Struct, field

from api.auth import actor_of, require_app
from mastering.clock import now
from mastering.imports import sessions
from mastering.imports.sessions import UploadSession, Word
from mastering.rules.record import Mode
from mastering.rules.sessions import MAX_BYTES, MAX_PROFILES, SessionStatus


class EntityType(StrEnum):
    """What a request is about: people. Groups are not imported here."""

    USERS = "USERS"


class UpsertProfile(Struct, rename="camel"):
    """An account that the source has, new or changed. What cannot be used becomes a row of the plan that says why."""

    profile: dict[str, Any]
    external_id: Any = UNSET


class DeleteProfile(Struct, rename="camel"):
    """An account that the source has dropped."""

    external_id: Any = UNSET


class BulkUpsert(Struct, rename="camel"):
    """Accounts that the source has."""

    profiles: Annotated[list[UpsertProfile], Meta(min_length=1, max_length=MAX_PROFILES)]
    entity_type: EntityType = EntityType.USERS


class BulkDelete(Struct, rename="camel"):
    """Accounts that the source has dropped."""

    profiles: Annotated[list[DeleteProfile], Meta(min_length=1, max_length=MAX_PROFILES)]
    entity_type: EntityType = EntityType.USERS


class IdentitySourceSession(Struct, rename="camel"):
    """A session in Okta's shape."""

    id: str
    identity_source_id: str
    status: SessionStatus
    created: str
    last_updated: str
    import_type: Mode = field(default=Mode.INCREMENTAL)


class Accepted(Response[None]):
    """An answer without a body, and so without a type of it."""

    def to_asgi_response(self, *args: Any, **more: Any) -> ASGIResponse:
        """The framework would say `null`."""
        answer = super().to_asgi_response(*args, **more)
        answer.body = b""
        answer.headers.pop("content-type", None)
        answer.headers["content-length"] = "0"
        return answer


_ACCEPTED = {HTTP_202_ACCEPTED: ResponseSpec(data_container=None, description="All of it was taken", generate_examples=False)}


class SessionController(Controller):
    """`/identity-sources/{id}/sessions` and below."""

    path = "/api/v1/identity-sources/{identity_source_id:str}/sessions"
    tags = ("Identity sources",)

    @get(summary="Active sessions", sync_to_thread=True)
    def list_sessions(self, request: Request[Any, Any, Any], identity_source_id: FromPath[str]) -> list[IdentitySourceSession]:
        """The sessions that are open, or started and not at their end."""
        require_app(request, identity_source_id)
        return [session_view(found) for found in sessions.active(request.app.state.engine, now(), identity_source_id)]

    @post(status_code=HTTP_200_OK, summary="Create a session", sync_to_thread=True)
    def create_session(self, request: Request[Any, Any, Any], identity_source_id: FromPath[str]) -> IdentitySourceSession:
        """Open a session. A source has one open session at a time, and none within five minutes of the start of one that is still at work."""
        require_app(request, identity_source_id)
        return session_view(sessions.create(request.app.state.engine, actor_of(request), now(), identity_source_id))

    @get("/{session_id:str}", summary="A session", sync_to_thread=True)
    def read_session(
        self, request: Request[Any, Any, Any], identity_source_id: FromPath[str], session_id: FromPath[str]
    ) -> IdentitySourceSession:
        """One session, whatever became of it."""
        require_app(request, identity_source_id)
        return session_view(sessions.find(request.app.state.engine, now(), identity_source_id, session_id))

    @delete("/{session_id:str}", summary="Cancel a session", sync_to_thread=True)
    def delete_session(self, request: Request[Any, Any, Any], identity_source_id: FromPath[str], session_id: FromPath[str]) -> None:
        """Close a session that has not been started. What was loaded is forgotten."""
        require_app(request, identity_source_id)
        sessions.close(request.app.state.engine, actor_of(request), now(), identity_source_id, session_id)

    @post(
        "/{session_id:str}/bulk-upsert",
        status_code=HTTP_202_ACCEPTED,
        request_max_body_size=MAX_BYTES,
        responses=_ACCEPTED,
        summary="Load accounts that the source has",
        sync_to_thread=True,
    )
    def bulk_upsert(
        self, request: Request[Any, Any, Any], identity_source_id: FromPath[str], session_id: FromPath[str], data: JSONBody[BulkUpsert]
    ) -> Accepted:
        """Load up to 200 accounts, of 200 KB together. A session takes 50 requests that load data."""
        words = [Word(told.external_id, kept=True, profile=told.profile) for told in data.profiles]
        return _load(request, identity_source_id, session_id, words)

    @post(
        "/{session_id:str}/bulk-delete",
        status_code=HTTP_202_ACCEPTED,
        request_max_body_size=MAX_BYTES,
        responses=_ACCEPTED,
        summary="Load accounts that the source has dropped",
        sync_to_thread=True,
    )
    def bulk_delete(
        self, request: Request[Any, Any, Any], identity_source_id: FromPath[str], session_id: FromPath[str], data: JSONBody[BulkDelete]
    ) -> Accepted:
        """Load up to 200 accounts that are gone: the app's option for users who are deactivated in it applies to them."""
        return _load(request, identity_source_id, session_id, [Word(told.external_id, kept=False, profile={}) for told in data.profiles])

    @post("/{session_id:str}/start-import", status_code=HTTP_200_OK, summary="Start the import", sync_to_thread=True)
    def start_import(
        self, request: Request[Any, Any, Any], identity_source_id: FromPath[str], session_id: FromPath[str]
    ) -> IdentitySourceSession:
        """Seal the session: it is planned, checked by the safeguards and applied like any import, under `/imports` with the same id."""
        require_app(request, identity_source_id)
        started = sessions.start(request.app.state.engine, actor_of(request), now(), identity_source_id, session_id)
        request.app.state.worker.wake()
        return session_view(started)


def session_view(session: UploadSession) -> IdentitySourceSession:
    """A session as Okta shows it."""
    return IdentitySourceSession(session.id, session.app_id, session.status, session.created, session.updated)


def _load(request: Request[Any, Any, Any], identity_source_id: str, session_id: str, words: list[Word]) -> Accepted:
    require_app(request, identity_source_id)
    sessions.load(request.app.state.engine, actor_of(request), now(), identity_source_id, session_id, words)
    return Accepted(None, status_code=HTTP_202_ACCEPTED)
