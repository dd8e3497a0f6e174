"""Links made and taken away by hand (SPEC §3; API.md, /apps/{id}/users).

Unassigning takes an account's say away: it stays linked and watched, and is assigned again only when it comes back from being inactive or
missing, or by the hand that took it away. Assigning is the other direction:

====================================================  =============================================================================
what the app knows of the external id                  what assigning does
====================================================  =============================================================================
it names this user's released account                 the account gets its say back
it names nobody's account, one that left the queue    the account is linked
it is not known                                       an account is noted under it; it has no say until an import shows it active
it waits for review, or is ignored                    refused: confirming a match is the reviewer's, with all that follows from it
it is another user's, or this user has an account     refused
====================================================  =============================================================================

Without an external id the user's released account of the app is taken, else the user's own id stands for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from mastering.acts import again_if_overtaken, changing, find, settle
from mastering.errors import AttributeMastered, Invalid, NotFound
from mastering.ids import new_id
from mastering.ledger import BY_HAND, Actor, Ledger
from mastering.rules.mapping import normalise
from mastering.rules.people import Account, User
from mastering.rules.record import AccountState, external_id_of
from mastering.store import accounts as store
from mastering.store import catalog, people
from mastering.store.engine import reading


def page(engine: Engine, app_id: str, after: str, limit: int) -> list[Account]:
    """The next accounts of an app, ascending by id, and one more where there are more."""
    with reading(engine) as session:
        _require_app(session, app_id)
        return store.page(session, app_id, after, limit + 1)


def read(engine: Engine, app_id: str, user_or_account: str) -> Account:
    """A user's account in an app, the unreleased one first; or an account by its own id. Raises `NotFound`."""
    with reading(engine) as session:
        _require_app(session, app_id)
        user_id = people.user_id_of(session, user_or_account)
        user = people.users(session, [user_id]).get(user_id) if user_id else None
        found = user.account_in(app_id) if user else None
        return found or _by_id(session, app_id, user_or_account)


@again_if_overtaken
def assign(
    engine: Engine,
    actor: Actor,
    now: datetime,
    app_id: str,
    user_id: str,
    *,
    external_id: str | None = None,
    profile: Mapping[str, Any] | None = None,
) -> Account:
    """Give a user an account in an app; the one there is already, if it is asked for again. `profile` is the app profile of a new account.

    Raises `NotFound` and `Invalid`.
    """
    with changing(engine, now, actor) as ledger:
        _require_app(ledger.session, app_id)
        user = find(ledger, user_id)
        present = user.account_in(app_id)
        if present is not None and not present.released and external_id in {None, present.external_id}:
            return present
        account = _choose(ledger, user, app_id, external_id, present)
        known = account.id in ledger.accounts
        if not known:
            account.profile = normalise(dict(profile or {}))
            ledger.enlist(account)
        ledger.link(account, user, BY_HAND, "account.assign", shown=known)
        settle(ledger, user, now, remapped=True)
    return account


@again_if_overtaken
def update(engine: Engine, actor: Actor, now: datetime, app_id: str, user_id: str, profile: Mapping[str, Any]) -> Account:
    """Correct the app profile of a user's account: merge what is given, null clearing.

    What imports have supplied is the app's own word and read-only (`AttributeMastered`): it is corrected in the app. Raises `NotFound`.
    """
    with changing(engine, now, actor) as ledger:
        _require_app(ledger.session, app_id)
        user = find(ledger, user_id)
        account = user.account_in(app_id)
        if account is None or account.released:
            raise NotFound(f"Not found: Resource not found: {user_id} (AppUser)")
        wanted = {name: value for name, value in normalise(dict(profile)).items() if account.profile.get(name) != value}
        if account.last_run_id is not None and wanted.keys() & account.profile.keys():
            causes = [
                f"{name}: is supplied by the app's imports and is read-only" for name in sorted(wanted.keys() & account.profile.keys())
            ]
            raise AttributeMastered("Operation failed because the app profile is supplied by imports", *causes)
        if wanted:
            ledger.correct_account(account, user, wanted, BY_HAND)
            settle(ledger, user, now, remapped=True)
    return account


@again_if_overtaken
def unassign(engine: Engine, actor: Actor, now: datetime, app_id: str, user_id: str) -> None:
    """Take an account's say away; raises `NotFound` where the user has none that is unreleased."""
    with changing(engine, now, actor) as ledger:
        _require_app(ledger.session, app_id)
        user = find(ledger, user_id)
        account = user.account_in(app_id)
        if account is None or account.released:
            raise NotFound(f"Not found: Resource not found: {user_id} (AppUser)")
        ledger.release(account, user, BY_HAND, "account.unassign")
        settle(ledger, user, now, remapped=True)


def _choose(ledger: Ledger, user: User, app_id: str, external_id: str | None, present: Account | None) -> Account:
    """The account to assign."""
    if present is not None and not present.released:
        raise Invalid("Api validation failed: externalId", "externalId: the user has another account of this app; unassign that one first")
    if external_id is None and present is not None:
        return present
    wanted = external_id_of(external_id if external_id is not None else user.id)
    if wanted is None:
        raise Invalid("Api validation failed: externalId", "externalId: must be a text of 1 to 512 characters")
    known = people.accounts_of_app(ledger.session, app_id, [wanted]).get(wanted)
    if known is None:
        return Account(new_id("0ua"), app_id, wanted, AccountState.ACTIVE, {}, created=ledger.at, last_updated=ledger.at)
    account = ledger.account(known.id)
    if account.user_id not in {None, user.id}:
        raise Invalid("Api validation failed: externalId", "externalId: this account is another user's")
    if account.situation is not None or account.ignored:
        raise Invalid("Api validation failed: externalId", "externalId: this account is the reviewers' to link; see /api/v1/review")
    return account


def _by_id(session: Session, app_id: str, account_id: str) -> Account:
    account = people.accounts(session, [account_id]).get(account_id)
    if account is None or account.app_id != app_id:
        raise NotFound(f"Not found: Resource not found: {account_id} (AppUser)")
    return account


def _require_app(session: Session, app_id: str) -> None:
    if catalog.app(session, app_id) is None:
        raise NotFound(f"Not found: Resource not found: {app_id} (AppInstance)")
