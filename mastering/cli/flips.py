"""Flips in words: what would have had to be different, as somebody says it who does not know the program (SPEC §13)."""

from __future__ import annotations

from mastering.cli.why_wire import Flip
from mastering.rules.lifecycle import CONSOLE_LABEL, Status
from mastering.rules.neighbours import Knob

_SWITCHES = {
    Knob.reactivate_suspended: "“reactivate suspended users”",
    Knob.reactivate_deactivated: "“reactivate deactivated users”",
    Knob.auto_confirm_exact: "“auto-confirm exact matches”",
    Knob.auto_confirm_partial: "“auto-confirm partial matches”",
    Knob.auto_confirm_new: "“auto-confirm new users”",
    Knob.auto_activate_new: "“auto-activate new users”",
    Knob.username: "matching by username",
    Knob.email: "matching by email",
    Knob.allow_partial: "“allow partial matches”",
}
"""Switches of an app's policy, as its administrator knows them."""

_TRUE_OR_FALSE = {
    Knob.hold: ("an admin hold on the user", "no admin hold on the user"),
    Knob.exact: ("a record that matches the user exactly", "a record that does not match the user exactly"),
    Knob.pending: ("a user who was never activated", "a user who had been active before"),
    Knob.assigned: ("the account of {app} assigned", "the account of {app} unassigned"),
    Knob.master: ("{app} a profile master, ranked last", "{app} no profile master"),
    Knob.said: ("{app} saying that the account is active", "{app} saying that the account is gone"),
    Knob.released: ("the account of {app} given up before", "the account of {app} not given up before"),
    Knob.attributes: ("matching by attributes", "matching by username instead of by attributes"),
    Knob.place: ("an active account of this app", "{user}'s active account of this app unassigned"),
    Knob.login: ("a login that somebody has", "the login given up by {user}, who has it"),
    Knob.claim: ("another record that claims the same", "no other record that claims the same"),
    Knob.candidate: ("{user} a candidate", "{user} not being a candidate"),
}
"""What a flip to true and to false means."""

_MATCHES = {"EXACT": "an exact match", "PARTIAL": "a match of the name alone", "UNMATCHED": "nobody whom the record matches"}


def in_words(flip: Flip) -> str:
    """What is otherwise, and whose it is."""
    app = flip.label or "the app"
    if flip.what not in set(Knob):
        return f"{flip.what} {flip.to}"  # a newer server knows more
    knob = Knob(flip.what)
    if knob in _SWITCHES:
        return f"{app}: {_SWITCHES[knob]} {'on' if flip.to else 'off'}"
    if knob is Knob.place and flip.user_id is None:
        return f"no other account of {app} in the place of this one"
    if knob in _TRUE_OR_FALSE:
        return _TRUE_OR_FALSE[knob][not flip.to].format(app=app, user=flip.user_id)
    return {
        Knob.when_deactivated: f"{app}: “when a user is deactivated in the app” {flip.to} instead of {flip.from_}",
        Knob.rank: f"{app} ranked {flip.to} instead of {flip.from_}",
        Knob.match: _MATCHES.get(str(flip.to), str(flip.to)),
        Knob.status: f"the user {CONSOLE_LABEL[Status(flip.to)].lower()} before" if knob is Knob.status else "",
    }[knob]
