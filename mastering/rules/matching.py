"""Is this row the same human being? Exact and partial matches, and what stands in their way (SPEC §6).

Exact: the options chosen all hold. Partial, where it is allowed: first and last name agree and the match is not exact.
An empty value never matches, and with no option chosen nothing is exact. The best kind of match wins; several of that kind
are never guessed between.

`keys_of` says what to look for, a directory of users answers by key, `correlate` judges the answers. The same `is_exact`
judges whether a returning record matches its own user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from mastering.rules.expressions import Value
from mastering.rules.policy import Matching
from mastering.rules.text import BETWEEN, fold_login, name_key


class Kind(StrEnum):
    """How well a record matches."""

    NONE = "NONE"
    PARTIAL = "PARTIAL"
    EXACT = "EXACT"


class Keys(NamedTuple):
    """What a record, or a user, is compared by. `None` stands for a value that is empty and never matches."""

    login: str | None
    email: str | None
    name: str | None
    attributes: tuple[str | None, ...] = ()


class Match(NamedTuple):
    """The best kind of match and every user of that kind, ids ascending."""

    kind: Kind
    user_ids: tuple[str, ...] = ()
    beaten: tuple[str, ...] = ()
    """Users who would have matched in part, were no other an exact match; ids ascending."""


NO_MATCH = Match(Kind.NONE)


def keys_of_record(matching: Matching, login: str | None, mapped: Mapping[str, Value], app_profile: Mapping[str, Value]) -> Keys:
    """The keys of a record: its login to be, its mapped e-mail and names, and the app attributes of the third option."""
    return Keys(
        login=_folded(login),
        email=_folded(mapped.get("email")),
        name=name_key(_text(mapped.get("firstName")), _text(mapped.get("lastName"))),
        attributes=tuple(_text(app_profile.get(pair.app)) for pair in matching.attributes),
    )


def keys_of_user(matching: Matching, login: str, profile: Mapping[str, Value]) -> Keys:
    """The keys of a user, to be compared with a record's under the same options."""
    return Keys(
        login=_folded(login),
        email=_folded(profile.get("email")),
        name=name_key(_text(profile.get("firstName")), _text(profile.get("lastName"))),
        attributes=tuple(_text(profile.get(pair.user)) for pair in matching.attributes),
    )


def is_exact(matching: Matching, record: Keys, user: Keys) -> bool:
    """Whether all options chosen hold between a record and a user (SPEC §6)."""
    if matching.attributes:
        return None not in record.attributes and record.attributes == user.attributes
    if not (matching.username or matching.email):
        return False
    by_login = not matching.username or (record.login is not None and record.login == user.login)
    by_email = not matching.email or (record.email is not None and record.email == user.email)
    return by_login and by_email


def correlate(matching: Matching, record: Keys, found: Iterable[tuple[str, Keys]]) -> Match:
    """The match of a record among the users its keys led to (SPEC §6). Order of `found` does not matter."""
    users = dict(found)
    exact = [user_id for user_id, keys in users.items() if is_exact(matching, record, keys)]
    if exact:
        return Match(Kind.EXACT, tuple(sorted(exact)), _beaten(matching, record, users, exact))
    if matching.allow_partial and record.name is not None:
        partial = [user_id for user_id, keys in users.items() if keys.name == record.name]
        if partial:
            return Match(Kind.PARTIAL, tuple(sorted(partial)))
    return NO_MATCH


def _beaten(matching: Matching, record: Keys, users: Mapping[str, Keys], exact: Sequence[str]) -> tuple[str, ...]:
    if not matching.allow_partial or record.name is None or len(users) == len(exact):
        return ()
    return tuple(sorted(user_id for user_id, keys in users.items() if keys.name == record.name and user_id not in exact))


def _folded(value: Value) -> str | None:
    return (fold_login(value) or None) if isinstance(value, str) else None


def _text(value: Value) -> str | None:
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def ways_of(matching: Matching, keys: Keys) -> tuple[str, ...]:
    """The texts under which a waiting row and a person find each other when one of them changes, each with what kind of key it is.

    The login is always one of them: a row waits, too, because somebody whom it does not match holds the login that it asks for.
    """
    found = [("login", keys.login)]
    if matching.attributes:
        whole = None not in keys.attributes
        found.append(("attributes", BETWEEN.join(map(str, keys.attributes)) if whole else None))
    elif matching.email:
        found.append(("email", keys.email))
    if matching.allow_partial:
        found.append(("name", keys.name))
    return tuple(f"{kind}{BETWEEN}{value}" for kind, value in found if value is not None)


def way_to_user(user_id: str) -> str:
    """The way from a waiting row to a user it was matched with, whatever becomes of that user's login, names and attributes."""
    return f"user{BETWEEN}{user_id}"


def way_to_login(login_key: str) -> str:
    """The way from a waiting row to a login, whoever holds it."""
    return f"login{BETWEEN}{login_key}"


class Crowd:
    """Users by everything they may be found by, so that each record meets only those its keys lead to."""

    def __init__(self, users: Mapping[str, Keys]) -> None:
        self._users = users
        self._by: dict[object, list[str]] = {}
        for user_id, keys in users.items():
            for key in _ways(keys):
                self._by.setdefault(key, []).append(user_id)

    def near(self, record: Keys) -> list[tuple[str, Keys]]:
        """The users that share at least one key with a record."""
        if not self._users:
            return []
        ids = {user_id for key in _ways(record) for user_id in self._by.get(key, ())}
        return [(user_id, self._users[user_id]) for user_id in ids]


def _ways(keys: Keys) -> Iterable[object]:
    named = (("login", keys.login), ("email", keys.email), ("name", keys.name))
    yield from ((way, value) for way, value in named if value is not None)
    if keys.attributes and None not in keys.attributes:
        yield keys.attributes
