"""Which errors of a database are nobody's fault here: it was away, full, or somebody else was quicker.

Whoever meets one tries again later. Anything else is a fault of the program or of the data and would come back every time.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from mastering.store.looks import OvertakenError

_OF_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_PRIMARY = 0xFF
_OF_POSTGRESQL = ("08", "25P03", "40", "53", "55P03", "57", "58")
"""Connection lost, idle for too long, rolled back for another's sake, resources, lock not to be had, operator's intervention, system."""


def is_about_a_login(fault: IntegrityError) -> bool:
    """Whether two users were to have one login."""
    return "login_key" in str(fault.orig)


def is_about_an_account(fault: IntegrityError) -> bool:
    """Whether an app was to have two accounts of one external id, or a user two places in one app."""
    return "ux_app_users_external" in str(fault.orig) or "ux_app_users_place" in str(fault.orig)


def is_outage(fault: BaseException) -> bool:
    """Whether the same again may go well later."""
    if isinstance(fault, (NoConnectionFree, OvertakenError)):
        return True
    if isinstance(fault, DBAPIError):
        return fault.connection_invalidated or is_outage(fault.orig or RuntimeError())
    if isinstance(fault, sqlite3.Error):
        return (getattr(fault, "sqlite_errorcode", None) or 0) & _PRIMARY in _OF_SQLITE
    state = getattr(fault, "sqlstate", "")
    lost = state is None and type(fault).__name__ in {"OperationalError", "InterfaceError"}  # the server had no time to say why
    return lost or str(state or "").startswith(_OF_POSTGRESQL)
