"""The rules alone: a CHANGED, a WENT_INACTIVE and a CAME_BACK record in turn, assessed and decided in memory."""

from __future__ import annotations

from itertools import cycle, islice
from time import perf_counter

from mastering.rules.decision import FULL_POWERS, Facts, Known, Word, assess, decide
from mastering.rules.lifecycle import Status
from mastering.rules.policy import ImportPolicy, Mastering
from mastering.rules.record import AccountState


def rate(count: int) -> float:
    """Records decided a second: the situation of each, and what is done about it."""
    policy = ImportPolicy(mastering=Mastering(enabled=True, reactivate_suspended=True, reactivate_deactivated=True))
    facts = {status: Facts(status, exact=True, pending_when_deactivated=False, held=False) for status in Status}
    cases = [
        (Word(present=True, active=active, same=same), Known(linked=True, released=False, waiting=False, account=account), facts[status])
        for active in (True, False)
        for same in (True, False)
        for account in AccountState
        for status in Status
    ]
    todo = list(islice(cycle(cases), count))
    started = perf_counter()
    for word, known, fact in todo:
        decide(policy, FULL_POWERS, assess(word, known), fact)
    return count / (perf_counter() - started)
