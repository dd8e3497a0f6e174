"""How an account differs from what its app says of it today (SPEC §12).

What an import brought, or a push told, stands on the account: whether it is active, and its profile. Held against the app itself it shows
what happened there since. None of it is repaired from here: what the app is the source of, the next import brings, and what it is told, the
next push. *Could not read* is never *gone*, and of what is still to be told nobody is surprised that the app does not say it.

====================  =====================  ==================================================================
the account here      the app                what differs
====================  =====================  ==================================================================
ACTIVE or INACTIVE    does not know it       `app_account_gone`
any                   says otherwise         `app_active_differs`; for MISSING, that it is there
any                   has other values       `app_attributes_differ`
nobody's, ignored     whatever it says       nothing: an admin or an ended assignment wants nothing of it
none                  knows somebody         `app_account_unknown`
====================  =====================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mastering.rules.expressions import Value
from mastering.rules.people import Account
from mastering.rules.reconciliation import IN_WORDS, Cause, Difference, Kind
from mastering.rules.record import AccountState


@dataclass(frozen=True, slots=True)
class There:
    """A user as the app has it. `active`: `None` where it does not say. `profile`: `None` where what it says cannot be used.

    Of an attribute that is not in `profile` the app says nothing.
    """

    active: bool | None
    profile: Mapping[str, Value] | None


def against_app(account: Account, login: str | None, there: There | None, *, untold: bool, whole: bool) -> list[Difference]:
    """All in which an account differs from what the app says of it; `there` is `None` where the app does not know it.

    `untold`: something is still to be told the app of it. `whole`: every user of the app could be read, so that nobody else can be meant.
    """
    if account.released or account.ignored:
        return []
    if there is None:
        gone = whole and account.said is not AccountState.MISSING
        return [_difference(Kind.app_account_gone, account, login, untold, {"account": account.said.value}, {})] if gone else []
    found = []
    active = there.active is not False
    says = AccountState.ACTIVE if active else AccountState.INACTIVE
    silent = there.active is None and account.said is not AccountState.MISSING
    if says is not account.said and not silent:
        expected, actual = {"account": account.said.value}, {"account": says.value}
        found.append(_difference(Kind.app_active_differs, account, login, untold, expected, actual))
    names = sorted(name for name, value in (there.profile or {}).items() if _plain(value) != _plain(account.profile.get(name)))
    if names and there.profile is not None:
        here, said = ({name: side.get(name) for name in names} for side in (account.profile, there.profile))
        found.append(_difference(Kind.app_attributes_differ, account, login, untold, here, said))
    return found


def unknown(app_id: str, external_id: str, there: There) -> Difference:
    """A user of the app of whom no account is known here. Told by the app's own id alone: nobody has asked for this person's values yet."""
    said = {} if there.active is None else {"account": (AccountState.ACTIVE if there.active else AccountState.INACTIVE).value}
    cause = Cause.app_says_otherwise
    detail = f"the app has a user {external_id} of whom no account is known here: {IN_WORDS[cause]}"
    return Difference(Kind.app_account_unknown, cause, detail, app_id=app_id, external_id=external_id, actual=said)


def not_read(app_id: str, cause: Cause, told: str) -> Difference:
    """An app that could not be read, or not wholly."""
    return Difference(Kind.app_not_read, cause, f"{IN_WORDS[cause]}: {told}", app_id=app_id)


_WHAT = {
    Kind.app_account_gone: "is not in the app any more",
    Kind.app_active_differs: "is otherwise active in the app",
    Kind.app_attributes_differ: "has other values in the app",
}


def _difference(
    kind: Kind, account: Account, login: str | None, untold: bool, expected: Mapping[str, Value], actual: Mapping[str, Value]
) -> Difference:
    cause = Cause.not_told_yet if untold else Cause.app_says_otherwise
    which = f" ({', '.join(expected)})" if kind is Kind.app_attributes_differ else ""
    return Difference(
        kind=kind,
        cause=cause,
        detail=f"the account {account.external_id} {_WHAT[kind]}{which}: {IN_WORDS[cause]}",
        app_id=account.app_id,
        user_id=account.user_id,
        account_id=account.id,
        external_id=account.external_id,
        login=login,
        expected=expected,
        actual=actual,
    )


def _plain(value: Value) -> Value:
    """As it is compared: an empty string, and an empty list, is nothing (SPEC §4; RFC 7643 §2.5)."""
    return None if value in ("", []) else value
