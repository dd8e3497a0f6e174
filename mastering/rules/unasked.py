"""Events of a person's history that no rule was asked about, and why there is nothing else that would have changed them (SPEC §13).

Ranks, options and holds decide what a *master's word* does to a person. What is not such a word has no neighbours: who acts by hand decides
alone, and what follows from something else goes back to that. Each kind says here why it is so; a test goes through all kinds there are.
"""

from __future__ import annotations

_BY_HAND = "an admin's own act: ranks, holds and options bind masters, not admins"
_TOLD_AN_APP = (
    "it tells what an app was told of the person, or what came of it, which follows from the status and the app's own switches (To App)"
)
_UNDONE = "an undo takes back what a run did, and asks no rank and no option; what has changed since is left alone"
_OF_ITSELF = {
    "user.hold.expired": "the end came that the admin gave the hold: another end, or none, would have kept it",
    "user.attributes.removed": "the attribute was taken out of the user schema, for everybody",
    "user.remaster": "the masters' profiles were mapped again, as somebody changed an option; nobody had authority over the person",
    "user.remaster.rejected": "the profile that the masters map to was refused: without the faults that the event names it would have been mapped",
    "account.forget": "the app was deleted, and all its accounts with it",
    "account.taken": "a reviewer gave the account to somebody else",
}
APP_PROFILE = "what this app's word would have written with authority is not known: apps' profiles are no part of the history"
"""Of a word that changed the app's own profile alone."""


def unasked(kind: str, rule: str | None, *, by_hand: bool) -> str | None:
    """Why no rule was asked about an event; `None` where one should have been."""
    if rule == "undone":
        return _UNDONE
    if kind.startswith("account.push."):
        return _TOLD_AN_APP
    return _OF_ITSELF.get(kind) or (_BY_HAND if by_hand else None)
