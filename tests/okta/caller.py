"""The official Okta SDK, as its users have it, against a real server of ours.

Nothing of the SDK is patched: a real `okta.client.Client`, told where the server is and with which token by its own configuration, speaks
over a socket to a server process. The one thing that plain http on the loopback needs is the SDK's own testing switch.

A module asks for the fixture `sdk` and gets a server of its own, started once and empty but for what the module's tests have made, so a
test names its things apart (`sdk.fresh("jane")`) and looks only at them::

    def test_a_user_is_found_by_login(sdk: Sdk) -> None:
        made = sdk.get(sdk.client.create_user(person("jane")))       # what a good call answers
        assert sdk.get(sdk.client.get_user(made.profile.login)).id == made.id
        refused = sdk.refusal(sdk.client.get_user("nobody"))         # the SDK's own OktaAPIError
        assert (refused.status, refused.error_code) == (404, "E0000007")
        everybody = sdk.all(sdk.client.list_users, limit=2)          # follows Link to the end, as the SDK does

The SDK is asynchronous and the tests are not: every call is run to its end on one event loop. What Okta has no call for is asked for over
`sdk.http`, whose addresses begin below `/api/v1`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
from okta.client import Client
from okta.errors.okta_api_error import OktaAPIError
from okta.models import CreateUserRequest, UserProfile
from okta.pagination import paginate_all

Call = Coroutine[Any, Any, tuple[Any, ...]]


@dataclass(frozen=True)
class Sdk:
    """The SDK's client, and the ways in which a test calls it."""

    client: Client
    http: httpx.Client
    runner: asyncio.Runner
    numbers: count[int] = field(default_factory=lambda: count(1))

    def get(self, call: Call) -> Any:
        """What a good call answers; fails with the refusal of a bad one."""
        answer, *_, error = self.runner.run(call)
        assert error is None, error
        return answer

    def refusal(self, call: Call) -> OktaAPIError:
        """The error object of a call that is refused."""
        *_, error = self.runner.run(call)
        assert isinstance(error, OktaAPIError), error
        return error

    def all(self, method: Callable[..., Call], **asked: Any) -> list[Any]:
        """Every item of a list, page by page as the SDK's own pagination follows `Link`."""

        async def collected() -> list[Any]:
            return [item async for item in paginate_all(method, **asked)]

        return self.runner.run(collected())

    def fresh(self, word: str) -> str:
        """A word that no other test of the module has."""
        return f"{word}{next(self.numbers)}"

    def user(self, word: str = "person", *, activate: bool = True, **more: Any) -> Any:
        """A new user with names and addresses of their own."""
        return self.get(self.client.create_user(person(self.fresh(word), **more), activate=activate))


def person(word: str, **more: Any) -> CreateUserRequest:
    """What a user is made from: everybody has a login and an address at example.com."""
    names = {"login": f"{word}@example.com", "email": f"{word}@example.com", "firstName": word.title(), "lastName": "Example"}
    return CreateUserRequest(profile=UserProfile(**{**names, **more}))


def causes(refused: OktaAPIError) -> list[str]:
    """The causes that a refusal names."""
    return [cause["errorSummary"] for cause in refused.error_causes]
