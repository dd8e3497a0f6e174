"""A master's word that was heard and not followed: does anything still stop it? (SPEC §3, standing disagreement)

The word is the account's standing state: active, inactive or missing. It is put to the same tables as when it was fresh, with the facts
of now. The answer is a decision that nobody carries out:

=====================  ==================================================================
it has a reason        the word is still stopped, by that
it has a trigger       nothing stops it any more: that is a finding
neither                the person stands as the word wanted, or it asks for nothing today
=====================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

from mastering.rules.decision import FULL_POWERS, NO_POWERS, Decision, Facts, Situation, decide
from mastering.rules.lifecycle import Trigger
from mastering.rules.people import Account, User
from mastering.rules.policy import ImportPolicy
from mastering.rules.ranking import authority
from mastering.rules.record import AccountState

_WORDS = {
    AccountState.ACTIVE: Situation.CAME_BACK,
    AccountState.INACTIVE: Situation.WENT_INACTIVE,
    AccountState.MISSING: Situation.WENT_MISSING,
}


def ask_again(policy: ImportPolicy, ranking: Sequence[str], user: User, account: Account, at: str) -> Decision:
    """What an account's standing word would do to its user at `at`, were it said for the first time now.

    Whether the record matched exactly was judged when the word was heard, and `account.unheeded` remembers it.
    """
    speaking = authority([other.link for other in user.links], ranking)
    powers = FULL_POWERS if speaking is not None and speaking.account_id == account.id else NO_POWERS
    exact = account.unheeded != Trigger.require_activation
    facts = Facts(user.status, exact, user.pending_when_deactivated, user.held(at))
    return decide(policy, powers, _WORDS[account.account], facts, released=account.released)
