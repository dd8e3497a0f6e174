"""What waits to go out to an app: the queue, its tasks one by one, and retrying the dead ones (docs/decisions/0041)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.status_codes import HTTP_200_OK
from msgspec import Struct

from api.auth import actor_of
from api.paging import LAST, linked
from mastering.clock import now
from mastering.errors import Invalid
from mastering.provisioning import tasks
from mastering.rules.tasks import MOST_ATTEMPTS, TaskKind, TaskStatus
from mastering.store.outbound import OutboundTask, Wanted


class Task(Struct, rename="camel"):
    """One thing to tell the app about one person. `nextAttempt` is null unless it waits; `error` is of the last attempt."""

    id: str
    app_id: str
    user_id: str
    app_user_id: str
    kind: TaskKind
    status: TaskStatus
    attempts: int
    attempts_left: int
    next_attempt: str | None
    error: str | None
    created: str
    finished: str | None


class Queue(Struct, rename="camel"):
    """What waits for the app, and what stops it. `oldest`: since when the first has waited."""

    app_id: str
    waiting: int
    delivering: int
    dead: int
    oldest: str | None
    paused: str | None
    reason: str | None
    not_before: str | None


class Retried(Struct):
    """How many tasks are tried again."""

    retried: int


def task_view(task: OutboundTask) -> Task:
    """A task as the wire shows it; never what it would push."""
    waits = task.status is TaskStatus.PENDING
    return Task(
        task.id,
        task.app_id,
        task.user_id,
        task.account_id,
        task.kind,
        task.status,
        task.attempts,
        max(MOST_ATTEMPTS - task.attempts, 0),
        task.due if waits else None,
        task.error,
        task.created,
        task.finished,
    )


class ProvisioningTaskController(Controller):
    """`/apps/{id}/provisioning-tasks` and below, and `/apps/{id}/provisioning-queue`."""

    path = "/api/v1/apps/{app_id:str}"
    tags = ("Provisioning",)

    @get("/provisioning-queue", summary="What waits for an app", sync_to_thread=True)
    def read_queue(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> Queue:
        """How many tasks wait, are under way and are dead; since when the queue is paused, and why."""
        found = tasks.state(request.app.state.engine, app_id)
        return Queue(app_id, found.waiting, found.delivering, found.dead, found.oldest, found.paused, found.reason, found.not_before)

    @get("/provisioning-tasks", summary="An app's tasks", sync_to_thread=True)
    def list_tasks(
        self,
        request: Request[Any, Any, Any],
        *,
        app_id: FromPath[str],
        status: FromQuery[TaskStatus | None] = None,
        kind: FromQuery[TaskKind | None] = None,
        user_id: Annotated[str | None, QueryParameter(name="userId")] = None,
        after: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> Response[list[Task]]:
        """Tasks in the order in which they were caused. Those that ended are kept for a week."""
        wanted = Wanted(frozenset({status} if status else ()), frozenset({kind} if kind else ()), user_id)
        found = tasks.page(request.app.state.engine, app_id, wanted, _number(after), limit)
        return linked(request, [task_view(task) for task in found[:limit]], str(found[limit - 1].seq) if len(found) > limit else None)

    @get("/provisioning-tasks/{task_id:str}", summary="One task", sync_to_thread=True)
    def read_task(self, request: Request[Any, Any, Any], app_id: FromPath[str], task_id: FromPath[str]) -> Task:
        """Where it stands, and the last error."""
        return task_view(tasks.read(request.app.state.engine, app_id, task_id))

    @post("/provisioning-tasks/lifecycle/retry", status_code=HTTP_200_OK, summary="Retry all dead tasks", sync_to_thread=True)
    def retry_all(self, request: Request[Any, Any, Any], app_id: FromPath[str]) -> Retried:
        """Every dead task of the app gets as many attempts as a new one."""
        return Retried(tasks.retry_all(request.app.state.engine, actor_of(request), now(), app_id))

    @post("/provisioning-tasks/{task_id:str}/lifecycle/retry", status_code=HTTP_200_OK, summary="Retry a dead task", sync_to_thread=True)
    def retry(self, request: Request[Any, Any, Any], app_id: FromPath[str], task_id: FromPath[str]) -> Task:
        """It gets as many attempts as a new one. What is right for the person by now is what is pushed."""
        return task_view(tasks.retry(request.app.state.engine, actor_of(request), now(), app_id, task_id))


def _number(after: str | None) -> int:
    if after is None:
        return 0
    if not after.isascii() or not after.isdigit() or len(after) > 19 or int(after) > LAST:
        raise Invalid("Api validation failed: after", "after: must be what a page's next link says")
    return int(after)
