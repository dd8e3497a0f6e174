"""What every act on one person has in common: find the person, open a ledger, and settle what follows.

A person is more than a row: accounts wait for somebody like them, masters have said things that were not followed, and another master's
profile may count from now on. Every walk that changes people by hand ends in `settle`, in the transaction of the change, so that none of
this depends on who changed what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from mastering.disagreements import review_disagreements
from mastering.errors import Invalid, NotFound
from mastering.ledger import Actor, Ledger
from mastering.remaster import load_sources, remap
from mastering.rematch import Ripple, rematch
from mastering.rules.people import User
from mastering.rules.text import fold_login
from mastering.store import people
from mastering.store.engine import writing
from mastering.store.locks import Lock, share
from mastering.store.looks import OvertakenError
from mastering.store.outage import is_about_a_login, is_about_an_account

P = ParamSpec("P")
T = TypeVar("T")
_TRIES = 6
LOGIN_TAKEN = "login: An object with this field already exists in the current organization"


def again_if_overtaken(act: Callable[P, T]) -> Callable[P, T]:
    """An act that is made again, on what is there by now, if others commit what it should have seen, or an account that it was to make.

    Where that happens time after time, it is said to be an outage (`store.outage`): nothing is kept, and the caller may try again later.
    """

    @wraps(act)
    def acting(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_TRIES - 1):
            try:
                return act(*args, **kwargs)
            except OvertakenError:
                continue
            except IntegrityError as fault:
                if not is_about_an_account(fault):
                    raise
        return act(*args, **kwargs)

    return acting


@contextmanager
def against_the_quicker() -> Iterator[None]:
    """Where another process took a login after it was found free, say `Invalid`, as if it had been taken all along."""
    try:
        yield
    except IntegrityError as fault:
        if not is_about_a_login(fault):
            raise
        raise Invalid("Api validation failed: login", LOGIN_TAKEN) from fault


@contextmanager
def changing(engine: Engine, now: datetime, actor: Actor) -> Iterator[Ledger]:
    """A ledger in a transaction of its own, during which no option changes: all of it is kept, or, if the block raises, nothing."""
    with against_the_quicker(), writing(engine) as session:
        share(session, Lock.OPTIONS)
        yield Ledger(session, now, actor)


def find(ledger: Ledger, id_or_login: str) -> User:
    """The user of this id or login, loaded for changing; raises `NotFound`, and `OvertakenError` if meanwhile the login is another user's."""
    user = ledger.user(people.user_id_of(ledger.session, id_or_login) or id_or_login)
    if user.id != id_or_login and fold_login(user.login) != fold_login(id_or_login):
        raise OvertakenError
    return user


def see(session: Session, id_or_login: str) -> User:
    """The user of this id or login with all links, to be looked at; raises `NotFound`."""
    user_id = people.user_id_of(session, id_or_login)
    user = people.users(session, [user_id]).get(user_id) if user_id is not None else None
    if user is None:
        raise NotFound(f"Not found: Resource not found: {id_or_login} (User)")
    return user


def heed(ledger: Ledger, user: User) -> None:
    """Write a user whose status or hold changed, and ask again what masters said and nobody followed."""
    review_disagreements(ledger, [user])
    ledger.flush()


def settle(ledger: Ledger, user: User, now: datetime, *, remapped: bool = False) -> None:
    """Write a user who appeared, changed or went, and all that follows.

    `remapped`: another profile may count now, as the authority changed or the user left DEACTIVATED (SPEC §§3, 4).
    """
    if remapped:
        remap(ledger, [user], load_sources(ledger.session, now))
    if user.id in ledger.users:
        review_disagreements(ledger, [user])
    ledger.flush()
    rematch(ledger, now, Ripple.of(ledger, gone=[user.id]))
    ledger.flush()
