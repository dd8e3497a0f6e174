"""Users and accounts, from rows to the rules' values and back, hundreds at a time.

The column tuples are the one place that knows the order in which a row is read and written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, any_, func, literal, select
from sqlmodel import Session, SQLModel, col

from mastering.rules.lifecycle import Status
from mastering.rules.people import Account, Hold, User
from mastering.rules.record import AccountState
from mastering.rules.text import fold_login, fold_name, joined_names
from mastering.store import tables
from mastering.store.bulk import Row
from mastering.store.documents import dump, load
from mastering.store.texts import Texts

MAX_IN = 5_000
"""Values that are asked for at once."""

USER_PROFILE = ("login", "login_key", "email_key", "name_key", *tables.SEARCHED_ATTRIBUTES.values(), "profile")
"""What follows from a user's profile: most of the indexes are over these, so they are written only where the profile has changed."""
USER_STANDING = (
    "status",
    "pending_when_deactivated",
    "held",
    "hold_reason",
    "hold_until",
    "hold_since",
    "hold_by",
    "activated",
    "status_changed",
    "last_updated",
    "version",
    "history_seq",
    "history_hash",
)
USER_COLUMNS = (*USER_PROFILE, *USER_STANDING, "created", "id")
ACCOUNT_PLACE = ("external_id", "user_id", "released", "profile", "situation")
"""By what an account is found, and its profile: the indexes are over these, and the profile is long."""
ACCOUNT_STANDING = (
    "account",
    "seen_active",
    "ignored",
    "digest",
    "reason",
    "candidates",
    "unheeded",
    "unheeded_reason",
    "linked_at",
    "last_run_id",
    "last_updated",
    "history_seq",
    "history_hash",
)
ACCOUNT_COLUMNS = (*ACCOUNT_PLACE, *ACCOUNT_STANDING, "app_id", "created", "id")


def _columns(table: type[SQLModel], names: Iterable[str]) -> list[Any]:
    return [getattr(table, name) for name in names]


_USERS = _columns(tables.User, USER_COLUMNS)
_ACCOUNTS = _columns(tables.AppUser, ACCOUNT_COLUMNS)


def user_from(row: Any) -> User:
    """A user of a row read by `USER_COLUMNS`, without links."""
    hold = Hold(row.hold_reason, row.hold_until, row.hold_since, row.hold_by) if row.held else None
    return User(
        id=row.id,
        status=Status(row.status),
        login=row.login,
        profile=load(row.profile),
        created=row.created,
        last_updated=row.last_updated,
        pending_when_deactivated=bool(row.pending_when_deactivated),
        hold=hold,
        activated=row.activated,
        status_changed=row.status_changed,
        version=row.version,
        history_seq=row.history_seq,
        history_hash=row.history_hash,
    )


def user_row(user: User) -> Row:
    """The row of a user, in the order of `USER_COLUMNS`."""
    return (*_profile_of(user), *_standing_of(user), user.created, user.id)


def user_changes(user: User) -> Row:
    """What a user's row gets whose profile has changed: `USER_PROFILE`, `USER_STANDING`, and the key."""
    return (*_profile_of(user), *_standing_of(user), user.id)


def user_standing(user: User) -> Row:
    """What the row of one gets whose profile has not: `USER_STANDING`, and the key."""
    return (*_standing_of(user), user.id)


def _profile_of(user: User) -> Row:
    profile, login_key, email = user.profile, fold_login(user.login), user.profile.get("email")
    first, last, *others = (fold_name(value) if isinstance(value := profile.get(name), str) else "" for name in tables.SEARCHED_ATTRIBUTES)
    return (
        user.login,
        login_key,
        login_key if email == user.login else fold_login(email) if isinstance(email, str) else None,
        joined_names(first, last),
        first,
        last,
        *others,
        dump(profile),
    )


def _standing_of(user: User) -> Row:
    hold = user.hold
    return (
        user.status.value,
        user.pending_when_deactivated,
        hold is not None,
        hold.reason if hold else None,
        hold.until if hold else None,
        hold.since if hold else None,
        hold.by if hold else None,
        user.activated,
        user.status_changed,
        user.last_updated,
        user.version,
        user.history_seq,
        user.history_hash,
    )


def account_from(row: Any) -> Account:
    """An account of a row read by `ACCOUNT_COLUMNS`."""
    return Account(
        id=row.id,
        app_id=row.app_id,
        external_id=row.external_id,
        account=AccountState(row.account),
        profile=load(row.profile),
        created=row.created,
        last_updated=row.last_updated,
        user_id=row.user_id,
        released=bool(row.released),
        seen_active=bool(row.seen_active),
        ignored=bool(row.ignored),
        digest=row.digest,
        situation=row.situation,
        reason=row.reason,
        candidates=tuple(load(row.candidates)),
        unheeded=row.unheeded,
        unheeded_reason=row.unheeded_reason,
        linked_at=row.linked_at,
        last_run_id=row.last_run_id,
        history_seq=row.history_seq,
        history_hash=row.history_hash,
    )


def account_row(account: Account) -> Row:
    """The row of an account, in the order of `ACCOUNT_COLUMNS`."""
    return (*_place_row(account), *_standing_of_account(account), account.app_id, account.created, account.id)


def account_changes(account: Account) -> Row:
    """What an account's row gets whose place has changed: `ACCOUNT_PLACE`, `ACCOUNT_STANDING`, and the key."""
    return (*_place_row(account), *_standing_of_account(account), account.id)


def account_standing(account: Account) -> Row:
    """What the row of one gets whose place has not: `ACCOUNT_STANDING`, and the key."""
    return (*_standing_of_account(account), account.id)


def place_of(account: Account) -> Row:
    """What `ACCOUNT_PLACE` is made of, as it is now, to be compared later."""
    return (account.external_id, account.user_id, account.released, dict(account.profile), account.situation)


def _place_row(account: Account) -> Row:
    return (account.external_id, account.user_id, account.released, dump(account.profile), account.situation)


def _standing_of_account(account: Account) -> Row:
    return (
        account.account.value,
        account.seen_active,
        account.ignored,
        account.digest,
        account.reason,
        dump(account.candidates) if account.candidates else "[]",
        account.unheeded,
        account.unheeded_reason,
        account.linked_at,
        account.last_run_id,
        account.last_updated,
        account.history_seq,
        account.history_hash,
    )


def users(session: Session, ids: Collection[str], *, lock: bool = False) -> dict[str, User]:
    """The users of these ids, with their links; ids without a user are left out. `lock` keeps others from changing either meanwhile."""
    found: dict[str, User] = {}
    for part in slices(ids):
        query = select(*_USERS).where(among(session, col(tables.User.id), part))
        found.update((row.id, user_from(row)) for row in session.execute(_locked(query, col(tables.User.id), lock=lock)))
        for account in _accounts(session, among(session, col(tables.AppUser.user_id), part), lock=lock):
            if account.user_id in found:
                found[account.user_id].links.append(account)
    return found


def user_id_of(session: Session, id_or_login: str) -> str | None:
    """The id of the user with this id or this login."""
    by_id = session.execute(select(col(tables.User.id)).where(col(tables.User.id) == id_or_login)).scalar()
    if by_id is not None:
        return str(by_id)
    by_login = session.execute(select(col(tables.User.id)).where(col(tables.User.login_key) == fold_login(id_or_login))).scalar()
    return None if by_login is None else str(by_login)


def accounts(session: Session, ids: Collection[str], *, lock: bool = False) -> dict[str, Account]:
    """The accounts of these ids; `lock` as in `users`."""
    return {
        found.id: found for part in slices(ids) for found in _accounts(session, among(session, col(tables.AppUser.id), part), lock=lock)
    }


def owners(session: Session, account_ids: Collection[str]) -> set[str]:
    """The ids of the users to whom these accounts are linked."""
    query = select(col(tables.AppUser.user_id)).where(col(tables.AppUser.user_id).is_not(None))
    return {row[0] for part in slices(account_ids) for row in session.execute(query.where(among(session, col(tables.AppUser.id), part)))}


def accounts_of_app(session: Session, app_id: str, external_ids: Collection[str]) -> dict[str, Account]:
    """The accounts of one app by their external ids."""
    where = col(tables.AppUser.app_id) == app_id
    return {
        found.external_id: found
        for part in slices(external_ids)
        for found in _accounts(session, where & among(session, col(tables.AppUser.external_id), part))
    }


def waiting_accounts(session: Session, app_id: str | None = None, *, linked: bool = False) -> Iterator[Account]:
    """Every account without a user in the review queue, of one app or of all, ignored ones included; or, `linked`, every one with a user."""
    user_id = col(tables.AppUser.user_id)
    where = col(tables.AppUser.situation).is_not(None) & (user_id.is_not(None) if linked else user_id.is_(None))
    if app_id is not None:
        where = where & (col(tables.AppUser.app_id) == app_id)
    return _accounts(session, where)


def _accounts(session: Session, where: ColumnElement[bool], *, lock: bool = False) -> Iterator[Account]:
    query = _locked(select(*_ACCOUNTS).where(where), col(tables.AppUser.id), lock=lock)
    return (account_from(row) for row in session.execute(query))


def _locked(query: Select[Any], key: Any, *, lock: bool) -> Select[Any]:
    """A query whose rows are locked in the order of their key. SQLite leaves that out: its writer is alone anyway."""
    return query.order_by(key).with_for_update(key_share=True) if lock else query


def among(session: Session, column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """Whether a column has one of these texts. They are bound as one value: thousands are not named, parsed and planned one by one."""
    if session.get_bind().dialect.name == "postgresql":
        return cast("ColumnElement[bool]", column == any_(literal(values, Texts())))
    return cast("ColumnElement[bool]", column.in_(select(func.json_each(dump(list(values))).table_valued("value").c.value)))


def slices(values: Collection[str]) -> Iterator[list[str]]:
    """Pieces of at most `MAX_IN` values, ascending, so that two writers lock rows in the same order."""
    ordered = sorted(values)
    return (ordered[start : start + MAX_IN] for start in range(0, len(ordered), MAX_IN))
