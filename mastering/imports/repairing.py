"""Planning a repair: a run that no records came for, made of what a reconciliation found (SPEC §12; docs/decisions/0048).

It is an import run in everything else: its safeguards, its approval, its batches, its history. What is planned is decided by the facts of
the moment in which it is planned; the reconciliation only says whom to look at. Waiting rows are matched again, as by any delta.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session

from mastering.imports.planning import Planner
from mastering.reconcile.comparing import pasts_of
from mastering.rules.change import Change, Terms
from mastering.rules.people import Account, User
from mastering.rules.reconciliation import Past, repair
from mastering.store import people, reconciliations

RECONCILIATION = "RECONCILIATION"
"""The source of a run that repairs."""
_AT_ONCE = 2_000


class RepairPlanner(Planner):
    """Plans what can be repaired of what the run's reconciliation found of its app."""

    def _plan_standing(self) -> None:
        after, looked_at = 0, set[str]()
        while rows := self._next(after):
            self._writer.lease.beat()
            after = rows[-1][0]
            accounts = people.accounts(self._session, {account_id for _, account_id, _ in rows})
            users = people.users(self._session, {account.user_id for account in accounts.values() if account.user_id})
            pasts = pasts_of(self._session, users)
            planned = []
            for account_id in dict.fromkeys(account_id for _, account_id, _ in rows if account_id not in looked_at):
                looked_at.add(account_id)
                account = accounts.get(account_id)
                user = users.get(account.user_id or "") if account is not None else None
                change = repair(self._terms, account, user, pasts[user.id]) if account is not None and user is not None else None
                if change is not None and user is not None:
                    planned.append((change, user))
            self._take(planned)

    def _next(self, after: int) -> Sequence[tuple[int, str, str | None]]:
        run = self._run
        return reconciliations.accounts_to_repair(self._session, run.origin or "", run.app_id, after, _AT_ONCE)


def repaired(session: Session, terms: Terms, account: Account, user: User) -> Change | None:
    """The row of a repair, decided again on the facts as they are."""
    return repair(terms, account, user, pasts_of(session, [user.id]).get(user.id, Past()))


def is_repair(planned: Change) -> bool:
    """Whether a row of a plan was made by a repair, and not by a record or a waiting row."""
    return bool(planned.effect.get("facts", {}).get("standing"))
