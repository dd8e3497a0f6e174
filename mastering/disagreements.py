"""Words of masters that were heard and not followed, asked again when the facts change (SPEC §3, standing disagreement).

An import that does not follow a word leaves it on the account: `unheeded` is the trigger it asked for, `unheeded_reason` what stopped it.
Whatever changes a hold, a rank, a switch, a link or a status asks the word again in the same transaction. Where nothing stops it any
more, a finding is made and the reason is emptied, so that it is made once. Nothing is moved here: a person is not suspended because an
admin reordered a list.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlmodel import Session

from mastering.ids import new_id
from mastering.ledger import Ledger, Why
from mastering.rules.disagreement import ask_again
from mastering.rules.people import Account, User
from mastering.rules.policy import ImportPolicy
from mastering.rules.ranking import authority
from mastering.store import bulk, catalog, tables
from mastering.store import users as store

_FINDING = ("id", "user_id", "app_id", "app_user_id", "trigger", "cause", "created")


def review_disagreements(ledger: Ledger, users: Collection[User]) -> int:
    """Ask the unheeded words about these loaded users again; the number of findings made. The caller flushes the ledger."""
    unheeded = [(user, account) for user in users for account in user.links if account.unheeded is not None]
    if not unheeded:
        return 0
    ranking = catalog.ranking(ledger.session)
    policies = {app_id: _policy(ledger.session, app_id) for app_id in {account.app_id for _, account in unheeded}}
    return sum(_ask(ledger, policies[account.app_id], ranking, user, account) for user, account in unheeded)


def review_all_disagreements(ledger: Ledger, *, app_id: str | None = None) -> int:
    """The same for every user of whom a word stands unheeded, of one app or of any: after a change of ranks, switches or options."""
    ids = store.unheeded_ids(ledger.session, app_id)
    ledger.load_users(ids)
    return review_disagreements(ledger, [ledger.users[user_id] for user_id in ids])


def _policy(session: Session, app_id: str) -> ImportPolicy:
    return catalog.policy_of(session.get_one(tables.App, app_id))


def _ask(ledger: Ledger, policy: ImportPolicy, ranking: Sequence[str], user: User, account: Account) -> bool:
    """Whether a finding was made."""
    decision = ask_again(policy, ranking, user, account, ledger.at)
    if decision.reason == account.unheeded_reason or (decision.trigger is None and decision.reason is None):
        return False
    stopped_by, account.unheeded_reason = account.unheeded_reason, decision.reason
    speaking = authority([other.link for other in user.links], ranking)
    facts = {"status": user.status.value, "held": user.held(ledger.at), "trigger": account.unheeded, "stoppedBy": stopped_by}
    why = Why(decision.rule.value, decision.reason, speaking.app_id if speaking else None, facts=facts)
    if decision.trigger is None:
        ledger.note_account(account, why, "account.unheeded")
        return False
    account.unheeded = facts["trigger"] = decision.trigger.value
    row = (new_id("fnd"), user.id, account.app_id, account.id, decision.trigger.value, stopped_by, ledger.at)
    bulk.insert(ledger.session, tables.Finding, _FINDING, [row])
    ledger.note_account(account, why, "finding.made")
    return True
