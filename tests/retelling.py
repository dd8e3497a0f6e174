"""The whole history told again in its committed order, each decision held against the rules on the state that those before it left.

This is what *serializable* means here: however acts and runs were interleaved, there is one order, the history's, and whoever carries the
rules out in that order arrives at the state that is there. Nothing but the history is read until the end, except the policy that each run
was planned under, which has to be one that the history tells of.

Checked of every event: its place in its chain; that `from` is the status before it and the move a row of `TRANSITIONS`; that who moved
may; the facts it says it saw; who had authority by the ranking and the links of that moment; and what the tables of the rules make of
these facts. Checked after every transaction: no login of two users, no two unreleased accounts of one app and user. Checked at the end:
no decision was told and not carried out, and the database holds what was told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Engine, select
from sqlmodel import col

from mastering.replay import after as after_event
from mastering.rules.decision import FULL_POWERS, NO_POWERS, Facts, Situation, decide
from mastering.rules.lifecycle import NOBODY, TRANSITIONS, WHO_MAY_FIRE, Actor, Trigger
from mastering.rules.matching import NO_MATCH, correlate, keys_of_user
from mastering.rules.people import User
from mastering.rules.policy import Confirmation, ImportPolicy, Mastering
from mastering.rules.ranking import Link, authority
from mastering.rules.text import fold_login
from mastering.store import catalog, people, tables
from mastering.store.documents import load
from mastering.store.engine import reading

_MOVES = {f"user.{trigger}": trigger for trigger in Trigger}
_WILLING = Confirmation(auto_confirm_exact=True, auto_confirm_partial=True)
_BINDING = {Situation.WENT_INACTIVE, Situation.WENT_MISSING, Situation.CAME_BACK, Situation.EXACT, Situation.PARTIAL}
"""Situations in which the reaction tables are asked about a person."""
_ASKED = _BINDING | {Situation.CHANGED}
"""Situations in which it is asked who has authority."""
_RUNS = {
    "import.planned": ("RECEIVED", "APPLYING"),
    "import.held": ("RECEIVED", "HELD"),
    "import.approved": ("HELD", "APPLYING"),
    "import.superseded": ("HELD", "ENDED"),
    "import.completed": ("APPLYING", "ENDED"),
}


@dataclass(slots=True)
class Story:
    """A history, and what the database holds at its end."""

    events: Sequence[tables.HistoryEvent]
    run_policies: dict[str, ImportPolicy]
    users: dict[str, User]
    ranking: tuple[str, ...]
    policies: dict[str, Mastering]


def story_of(engine: Engine) -> Story:
    """Everything, in one snapshot."""
    with reading(engine) as session:
        events = session.execute(select(tables.HistoryEvent).order_by(col(tables.HistoryEvent.position))).scalars().all()
        runs = session.execute(select(tables.ImportRun).where(col(tables.ImportRun.policy).is_not(None))).scalars()
        users = people.users(session, list(session.execute(select(col(tables.User.id))).scalars()))
        apps = list(session.execute(select(tables.App)).scalars())
        return Story(
            events,
            {run.id: catalog.policy_from(run.policy or "") for run in runs},
            users,
            catalog.ranking(session),
            {app.id: catalog.policy_of(app).mastering for app in apps},
        )


def check_order(engine: Engine) -> None:
    """Raise `AssertionError` about the first thing in a database's history that the rules do not make of what came before it."""
    retell(story_of(engine))


def retell(story: Story) -> None:
    """The same of a story."""
    teller = Retelling(story)
    for _, transaction in groupby(story.events, _transaction):
        teller.hear(transaction)
    teller.compare()


def _transaction(event: tables.HistoryEvent) -> tuple[Any, ...]:
    """Events of one transaction stand together and have the instant, the actor and the run in common."""
    return event.at, load(event.body)["actor"], event.run_id


@dataclass(slots=True)
class Retelling:
    """The org as the events so far tell of it."""

    story: Story
    users: dict[str, User | None] = field(default_factory=dict)
    seen_active: set[str] = field(default_factory=set)
    """Accounts that have been shown active."""
    owners: dict[str, str] = field(default_factory=dict)
    ranking: tuple[str, ...] = ()
    policies: dict[str, Mastering] = field(default_factory=dict)
    offered: dict[str, list[Mastering]] = field(default_factory=dict)
    """What each run that is not planned yet may be planned under."""
    runs: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    promised: dict[tuple[Any, ...], Trigger] = field(default_factory=dict)
    """Moves that a decision told of, and that its own row has still to carry out."""
    decided: set[tuple[Any, ...]] = field(default_factory=set)
    wrote: dict[str, set[str]] = field(default_factory=dict)
    """Whose profiles each run has written: its records are matched with the profiles as they were before it."""

    def hear(self, transaction: Iterable[tables.HistoryEvent]) -> None:
        """The events of one transaction, and what has to hold when it is committed."""
        for event in transaction:
            self._hear(event, load(event.body))
        assert not self.promised, f"decided, and not carried out: {self.promised}"
        self._nothing_is_held_twice()

    def compare(self) -> None:
        """The database against what was told."""
        told = {user_id: user for user_id, user in self.users.items() if user is not None}
        assert told.keys() == self.story.users.keys(), told.keys() ^ self.story.users.keys()
        for user_id, user in told.items():
            kept = self.story.users[user_id]
            assert (user.status, user.login, user.hold) == (kept.status, kept.login, kept.hold), user_id
            assert _said(user.profile) == _said(kept.profile), user_id
            assert sorted(map(_place, self._links(user))) == sorted(_place(account.link) for account in kept.links), user_id
        assert self.ranking == self.story.ranking, "ranking"
        assert self.policies == self.story.policies, "policies"

    # -- one event ----------------------------------------------------------------------------------------------------

    def _hear(self, event: tables.HistoryEvent, body: dict[str, Any]) -> None:
        assert event.seq == self.numbers.get(event.subject, 0) + 1, f"{event.subject}: {event.seq} is out of its place"
        self.numbers[event.subject] = event.seq
        self._hear_of_the_org(event, body)
        if event.run_id is not None and "row" in body:
            assert self.runs.get(event.run_id) == "APPLYING", f"{event.type} of a run that is {self.runs.get(event.run_id)}"
        if event.type.startswith("user.") or (event.subject.startswith("00u") and "account" in body):
            self._hear_of_a_user(event, body)

    def _hear_of_the_org(self, event: tables.HistoryEvent, body: dict[str, Any]) -> None:
        match event.type:
            case "app.create":
                self._set_policy(event.subject, ImportPolicy().mastering)
            case "app.policy.update" if "mastering" in body["changes"]:
                change = body["changes"]["mastering"]
                assert msgspec.convert(change["old"], Mastering) == self.policies[event.subject]
                self._set_policy(event.subject, msgspec.convert(change["new"], Mastering))
            case "masters.update":
                assert tuple(body["old"]) == self.ranking
                self.ranking = tuple(body["new"])
            case "app.delete":
                del self.policies[event.subject]
            case "import.start":
                self.runs[event.run_id or ""] = "RECEIVED"
                self.offered[event.run_id or ""] = [self.policies[event.subject]]
            case "import.failed" | "import.cancelled":
                assert self.runs[event.run_id or ""] != "ENDED"
                self.runs[event.run_id or ""] = "ENDED"
            case kind if kind in _RUNS:
                before, after = _RUNS[kind]
                assert self.runs[event.run_id or ""] == before, f"{kind} of a run that is {self.runs[event.run_id or '']}"
                self.runs[event.run_id or ""] = after
                if before == "RECEIVED":
                    assert self.story.run_policies[event.run_id or ""].mastering in self.offered[event.run_id or ""], event.run_id

    def _set_policy(self, app_id: str, mastering: Mastering) -> None:
        self.policies[app_id] = mastering
        for run_id, masterings in self.offered.items():
            if self.runs[run_id] == "RECEIVED":
                masterings.append(mastering)

    def _hear_of_a_user(self, event: tables.HistoryEvent, body: dict[str, Any]) -> None:
        before = self.users.get(event.subject)
        assert (before is None) == (event.type == "user.create"), f"{event.type} of {event.subject}"
        links = self._links(before) if before is not None else []
        after = after_event(deepcopy(before), event)
        if event.run_id is not None and after is not None:
            self._nobody_was_passed_over(event, body, after)
        self.users[event.subject] = after
        self._hear_of_the_account(event, body)
        if before is not None and after is not None:
            self._hold_against_the_rules(event, body, before, after, links)
        trigger = _MOVES.get(event.type)
        if trigger is not None:
            self._may_move(event, body, before, trigger)

    def _nobody_was_passed_over(self, event: tables.HistoryEvent, body: dict[str, Any], user: User) -> None:
        """Whom a run creates without being asked matches nobody who is there by then; `wrote` leaves out those whom it has written itself."""
        run_id = event.run_id or ""
        wrote = self.wrote.setdefault(run_id, set())
        if event.type == "user.create" and body.get("rule") == "auto_confirm_new":
            matching = self.story.run_policies[run_id].matching
            others = ((each.id, keys_of_user(matching, each.login, each.profile)) for each in self.users.values() if each is not None)
            match = correlate(
                matching, keys_of_user(matching, user.login, user.profile), ((i, keys) for i, keys in others if i not in wrote)
            )
            assert match == NO_MATCH, f"{event.id}: created, and there was {match.user_ids}"
        wrote.add(user.id)

    def _hear_of_the_account(self, event: tables.HistoryEvent, body: dict[str, Any]) -> None:
        told = body.get("account")
        if told is None:
            return
        owner = self.owners.get(told["id"])
        if event.type in {"account.taken", "account.forget", "account.unlink"}:
            assert owner == event.subject
            del self.owners[told["id"]]
            return
        assert owner in {None, event.subject}, f"{told['id']} is {owner}'s"
        self.owners[told["id"]] = event.subject
        never_seen = event.type == "account.assign" and owner is None and told["id"] not in self.numbers
        if (
            told["account"] == "ACTIVE"
            and not never_seen
            and (event.run_id or event.type.startswith(("account.link", "account.assign", "user.create")))
        ):
            self.seen_active.add(told["id"])

    def _may_move(self, event: tables.HistoryEvent, body: dict[str, Any], before: User | None, trigger: Trigger) -> None:
        came_from = before.status.value if before is not None else None
        assert body["from"] == came_from, f"{event.id}: from {body['from']}, and the user was {came_from}"
        assert TRANSITIONS[trigger][before.status if before is not None else NOBODY] == body["to"], event.id
        by_hand = event.run_id is None and "facts" not in body
        made_active = trigger is Trigger.activate and before is not None and before.history_seq == event.seq - 1
        if by_hand:
            assert Actor.admin in WHO_MAY_FIRE[trigger] or body.get("rule") == "reviewed", event.id
        elif trigger is not Trigger.create and not (made_active and body["rule"] == "auto_confirm_new"):
            assert Actor.authority in WHO_MAY_FIRE[trigger], event.id
            assert self.promised.pop(_row(event, body), None) is trigger, f"{event.id}: nothing decided so"
            self._no_hold_stands_against(event, before)

    @staticmethod
    def _no_hold_stands_against(event: tables.HistoryEvent, user: User | None) -> None:
        assert user is not None
        assert not user.held(event.at), f"{event.id}: moved under a hold"

    def _hold_against_the_rules(
        self, event: tables.HistoryEvent, body: dict[str, Any], before: User, after: User, links: list[Link]
    ) -> None:
        """The facts that an event says it was decided on, and what the tables make of them."""
        facts, row = body.get("facts", {}), _row(event, body)
        if event.type in {"account.replaced", "account.taken"}:
            return
        if event.type in {"user.remaster", "account.unheeded", "finding.made"}:
            assert body.get("authority") == _app(authority(self._links(after), self.ranking)), f"{event.id}: authority"
        if "status" not in facts:
            return
        if row in self.decided and "situation" in facts:
            return
        assert facts["status"] == before.status, f"{event.id}: {facts['status']} was told, and the user was {before.status}"
        assert facts.get("held", before.held(event.at)) == before.held(event.at), f"{event.id}: hold"
        if "situation" not in facts:
            return
        self.decided.add(row)
        giving_up = event.type == "account.release"
        speaking = authority(links if giving_up else self._links(after), self.ranking)
        asked = Situation(facts["situation"]) in _ASKED
        assert not asked or body.get("authority") == _app(speaking), f"{event.id}: {body.get('authority')} was told, and {speaking} had it"
        if Situation(facts["situation"]) in _BINDING:
            self._decide_again(event, body, before, links, speaking)

    def _decide_again(self, event: tables.HistoryEvent, body: dict[str, Any], user: User, links: list[Link], speaking: Link | None) -> None:
        facts, told = body["facts"], body["account"]
        policy = self.story.run_policies[event.run_id] if event.run_id else ImportPolicy(mastering=self.policies[told["appId"]])
        policy = policy if event.run_id else replace(policy, confirmation=_WILLING)
        mine = speaking is not None and speaking.account_id == told["id"]
        was = next((link for link in links if link.account_id == told["id"]), None)
        seen = Facts(user.status, facts.get("exact", False), user.pending_when_deactivated, user.held(event.at))
        assert facts.get("pendingWhenDeactivated", seen.pending_when_deactivated) == seen.pending_when_deactivated, event.id
        situation = Situation(facts["situation"])
        decision = decide(policy, FULL_POWERS if mine else NO_POWERS, situation, seen, released=was is not None and was.released)
        assert body.get("reason") == decision.reason, f"{event.id}: {body.get('reason')} was told, the rules say {decision.reason}"
        if decision.trigger is not None:
            self.promised[_row(event, body)] = decision.trigger

    # -- the org of this moment -----------------------------------------------------------------------------------------

    def _links(self, user: User) -> list[Link]:
        return [replace(account.link, seen_active=account.id in self.seen_active) for account in user.links]

    def _nothing_is_held_twice(self) -> None:
        people_now = [user for user in self.users.values() if user is not None]
        logins = [fold_login(user.login) for user in people_now]
        assert len(set(logins)) == len(logins), f"a login of two users: {sorted(logins)}"
        for user in people_now:
            places = [link.app_id for link in user.links if not link.released]
            assert len(set(places)) == len(places), f"two accounts of one app: {user.id}"


def _row(event: tables.HistoryEvent, body: dict[str, Any]) -> tuple[Any, ...]:
    """What was decided at once: a row of a run, or a reviewer's word about an account at one instant."""
    if event.run_id is not None:
        return event.run_id, body.get("row"), event.subject
    return event.at, body.get("account", {}).get("id"), event.subject


def _app(link: Link | None) -> str | None:
    return link.app_id if link is not None else None


def _said(profile: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in profile.items() if value is not None}


def _place(link: Link) -> tuple[Any, ...]:
    return link.account_id, link.app_id, link.account.value, link.released, link.seen_active
