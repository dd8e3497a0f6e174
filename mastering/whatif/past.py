"""How a recorded run would have come out under other options: its plan, decided again on the facts that it was decided on (decision 0056).

This is for runs of which only the plan is left, or that nothing was sent for; the others are planned again (`again`). A plan has a row for
every record that said anything. Records without a row were UNCHANGED and would be under any policy. So each row is made a case again:
situation and facts from the row, the person's links from history as they were when the plan was made, the ranking of that moment. Under the
run's own options the rules have to give what the plan says; where they do not, the row says so and nothing is claimed. Then they are asked
under the wished ones.

Matching and mapping are not replayed: whom a record would have matched then is not known any more. Such wishes are refused for a run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlmodel import Session

from mastering.cases import WILLING, links_after, replayed
from mastering.imports.rows import ERASED, change_of
from mastering.rules.change import Change
from mastering.rules.decision import Action, Situation
from mastering.rules.lifecycle import Status
from mastering.rules.people import User
from mastering.rules.policy import ImportPolicy, OrgSafeguard
from mastering.rules.record import AccountState
from mastering.rules.safeguard import Share
from mastering.rules.why import Case, judge
from mastering.store import catalog, history, tables
from mastering.store import imports as store
from mastering.store.documents import load
from mastering.then import Options, options_at
from mastering.whatif.rows import Foreseen, Kind, When
from mastering.whatif.world import Wishes

_AT_ONCE = 1_000
_ASKED = frozenset(
    {
        Situation.CHANGED,
        Situation.WENT_INACTIVE,
        Situation.WENT_MISSING,
        Situation.CAME_BACK,
        Situation.UNMATCHED,
        Situation.EXACT,
        Situation.PARTIAL,
    }
)
"""Situations whose outcome depends on the policy or the ranking."""
_NEW = "new"


@dataclass(slots=True)
class Replay:
    """One recorded run, under its own options and under the wished ones."""

    session: Session
    run: tables.ImportRun
    position: int
    then: Options
    wished: Options
    old: ImportPolicy
    new: ImportPolicy
    org: OrgSafeguard
    left: dict[str, tuple[Status, bool]] = field(default_factory=dict)
    """Where a row that comes out otherwise leaves its user: a later row of the same run meets the user so."""

    @classmethod
    def of(cls, session: Session, run_id: str, wishes: Wishes) -> Replay:
        """A run that is there, has a plan, and was asked about by who may."""
        run = session.get_one(tables.ImportRun, run_id)
        position = history.planned_at(session, run.app_id, run_id) or run.as_of_event
        then = options_at(session, position)
        old = catalog.policy_from(run.policy or "{}")
        new = wishes.policies.get(run.app_id, old)
        org = wishes.org or catalog.org_safeguard(session)
        ranking = _ranking(then.ranking, wishes, catalog.ranking(session))
        overrides = {name: tuple(app_id for app_id in own if app_id in ranking) for name, own in then.overrides.items()}
        updates = org.update_deactivated_users if wishes.org else then.update_deactivated
        wished = replace(then, ranking=ranking, overrides=overrides, update_deactivated=updates)
        return cls(session, run, position, then, wished, old, new, org)

    def rows(self) -> Iterator[list[Foreseen]]:
        """The rows of the plan that would have come out otherwise, in its order."""
        after = 0
        while rows := store.changes(self.session, self.run.id, after, _AT_ONCE):
            changes = [(row.seq, change_of(row)) for row in rows if row.effect != ERASED]
            users = self._people(changes)
            yield [found for _, change in changes if (found := self._again(change, users)) is not None]
            after = rows[-1].seq

    def verdict(self) -> Mapping[str, Any]:
        """What the safeguards said, and what they would have said. How many assignments a run ends does not depend on the options."""
        told = load(self.run.safeguard) if self.run.safeguard else None
        if told is None:
            return {"before": None, "after": None}
        app = Share(told["app"]["unassigned"], told["app"]["assigned"], self.new.safeguard.max_unassigned_percent)
        org = Share(told["org"]["unassigned"], told["org"]["assigned"], self.org.max_unassigned_percent)
        reason = told["reason"] if told["reason"] in {"empty_snapshot", "unidentified_records"} else None
        if reason is None and app.exceeded(enabled=self.new.safeguard.enabled, minimum=self.new.safeguard.minimum_assignments):
            reason = "app_limit"
        if reason is None and org.exceeded(enabled=self.org.enabled, minimum=self.org.minimum_assignments):
            reason = "org_limit"
        shares = {name: {**told[name], "limit": share.limit} for name, share in (("app", app), ("org", org))}
        return {"before": told, "after": {"tripped": reason is not None, "reason": reason, **shares}}

    # -- one row ------------------------------------------------------------------------------------------------------

    def _people(self, changes: list[tuple[int, Change]]) -> dict[str, tuple[User | None, set[str]]]:
        """The people of these rows as they were when the plan was made, and which of their accounts had been shown active."""
        ids = {change.user_id for _, change in changes if change.user_id and change.decision.situation in _ASKED}
        chains: dict[str, list[tables.HistoryEvent]] = defaultdict(list)
        for event in history.before(self.session, ids, self.position):
            chains[event.subject].append(event)
        return {user_id: replayed(self.session, chains[user_id]) for user_id in ids}

    def _again(self, change: Change, users: Mapping[str, tuple[User | None, set[str]]]) -> Foreseen | None:
        if change.decision.situation not in _ASKED or change.decision.action in {Action.ignore, Action.reject}:
            return None
        case = self._case(change, users)
        before = judge(case)
        if before.outcome.trigger is not change.decision.trigger or (before.reason or None) != _refusal(change):
            told = "the facts of that moment are not all known any more, so that this row cannot be decided again"
            return self._row(change, change.decision.action, change.decision.action, None, None, told)
        wished = replace(
            case,
            policy=replace(self.new, confirmation=WILLING) if case.by_word else self.new,
            ranking=self.wished.ranking,
            overrides=self.wished.overrides,
            update_deactivated=self.wished.update_deactivated,
        )
        if change.user_id in self.left and case.status is not None:
            status, pending = self.left[change.user_id]
            wished = replace(wished, status=status, pending_when_deactivated=pending)
        after = judge(wished)
        if after.outcome == before.outcome and after.reason == before.reason:
            return None
        self._leave(change, wished, after.outcome.to)
        ends, ended = after.outcome.to or wished.status, before.outcome.to or case.status
        detail = f"{ends} instead of {ended}" if ends != ended else None
        return self._row(change, before.outcome.action, after.outcome.action, after.outcome.trigger, after.reason, detail)

    def _case(self, change: Change, users: Mapping[str, tuple[User | None, set[str]]]) -> Case:
        effect, situation = change.effect, change.decision.situation
        user, seen_active = users.get(change.user_id or "", (None, set()))
        was = next((link for link in user.links if link.id == change.app_user_id), None) if user is not None else None
        facts = effect.get("facts", {})
        by_word = "hook" in effect and "link" in effect
        exact = bool(facts.get("exact", situation is Situation.EXACT))
        if by_word and situation is Situation.UNMATCHED:
            situation = Situation.EXACT if exact else Situation.PARTIAL
        state = effect.get("account") or (was.account.value if was is not None else AccountState.ACTIVE.value)
        account = {"id": change.app_user_id or _NEW, "appId": self.run.app_id, "account": state}
        at = self.run.planned or self.run.created
        return Case(
            policy=replace(self.old, confirmation=WILLING) if by_word else self.old,
            ranking=self.then.ranking,
            situation=situation,
            links=tuple(links_after(user, was, account, situation, seen_active)),
            status=change.before,
            exact=exact,
            pending_when_deactivated=bool(facts.get("pendingWhenDeactivated", user is not None and user.pending_when_deactivated)),
            held=bool(facts.get("held", user is not None and user.held(at))),
            released=was is not None and was.released,
            attributes=frozenset(effect.get("new", ())),
            overrides=self.then.overrides,
            update_deactivated=self.then.update_deactivated,
            by_word=by_word,
        )

    def _leave(self, change: Change, case: Case, to: Status | None) -> None:
        if change.user_id is not None and case.status is not None:
            pending = case.status is Status.PENDING_ACTIVATION and to is Status.DEACTIVATED
            self.left[change.user_id] = (to or case.status, pending if to is not None else case.pending_when_deactivated)

    def _row(self, change: Change, before: Action, after: Action, trigger: Any, reason: str | None, detail: str | None) -> Foreseen:
        return Foreseen(
            Kind.RECORD,
            When.PAST,
            change.user_id,
            change.login,
            self.run.app_id,
            change.app_user_id,
            change.external_id,
            before=before.value,
            after=after.value,
            trigger=trigger.value if trigger is not None else None,
            reason=reason,
            candidates=change.candidates,
            detail=detail,
        )


def _refusal(change: Change) -> str | None:
    """Why a word was not followed; what a row waits for is no refusal."""
    return None if change.decision.action is Action.wait else change.decision.reason


def _ranking(then: tuple[str, ...], wishes: Wishes, now: tuple[str, ...]) -> tuple[str, ...]:
    """The order of that moment with what is wished: masters taken off it or put last, and the wished order among those there are."""
    ranking = then
    for app_id, policy in wishes.policies.items():
        if policy.mastering.enabled and app_id not in ranking and app_id in now:
            ranking = (*ranking, app_id)
        elif not policy.mastering.enabled:
            ranking = tuple(other for other in ranking if other != app_id)
    if wishes.ranking is None:
        return ranking
    places = {app_id: place for place, app_id in enumerate(wishes.ranking)}
    return tuple(sorted(ranking, key=lambda app_id: places.get(app_id, len(places))))
