"""What a reviewer decides about rows that wait (SPEC §6): link, create, ignore, un-ignore. Also while a run of the app is held.

Each decision is a transaction of its own, so that one that is refused takes none of the others with it. A link is judged by the rules of
a confirmed match: link first, then ask who has authority; linking to a suspended or deactivated user is a return.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Engine, select
from sqlmodel import Session, col

from mastering.acts import LOGIN_TAKEN, again_if_overtaken, changing
from mastering.disagreements import review_disagreements
from mastering.errors import Invalid, MasteringError, NotFound, WrongState
from mastering.imports.applying import why_of
from mastering.ledger import Actor, Ledger, Why
from mastering.rematch import Ripple, rematch
from mastering.rules.change import Prepared, Terms, prepare_again
from mastering.rules.lifecycle import Trigger
from mastering.rules.people import Account, User
from mastering.rules.record import AccountState, Mode
from mastering.rules.text import fold_login
from mastering.rules.unlinked import plan_review
from mastering.store import people, tables
from mastering.store import users as user_store
from mastering.store.engine import reading
from mastering.terms import terms_of


class Verdict(StrEnum):
    """What a reviewer may decide."""

    LINK = "LINK"
    CREATE = "CREATE"
    IGNORE = "IGNORE"
    UNIGNORE = "UNIGNORE"


@dataclass(frozen=True, slots=True)
class Item:
    """One decision about one account. LINK without a user links to the proposed match."""

    account_id: str
    verdict: Verdict
    user_id: str | None = None
    activate: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one decision: the user it led to, or the refusal."""

    account_id: str
    user: User | None = None
    error: MasteringError | None = None


def decide(engine: Engine, actor: Actor, now: datetime, items: Sequence[Item]) -> list[Result]:
    """Carry out each decision on its own, in order; a result for each."""
    results = []
    for item in items:
        try:
            results.append(Result(item.account_id, user=_carry_out(engine, actor, now, item)))
        except MasteringError as refused:
            results.append(Result(item.account_id, error=refused))
    return results


@again_if_overtaken
def _carry_out(engine: Engine, actor: Actor, now: datetime, item: Item) -> User | None:
    with changing(engine, now, actor) as ledger:
        session = ledger.session
        account = ledger.account(item.account_id)
        terms = terms_of(session, account.app_id, Mode.INCREMENTAL, now)
        match item.verdict:
            case Verdict.LINK:
                user: User | None = _link(ledger, terms, account, item)
            case Verdict.CREATE:
                user = _create(ledger, terms, account, activate=item.activate)
            case Verdict.IGNORE | Verdict.UNIGNORE:
                _ignore(ledger, account, ignored=item.verdict is Verdict.IGNORE)
                user = None
        review_disagreements(ledger, list(ledger.users.values()))
        ledger.flush()
        rematch(ledger, now, Ripple.of(ledger, rows=[account.id]))
        ledger.flush()
        return user


def _link(ledger: Ledger, terms: Terms, account: Account, item: Item) -> User:
    user_id = item.user_id or (account.candidates[0] if len(account.candidates) == 1 else None)
    _require_open(account, user_id)
    if user_id is None:
        raise Invalid("Link refused", "userId: name the user to link to; there is no single proposed match")
    user = ledger.user(user_id)
    holder = _active_in(account.app_id, user)
    if holder is not None and holder.id != account.id:
        raise Invalid("Link refused", f"userId: {user.login} already has an active account of this app; unassign that one first")
    if not _is_active(account):  # linking an account that is itself inactive is no return
        ledger.link(account, user, Why(rule="reviewed"))
        return user
    account.account = AccountState.ACTIVE
    prepared = _prepared(terms, account)
    change = plan_review(terms, prepared, account, user)
    why = replace(why_of(change, 0), rule="reviewed", row=None)
    account.unheeded, account.unheeded_reason = change.effect.get("unheeded") or (None, None)
    ledger.link(account, user, why)
    new = change.effect.get("new", {})
    login = new.get("login")
    if isinstance(login, str) and fold_login(login) != fold_login(user.login):
        _require_free(ledger.session, login)
    if change.decision.trigger is not None:
        ledger.move(user, change.decision.trigger, replace(why, rule=change.decision.rule.value), new=new, account=account)
    elif new:
        ledger.change_profile(user, new, why, account=account)
    return user


def _create(ledger: Ledger, terms: Terms, account: Account, *, activate: bool) -> User:
    _require_open(account, None)
    if not _is_active(account):
        raise WrongState("This account is not active in its app; there is nobody to create")
    account.account = AccountState.ACTIVE
    prepared = _prepared(terms, account)
    _require_free(ledger.session, prepared.login)
    user = ledger.create(dict(prepared.mapped), Why(rule="reviewed"), account=account)
    if activate:
        ledger.move(user, Trigger.activate, Why(rule="reviewed"), account=account)
    return user


def _ignore(ledger: Ledger, account: Account, *, ignored: bool) -> None:
    if account.ignored == ignored:
        raise WrongState("This account is ignored already" if ignored else "This account is not ignored")
    if account.situation is None:
        raise WrongState("This account no longer waits for review")
    account.ignored = ignored
    if account.said is not AccountState.ACTIVE:  # it went while it was ignored
        account.situation, account.reason, account.candidates, account.ways = None, None, (), ()
    ledger.note_account(account, Why(rule="reviewed"), "account.ignore" if ignored else "account.unignore")


def _require_open(account: Account, user_id: str | None) -> None:
    """Waiting or released accounts are a reviewer's to decide about. One that is assigned stays with its user until it is unassigned."""
    if account.situation is None and not account.released:
        raise WrongState("This account no longer waits for review")
    if account.user_id not in {None, user_id} and not account.released:
        raise WrongState("This account is assigned to a user; unassign it before giving it to another")


def _is_active(account: Account) -> bool:
    """Whether the account's last record said active, a return that is kept waiting included."""
    return account.said is AccountState.ACTIVE


def _prepared(terms: Terms, account: Account) -> Prepared:
    prepared = prepare_again(terms, account)
    if not isinstance(prepared, Prepared):
        raise Invalid("The account's last record is invalid", prepared.detail)
    return prepared


def _active_in(app_id: str, user: User) -> Account | None:
    mine = (link for link in user.links if link.app_id == app_id and not link.released and link.account is AccountState.ACTIVE)
    return next(mine, None)


def _require_free(session: Session, login: str) -> None:
    if user_store.login_holders(session, {fold_login(login)}):
        raise Invalid("Login taken", LOGIN_TAKEN)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting account with the people it might be."""

    account: Account
    candidates: tuple[User, ...]


def queue(
    engine: Engine, *, app_id: str | None = None, situation: str | None = None, ignored: bool = False, after: str = "", limit: int = 200
) -> list[Waiting]:
    """The next rows of the review queue, ascending by account id (API.md, /review)."""
    account = tables.AppUser
    with reading(engine) as session:
        query = select(col(account.id)).where(col(account.situation).is_not(None), col(account.ignored) == ignored, col(account.id) > after)
        if app_id is not None:
            query = query.where(col(account.app_id) == app_id)
        if situation is not None:
            query = query.where(col(account.situation) == situation)
        ids = list(session.execute(query.order_by(col(account.id)).limit(limit)).scalars())
        return _with_candidates(session, ids)


def waiting(engine: Engine, account_id: str) -> Waiting:
    """One row of the queue; raises `NotFound`."""
    with reading(engine) as session:
        found = _with_candidates(session, [account_id])
    if not found or found[0].account.situation is None:
        raise NotFound(f"Not found: Resource not found: {account_id} (AppUser waiting for review)")
    return found[0]


def _with_candidates(session: Session, ids: list[str]) -> list[Waiting]:
    accounts = people.accounts(session, ids)
    users = people.users(session, {user_id for account in accounts.values() for user_id in account.candidates})
    return [Waiting(accounts[each], tuple(users[c] for c in accounts[each].candidates if c in users)) for each in ids if each in accounts]
