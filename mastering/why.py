"""Why something happened to a person, told from history: who decided, on which facts, and what would have changed it (SPEC §13).

Nothing is kept for this beside the history. The person is replayed up to the event, the options are taken back to what they were at that
place (`then`), and the facts of the event complete the case that the rules were asked with. So the rules can be asked again, first about
the case itself, then about its neighbours (`rules.why`). Where they do not give what the event says, the facts are not the whole story (an
app deleted with its runs, say): that is told as `agrees`, and nothing is concluded from it.

One decision may be told by several events: a link, then the move that it is. They are one *step* and are explained together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlmodel import Session, col

from mastering.cases import ARRIVED, REFUSALS, agrees, case_of, decided, links_of, replayed, step_of
from mastering.clock import wire
from mastering.errors import NotFound
from mastering.rules.neighbours import Alternative
from mastering.rules.people import User
from mastering.rules.ranking import Link, authority
from mastering.rules.safeguard import greatest_holding_limit
from mastering.rules.unasked import APP_PROFILE, unasked
from mastering.rules.why import Judged, alternatives, judge, silence
from mastering.store import catalog, history, people, tables
from mastering.store.documents import load
from mastering.store.engine import reading
from mastering.then import options_at


@dataclass(frozen=True, slots=True)
class Voice:
    """A linked account as it was: its app's rank, and why it had no authority; `None` where it had."""

    link: Link
    label: str
    rank: int | None
    silent: str | None
    spoke: bool
    """It was this account's word that the step is about."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who was considered for an account, and what stood in the way; `None` where nothing did."""

    user_id: str
    login: str | None
    lost: str | None


@dataclass(frozen=True, slots=True)
class Limit:
    """A share that a safeguard looked at, and the greatest limit under which the run would have been held for it."""

    unassigned: int
    assigned: int
    limit: int
    in_force: bool
    would_hold_at: int | None


@dataclass(frozen=True, slots=True)
class Explained:
    """A step of a person's history with all that decided it."""

    user_id: str
    event: tables.HistoryEvent
    step: tuple[tables.HistoryEvent, ...]
    before: User | None
    voices: tuple[Voice, ...]
    candidates: tuple[Candidate, ...] = ()
    judged: Judged | None = None
    """What the rules make of the facts; `None` for who acts by hand, whom no rule stands in the way of."""
    agrees: bool = True
    alternatives: tuple[Alternative[Judged], ...] = ()
    safeguards: Mapping[str, Limit] = field(default_factory=dict)
    approved_by: Mapping[str, str] | None = None
    row: tables.RunChange | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    unasked: str | None = None
    """Why no rule was asked about it, and so nothing is named that would have changed it; `None` where the rules were asked."""
    refused_since: tuple[tables.HistoryEvent, ...] = ()
    """Words about the person that were heard later and not followed, newest first."""


def explain(engine: Engine, id_or_login: str, *, event_id: str | None = None, at: datetime | None = None) -> Explained:
    """Why one event of a user's history came about: the one of this id or number, or the last change of status, up to an instant if given.

    Of a user who is deleted, by id. Raises `NotFound`.
    """
    with reading(engine) as session:
        subject = people.user_id_of(session, id_or_login) or id_or_login
        chain = history.chain(session, subject)
        if not chain:
            raise NotFound(f"Not found: Resource not found: {id_or_login} (User)")
        place = _place_of(chain, event_id) if event_id is not None else _last_move(chain, wire(at) if at else None)
        return _explain(session, subject, chain, place)


def _place_of(chain: Sequence[tables.HistoryEvent], event_id: str) -> int:
    for place, event in enumerate(chain):
        if event_id in {event.id, str(event.seq)}:
            return place
    raise NotFound(f"Not found: Resource not found: {event_id} (HistoryEvent)")


def _last_move(chain: Sequence[tables.HistoryEvent], until: str | None) -> int:
    for place in range(len(chain) - 1, -1, -1):
        if (until is None or chain[place].at <= until) and "to" in load(chain[place].body):
            return place
    raise NotFound(f"Not found: Resource not found: a change of status before {until} (HistoryEvent)")


def _explain(session: Session, subject: str, chain: Sequence[tables.HistoryEvent], place: int) -> Explained:
    first, last = step_of(chain, place)
    step = tuple(chain[first:last])
    before, seen_active = replayed(session, chain[:first])
    told = [load(event.body) for event in step]
    options = options_at(session, step[0].position or 0)
    case = case_of(session, step, told, before, seen_active, options)
    links = list(case.links) if case else [replace(account.link, seen_active=account.id in seen_active) for account in links_of(before)]
    labels = _labels(session, {*options.ranking, *(link.app_id for link in links)})
    explained = Explained(
        subject,
        chain[place],
        step,
        before,
        _voices(links, options.ranking, labels, spoke=links[0].account_id if case else None),
        candidates=_candidates(session, subject, told),
        labels=labels,
        refused_since=tuple(event for event in reversed(chain[last:]) if load(event.body).get("reason") in REFUSALS),
        **_of_the_run(session, step[0], told, org_limited=options.safeguarded),
    )
    if case is None:
        return replace(explained, unasked=_unasked(chain[place]))
    judged = judge(case)
    sound = agrees(judged, told)
    found = tuple(alternatives(case)) if sound else ()
    unknown = APP_PROFILE if chain[place].type == "account.profile" and not found else None
    return replace(explained, judged=judged, agrees=sound, alternatives=found, unasked=unknown)


def _unasked(event: tables.HistoryEvent) -> str | None:
    body = load(event.body)
    return unasked(event.type, body.get("rule"), by_hand=body["actor"]["type"] == "token")


# -- what stands beside it --------------------------------------------------------------------------------------------


def _voices(links: Sequence[Link], ranking: tuple[str, ...], labels: Mapping[str, str], *, spoke: str | None) -> tuple[Voice, ...]:
    speaking = authority(links, ranking)
    found = [
        Voice(
            link,
            labels.get(link.app_id, link.app_id),
            ranking.index(link.app_id) + 1 if link.app_id in ranking else None,
            silence(link, ranking, speaking),
            link.account_id == spoke,
        )
        for link in links
    ]
    return tuple(sorted(found, key=lambda voice: (voice.rank is None, voice.rank or 0, voice.link.account_id)))


def _candidates(session: Session, subject: str, told: Sequence[Mapping[str, Any]]) -> tuple[Candidate, ...]:
    body = decided(told)
    if body is None or not ARRIVED & {body["facts"]["situation"]}:
        return ()
    return verdicts(session, body["facts"], body.get("reason"), linked=subject)


def verdicts(session: Session, facts: Mapping[str, Any], reason: str | None, *, linked: str | None) -> tuple[Candidate, ...]:
    """Everybody whom facts name as considered, and what stood in the way of each. `linked` is who got the account."""
    why_not = reason if reason in {None, "place_taken", "login_taken", "login_claimed_twice", "user_claimed_twice"} else None
    why_not = why_not or {"AMBIGUOUS": "ambiguous", "PARTIAL": "not_confirmed", "EXACT": "not_confirmed"}.get(facts["situation"], reason)
    lost = {user_id: None if user_id == linked else why_not for user_id in facts.get("candidates", ())}
    lost |= dict.fromkeys(facts.get("beaten", ()), "exact_beats_partial")
    if facts.get("holder") is not None:
        lost.setdefault(facts["holder"], "no_match_but_has_the_login")
    users = people.users(session, list(lost))
    return tuple(Candidate(user_id, users[user_id].login if user_id in users else None, why) for user_id, why in lost.items())


def _labels(session: Session, app_ids: set[str]) -> dict[str, str]:
    app = tables.App
    return {row[0]: row[1] for row in session.execute(select(col(app.id), col(app.label)).where(col(app.id).in_(app_ids)))}


def _of_the_run(session: Session, event: tables.HistoryEvent, told: Sequence[Mapping[str, Any]], *, org_limited: bool) -> dict[str, Any]:
    """The safeguards that let the run pass, who approved it, and the row of its plan while that is kept."""
    run = session.get(tables.ImportRun, event.run_id) if event.run_id else None
    if run is None:
        return {}
    number = next((body["row"] for body in told if "row" in body), None)
    verdict = load(run.safeguard) if run.safeguard else {}
    app_limited = catalog.policy_from(run.policy).safeguard.enabled if run.policy else True
    in_force = {"app": app_limited, "org": org_limited}
    limits = {name: _limit(verdict[name], in_force=on) for name, on in in_force.items() if name in verdict}
    row = session.get(tables.RunChange, (run.id, number)) if number is not None else None
    return {"safeguards": limits, "approved_by": load(run.approved_by) if run.approved_by else None, "row": row}


def _limit(share: Mapping[str, Any], *, in_force: bool) -> Limit:
    unassigned, assigned = share["unassigned"], share["assigned"]
    return Limit(unassigned, assigned, share["limit"], in_force, greatest_holding_limit(unassigned, assigned))
