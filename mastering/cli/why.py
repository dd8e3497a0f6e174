"""`mastering why`: what happened to a person, who decided it, on which facts, who could have prevented it, and what would have changed it.

The server answers in names; here they become sentences. What the rules said of the neighbours is told in two parts: first what would have
left the person where they were, then whatever else would have come out differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from mastering.cli import show
from mastering.cli.client import Client, segment
from mastering.cli.common import DATA_DIR, SERVER, DataDir, Server, Token, connect
from mastering.cli.exits import Exit, Stop
from mastering.cli.flips import in_words
from mastering.cli.terminal import console, grid, words
from mastering.cli.why_wire import Alternative, Candidate, Considered, WaitingWhy, Why
from mastering.cli.wire import App, Event

_AN_ACCOUNT = "0ua"
_MOST = 12
_PLACE = "  "


SILENCES = {
    "outranked": "outranked",
    "released": "released: it was given up, or unassigned",
    "never_seen_active": "no import has shown it active yet",
    "not_a_master": "its app is not a profile master",
}
_LOST = {
    "ambiguous": "fits no better than the others, and nobody guesses",
    "not_confirmed": "fits, and the app's options leave it to a reviewer",
    "exact_beats_partial": "only the name is the same, and somebody fits exactly",
    "no_match_but_has_the_login": "does not match, and has the login that the record asks for",
    "no_match": "does not match under the app's options",
    "unmatched": "does not match",
    **{reason: show.REASONS[reason] for reason in ("place_taken", "login_taken", "login_claimed_twice", "user_claimed_twice")},
}


_Move = tuple[str | None, str | None]
"""From one status to another."""


def why(
    user: Annotated[str, typer.Argument(help="The user's login or id; or the id of an account that waits for review.", show_default=False)],
    event: Annotated[str | None, typer.Option(help="The event: its id, or its number in the user's history.")] = None,
    at: Annotated[str | None, typer.Option(help="The last change of status up to this instant, such as 2026-03-01T12:00:00Z.")] = None,
    server: Server = SERVER,
    token: Token = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Tell why the last change of a user's status came about, who could have prevented it, and what would have changed it.

    With --event, why any event of the history came about: words that were not followed as well. For the id of a waiting account: why it
    waits, why each candidate lost, and what would confirm it.
    """
    if event is not None and at is not None:
        raise Stop(Exit.BAD_INPUT, "Name an event or an instant, not both")
    with connect(server, token, data_dir) as client:
        labels = {app.id: app.label for app in client.pages("/apps", App, {"limit": "200"})}
        if user.startswith(_AN_ACCOUNT) and len(user) == 20:
            _print(_waiting(client.get(f"/review/{segment(user)}/why", WaitingWhy), labels))
            return
        params = {name: value for name, value in (("event", event), ("at", at)) if value is not None}
        told = client.get(f"/users/{segment(user)}/why", Why, params)
        _print(_explained(told, labels, _login(client, user, told)))


def _login(client: Client, asked: str, told: Why) -> str:
    """What to call the person: as they were asked for, unless that is an id and the person is still there."""
    if asked != told.user_id:
        return asked
    try:
        found: dict[str, Any] = client.get(f"/users/{segment(told.user_id)}", dict[str, Any])
    except Stop:
        return asked  # deleted by now
    return str(found["profile"]["login"])


def _print(parts: Iterable[Any]) -> None:
    out = console()
    for part in parts:
        out.print(part)


def _head(title: str) -> Text:
    return words("\n") if not title else Text(f"\n{title}", style="bold")


# -- an event ---------------------------------------------------------------------------------------------------------


def _explained(told: Why, labels: Mapping[str, str], login: str) -> list[Any]:
    moves = [each for each in told.step if each.to is not None]
    moved = (moves[0].from_, moves[-1].to) if moves else None
    parts = [_happened(told, login, moved), _head("Who decided"), *_decided(told, labels), _head("On which facts"), *_facts(told)]
    parts += _ranking(told)
    if told.candidates:
        parts += [_head("Who was considered"), *(_candidate(each) for each in told.candidates)]
    parts += _outcomes(told, moved)
    if told.refused_since:
        parts.append(_head("Heard since then, and not followed"))
        parts += [_refused(each, labels) for each in told.refused_since[:_MOST]]
    return parts


def _happened(told: Why, login: str, moved: _Move | None) -> Text:
    event = told.event
    what = words(show.move_text(*moved)) if moved is not None else words("status stays ", show.status_text(told.status_before))
    when = words(f"{event.at[:19].replace('T', ' ')} UTC, event {event.seq} ({event.type})", style="dim")
    return words(words(login, style="bold"), "  ", what, "  ", when)


def _decided(told: Why, labels: Mapping[str, str]) -> list[Text]:
    event = next((each for each in told.step if each.facts), told.event)
    actor = event.actor
    if told.decided_by == "import":
        row = f", row {event.row} of its plan" if event.row is not None else ""
        line = f", line {told.row.line} of what was sent" if told.row is not None and told.row.line else ""
        found = [words(_PLACE, "the import ", actor.name, " of ", words(labels.get(actor.id, actor.id), style="bold"), row, line)]
        if told.approved_by is not None:
            found.append(words(_PLACE, "a safeguard had held the import; approved by ", words(told.approved_by["name"], style="bold")))
    else:
        kind = {"admin": "the admin ", "reviewer": "the reviewer ", "service": "the service itself: "}[told.decided_by]
        found = [words(_PLACE, kind, words(actor.name, style="bold"), " by hand" if told.decided_by == "admin" else "")]
    if event.rule is not None:
        found.append(
            words(_PLACE, "rule ", words(event.rule, style="bold"), f": {show.RULES[event.rule]}" if event.rule in show.RULES else "")
        )
    if event.reason is not None:
        refusal = event.reason in show.REASONS
        prefix = "not followed, because " if refusal and event.rule is not None else "reason: "
        found.append(words(_PLACE, prefix, words(show.REASONS.get(event.reason, event.reason), style="yellow")))
    if told.row is not None and told.row.detail:
        found.append(words(_PLACE, words(told.row.detail, style="yellow")))
    return found


def _facts(told: Why) -> list[Text]:
    facts = next((each.facts for each in told.step if each.facts), {})
    said: list[Text] = []
    situation = facts.get("situation")
    if situation is not None:
        said.append(words(situation, f": {show.SITUATIONS[situation]}" if situation in show.SITUATIONS else ""))
    if told.status_before is not None:
        said.append(words("the user was ", show.status_text(told.status_before)))
    else:
        said.append(words("there was no such user yet"))
    said.append(words("an admin hold was in force" if told.held else "no admin hold was in force"))
    if "exact" in facts:
        said.append(words("the record matched the user exactly" if facts["exact"] else "the record did not match the user exactly"))
    if facts.get("pendingWhenDeactivated"):
        said.append(words("the user had never been activated when deactivated"))
    attributes = {name: each for event in told.step for name, each in event.attributes.items()}
    if told.status_before is not None:
        said += [show.attribute_text(name, each) for name, each in attributes.items()]
    if not told.agrees:
        said.append(words("these facts are not the whole story: the rules, asked again, answer otherwise", style="yellow"))
    return [words(_PLACE, each) for each in said]


def _ranking(told: Why) -> list[Any]:
    if not told.voices:
        return [_head("Who had authority"), words(_PLACE, "nobody: the directory itself masters the user")]
    table = grid("  rank", "app", "account", "authority")
    for voice in told.voices:
        rank = words(_PLACE, voice.rank if voice.rank is not None else "–")
        state = words(voice.account, ", released" if voice.released else "", "  ← this word" if voice.spoke else "")
        say = words("authority", style="green") if voice.silent is None else words("none: ", SILENCES.get(voice.silent, voice.silent))
        table.add_row(rank, words(voice.label), state, say)
    return [_head("Who had authority"), table]


def _candidate(each: Candidate) -> Text:
    verdict = words("linked", style="green") if each.lost is None else words(_LOST.get(each.lost, each.lost))
    return words(_PLACE, words(each.login or each.user_id, style="bold"), ": ", verdict)


def _refused(event: Event, labels: Mapping[str, str]) -> Text:
    app = labels.get(event.account.app_id, event.account.app_id) if event.account is not None else event.actor.name
    reason = show.REASONS.get(event.reason or "", event.reason)
    return words(
        _PLACE, f"{event.at[:19].replace('T', ' ')}  {app}: ", words(reason, style="yellow"), words(f"  (--event {event.seq})", style="dim")
    )


def _outcomes(told: Why, moved: _Move | None) -> list[Any]:
    parts: list[Any] = []
    move = moved is not None and moved[0] is not None
    kept = [each for each in told.would_change if move and each.trigger is None]
    others = [each for each in told.would_change if each not in kept]
    if kept:
        parts += [_head("What would have prevented it"), *(_alternative(each, told) for each in kept[:_MOST])]
        parts += _safeguards(told)
    if others:
        title = "What would have made it come out differently"
        parts += [_head(title), *(_alternative(each, told) for each in others[:_MOST])]
    left = max(len(kept) - _MOST, 0) + max(len(others) - _MOST, 0)
    if left:
        parts.append(words(_PLACE, f"… and {left} more; the API names all of them", style="dim"))
    if not told.would_change and told.decided_by == "admin":
        parts += [
            _head("What would have changed it"),
            words(_PLACE, "another decision of the admin: ranks, holds and options bind masters, not admins"),
        ]
        if told.open_moves:
            parts.append(words(_PLACE, "the lifecycle would also have allowed: ", ", ".join(told.open_moves)))
    elif not told.would_change and told.unasked is not None:
        parts += [_head("What would have changed it"), words(_PLACE, told.unasked)]
    elif not told.would_change and told.agrees:
        parts += [
            _head("What would have changed it"),
            words(_PLACE, "nothing by itself: no option, rank, hold or match, nor any two of them"),
        ]
    return parts


def _safeguards(told: Why) -> list[Text]:
    names = {"app": "the app's safeguard", "org": "the organisation's safeguard"}
    return [
        words(
            _PLACE,
            f"{names[name]} at {each.would_hold_at} % or less",
            words(
                f": the import ended {each.unassigned:,} of {each.assigned:,} assignments, and the limit{'' if each.in_force else ', had it been on,'} was {each.limit} %",
                style="dim",
            ),
        )
        for name, each in told.safeguards.items()
        if each.would_hold_at is not None
    ]


# -- what would have been ---------------------------------------------------------------------------------------------


def _alternative(each: Alternative, told: Why | None) -> Text:
    flips = Text(" and ").join(words(in_words(flip)) for flip in each.flips)
    return words(_PLACE, flips, words(" → ", style="dim"), _result(each, told))


def _result(each: Alternative, told: Why | None) -> Text:
    if each.action == "wait":
        return words("waits for a reviewer", words(f" ({show.REASONS.get(each.reason, each.reason)})" if each.reason else "", style="dim"))
    if each.trigger is not None:
        linked = "linked, " if each.action == "link" else ""
        return words(linked, show.status_text(each.to))
    what = {"link": "linked", "release": "the account is released", "update": "the profile is mapped", "none": ""}.get(
        each.action, each.action
    )
    stays = words("status stays ", show.status_text(told.status_before)) if told is not None and told.status_before else words()
    because = words(f" ({show.REASONS.get(each.reason, each.reason)})" if each.reason else "", style="dim")
    if told is not None and each.action in {"none", "link"} and any(event.attributes for event in told.step) and not each.attributes:
        what = what or "its profile is not taken over"
    return words(what, ", " if what and stays else "", stays, because) if what or stays else words("nothing", because)


# -- a waiting account ------------------------------------------------------------------------------------------------


def _waiting(told: WaitingWhy, labels: Mapping[str, str]) -> list[Any]:
    app = labels.get(told.app_id, told.app_id)
    situation = told.situation or ""
    meaning = f": {show.SITUATIONS[situation]}" if situation in show.SITUATIONS else ""
    parts: list[Any] = [words(words(told.external_id, style="bold"), " of ", app, " waits as ", words(situation, style="yellow"), meaning)]
    if told.reason is not None and told.reason != situation.lower():
        parts.append(words(_PLACE, show.REASONS.get(told.reason, told.reason)))
    if told.ignored:
        parts.append(words(_PLACE, "a reviewer ignores it"))
    if told.fault is not None:
        parts.append(words(_PLACE, "its last record is invalid by now: ", told.fault))
    if told.would_be is not None and told.would_be != situation:
        parts.append(words(_PLACE, f"the next run would find it {told.would_be}"))
    parts += [_head("Who was considered"), *(_considered(each) for each in told.considered)]
    if not told.considered:
        parts.append(words(_PLACE, "nobody shares a login, an address, a name or the chosen attributes with it"))
    if told.cut:
        parts.append(words(_PLACE, "… and more people of this name", style="dim"))
    if told.rivals:
        parts.append(_head("Which other records claim the same"))
        parts += [words(_PLACE, rival.external_id) for rival in told.rivals]
    confirmed = [each for each in told.would_change if each.action in {"link", "create"}]
    parts.append(_head("What would confirm it"))
    logins = {each.user_id: each.login for each in told.considered}
    parts += [_confirmation(each, app, logins) for each in confirmed[:_MOST]]
    if not confirmed:
        parts.append(words(_PLACE, "a reviewer alone"))
    return parts


def _considered(each: Considered) -> Text:
    agrees = f"agrees in {', '.join(each.agrees)}" if each.agrees else "agrees in nothing"
    verdict = words(_LOST.get(each.lost, show.REASONS.get(each.lost, each.lost)), style="yellow")
    return words(_PLACE, words(each.login, style="bold"), " (", show.status_text(each.status), f"), {agrees}: ", verdict)


def _confirmation(each: Alternative, app: str, logins: Mapping[str, str]) -> Text:
    for flip in each.flips:
        flip.label = flip.label or app
        flip.user_id = logins.get(flip.user_id or "", flip.user_id)
    what = (
        words("a new user") if each.action == "create" else words("linked to ", logins.get(each.user_id or "", each.user_id or "the user"))
    )
    moved = words(", ", show.status_text(each.to)) if each.to is not None and each.action == "link" else words()
    return words(_PLACE, Text(" and ").join(words(in_words(flip)) for flip in each.flips), words(" → ", style="dim"), what, moved)
