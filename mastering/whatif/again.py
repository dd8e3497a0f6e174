"""A recorded run planned once more, under its own options and under the wished ones, by the planner itself (decision 0058).

In a scratch database of its own the directory is rebuilt as of the event up to which the run's plan saw it (`directory`); the lines that the
run received are laid there, and the options of that moment, and `imports.planning` plans. Then the wishes are laid over the options, and it plans
once more. So there is one implementation of every rule. Nothing of the org is written (`scratch`).

The first planning is held against the plan that was recorded. What does not come out as it did is said, and nothing is claimed of it. An inline hook
is never called: what it said is in the recorded plan, and of whom it was not asked about, nothing is claimed either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from mastering import then
from mastering.errors import WrongState
from mastering.imports.lease import Lease
from mastering.imports.lines import marks_of
from mastering.imports.planning import Planned, Planner
from mastering.imports.repairing import RECONCILIATION
from mastering.imports.rows import ERASED, PlanWriter, change_of, effect_of
from mastering.imports.spool import unpack
from mastering.imports.steps import verdict_document
from mastering.imports.undoing import UNDO
from mastering.rules.change import Change
from mastering.rules.decision import Action, Situation
from mastering.rules.hook import HookTerms, HookWord, OnFailure, Outcome, failure
from mastering.rules.policy import ImportPolicy
from mastering.rules.record import Mode
from mastering.rules.runs import RunStatus
from mastering.store import bulk, catalog, past, received, tables
from mastering.store import hooks as hook_store
from mastering.store import imports as store
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.terms import terms_of
from mastering.whatif.directory import Directory
from mastering.whatif.rows import Foreseen, Kind, When
from mastering.whatif.world import Wishes, World

_AT_ONCE = 1_000
_OWNER = "preview"
_RECORDED, _BEFORE = "recorded", "before"
"""Whose rows are whose in the scratch database; those of the wished plan have the run's own id."""
_FAILED = " failed: "
_NOTHING = dump({"app": {}, "user": {}})
_MOST_NAMES = 100
UNDECIDED = "the facts of that moment are not all known any more, so that this row cannot be decided again"
NOT_ASKED = "the inline hook was not asked about this record at that time and is not called now, so that this row cannot be decided"
_OUTCOME = ("create", "new", "link", "relink", "release", "account", "unheeded", "successor", "candidates", "activate")
"""The parts of an effect that tell what a row does; the others are bookkeeping or follow from these."""


def is_kept(session: Session, run: tables.ImportRun) -> bool:
    """Whether a run can be planned once more: records came for it, and they are kept."""
    return (
        run.planned_as_of is not None and run.source not in {RECONCILIATION, UNDO} and (not run.records or received.keeps(session, run.id))
    )


@dataclass(slots=True)
class PlannedAgain:
    """A recorded run in a scratch database. `beat` is called in between, and may raise to have it end."""

    engine: Engine
    run_id: str
    wishes: Wishes
    beat: Callable[[], None]
    unknown: set[str] = field(default_factory=set)
    unasked: set[str] = field(default_factory=set)
    """External ids of records about which the hook would have been asked, and was not."""
    hooks: tuple[HookTerms | None, HookTerms | None] = (None, None)
    before: Planned | None = None
    after: Planned | None = None

    def gather(self, session: Session) -> None:
        """Rebuild what the run was planned on; all that is read of the org is read here, in one transaction."""
        run = session.get_one(tables.ImportRun, self.run_id)
        position, self.hooks = run.planned_as_of or 0, hooks_of(session, run, self.wishes)
        with writing(self.engine) as into:
            directory = Directory(session, into, position, self.beat)
            directory.rebuild()
            self.unknown = directory.unknown
            _lay_options(session, into, position)
            lines = self._lay_lines(session, into, run)
            self._lay_plan(session, into)
            into.add(_copy(tables.ImportRun, run, status=RunStatus.PLANNING, owner=_OWNER, fence=0, records=lines))

    def plan(self) -> None:
        """Plan twice."""
        with reading(self.engine) as session:
            run = session.get_one(tables.ImportRun, self.run_id)
            old = catalog.policy_from(run.policy or "{}")
        self.before = self._planned(old, self.hooks[0])
        with writing(self.engine) as into:
            past.set_aside(into, self.run_id, _BEFORE)
            _lay_wishes(into, self.wishes)
            if self.hooks[1] != self.hooks[0]:
                hook_store.drop_calls(into, self.run_id)
        self.after = self._planned(self.wishes.policies.get(run.app_id, old), self.hooks[1])

    def rows(self) -> Iterator[list[Foreseen]]:
        """Whatever would have come out otherwise, by external id."""
        found = list[Foreseen]()
        with reading(self.engine) as session:
            run = session.get_one(tables.ImportRun, self.run_id)
            for _, same in groupby(past.by_record(session, _AT_ONCE), key=lambda each: (each.external_id, each.line)):
                rows = {each.run_id: each for each in same}
                told = self._foreseen(run, rows.get(_RECORDED), rows.get(_BEFORE), rows.get(self.run_id))
                if told is not None:
                    found.append(told)
                if len(found) >= _AT_ONCE:
                    yield found
                    found = []
        yield found

    def verdict(self) -> Mapping[str, Any]:
        """What the safeguards said, and what they would have said; nothing where the shares did not come out as they did."""
        with reading(self.engine) as session:
            told = load(session.get_one(tables.ImportRun, self.run_id).safeguard or "null")
        if told is None or self.before is None or self.after is None:
            return {"before": told, "after": None}
        same = {**told, **verdict_document(self.before.verdict)} == told
        return {"before": told, "after": verdict_document(self.after.verdict) if same else None}

    # -- laying it out ------------------------------------------------------------------------------------------------

    def _lay_lines(self, session: Session, into: Session, run: tables.ImportRun) -> int:
        """What the run received, as planning reads it; how many lines."""
        count = 0
        for seq, place in enumerate(received.places_of_run(session, run.id)):
            self.beat()
            piece = received.piece(session, place)
            if piece is None:
                raise WrongState(f"What the run {run.id} received is not kept any more")
            marks = marks_of([line.payload for line in unpack(piece.payload)]) if run.mode is Mode.FULL else None
            store.add_chunk(into, run.id, seq, piece.lines, piece.payload, marks)
            count += piece.lines
        return count

    def _lay_plan(self, session: Session, into: Session) -> None:
        """The recorded rows, and what the hook said according to them."""
        after = 0
        while rows := store.changes(session, self.run_id, after, _AT_ONCE):
            self.beat()
            after = rows[-1].seq
            told = [row for row in rows if row.effect != ERASED]
            store.add_changes(into, [(_RECORDED, *tuple(row)[1:]) for row in told])
            words = [(each.external_id, word) for each in map(change_of, told) if each.external_id and (word := _word(each)) is not None]
            asked = [(self.run_id, external_id, _NOTHING, False, dump(word.document())) for external_id, word in words]
            bulk.insert(into, tables.HookCall, ("run_id", "external_id", "asked", "contested", "word"), asked)

    # -- planning -----------------------------------------------------------------------------------------------------

    def _planned(self, policy: ImportPolicy, hook: HookTerms | None) -> Planned:
        while True:
            writer = PlanWriter(Lease(self.engine, self.run_id, _OWNER, 0, timedelta(days=1), self._goes_on))
            with reading(self.engine) as session:
                run = session.get_one(tables.ImportRun, self.run_id)
                terms = terms_of(session, run.app_id, run.mode, datetime.fromisoformat(run.planned_now or run.created), policy)
                planned = Planner(session, run, terms, writer, hook).plan()
            if planned is not None:
                return planned
            self._leave_unasked()

    def _goes_on(self) -> bool:
        self.beat()
        return False

    def _leave_unasked(self) -> None:
        """The records about which the hook would have to be asked now: it counts as failed for them, and nothing is claimed of them."""
        with reading(self.engine) as session:
            asked = hook_store.unanswered(session, self.run_id, "", 1 << 31)
        self.unasked.update(each.external_id for each in asked)
        with writing(self.engine) as into:
            hook_store.add_words(into, self.run_id, [(each.external_id, failure(Outcome.given_up, NOT_ASKED, 0)) for each in asked])

    # -- one row ------------------------------------------------------------------------------------------------------

    def _foreseen(self, run: tables.ImportRun, recorded: Any, before: Any, after: Any) -> Foreseen | None:
        shown = change_of(after or before or recorded)
        if shown.external_id in self.unasked:
            return self._row(run, shown, recorded, recorded, NOT_ASKED)
        people = {each for row in (recorded, before, after) if row is not None for each in (row.user_id, row.app_user_id)}
        if _essence(recorded) != _essence(before) or not self.unknown.isdisjoint(people):
            return self._row(run, shown, recorded, recorded, UNDECIDED)
        if _essence(before) == _essence(after):
            return None
        return self._row(run, shown, before, after, "; ".join(_differing(before, after)) or None)

    def _row(self, run: tables.ImportRun, shown: Change, before: Any, after: Any, detail: str | None) -> Foreseen:
        was, becomes = _values(before), _values(after)
        return Foreseen(
            Kind.RECORD,
            When.PAST,
            shown.user_id,
            shown.login,
            run.app_id,
            shown.app_user_id,
            shown.external_id,
            before=before.action if before is not None else Action.none.value,
            after=after.action if after is not None else Action.none.value,
            trigger=after.trigger if after is not None else None,
            reason=after.reason if after is not None else None,
            attributes={
                name: (was.get(name), becomes.get(name)) for name in sorted({*was, *becomes}) if was.get(name) != becomes.get(name)
            },
            candidates=change_of(after).candidates if after is not None else (),
            detail=detail,
        )


def hooks_of(session: Session, run: tables.ImportRun, wishes: Wishes) -> tuple[HookTerms | None, HookTerms | None]:
    """The hook that the run was planned with, and the one that it would have been."""
    told = load(run.hook) if run.hook else None
    before = HookTerms(told["id"], told["name"], OnFailure(told["onFailure"])) if told else None
    old = catalog.policy_from(run.policy or "{}").hook_id
    wished = wishes.policies[run.app_id].hook_id if run.app_id in wishes.policies else old
    if wished == old:
        return before, before
    found = hook_store.active(session, wished)
    return before, hook_store.terms_of_hook(found) if found is not None else None


def _lay_options(session: Session, into: Session, position: int) -> None:
    """The options of that moment, as tables."""
    org, schema = then.org_at(session, position), then.schema_at(session, position)
    row = catalog.org(session)
    into.add(
        tables.Org(id=row.id, safeguard=dump(org), user_schema=catalog.schema_text(schema, row.last_updated), last_updated=row.last_updated)
    )
    ranking = then.options_at(session, position).ranking
    for app in catalog.all_apps(session):
        status = then.status_at(session, app, position)
        if status is not None:
            policy = catalog.policy_text(then.policy_at(session, app.id, position))
            rank = ranking.index(app.id) if app.id in ranking else None
            into.add(_copy(tables.App, app, status=status, policy=policy, rank=rank))
            mapping = catalog.inbound_mapping(session, app.id)
            into.add(_copy(tables.MappingRow, mapping, properties=dump(then.mapping_at(session, app.id, position))))


def _lay_wishes(into: Session, wishes: Wishes) -> None:
    """The wishes over these options. Of apps and attributes that were not there at that moment nothing is wished."""
    world = World.load(into)
    known = replace(
        wishes,
        policies={app_id: policy for app_id, policy in wishes.policies.items() if app_id in world.policies},
        mappings={app_id: rules for app_id, rules in wishes.mappings.items() if app_id in world.policies},
        attributes={name: master for name, master in wishes.attributes.items() if name in world.schema.attributes},
        ranking=None,
    )
    after = world.wished(known)
    places = {app_id: place for place, app_id in enumerate(wishes.ranking or ())}
    ranking = sorted(after.ranking, key=lambda app_id: places.get(app_id, len(places)))
    for app in catalog.all_apps(into):
        app.policy = catalog.policy_text(after.policies[app.id])
        app.rank = ranking.index(app.id) if app.id in ranking else None
        mapping = catalog.inbound_mapping(into, app.id)
        if app.id in known.mappings:
            mapping.properties = dump(catalog.properties_of(after.mappings[app.id]))
        into.add_all([app, mapping])
    org = catalog.org(into)
    org.safeguard, org.user_schema = dump(after.org), catalog.schema_text(after.schema, org.last_updated)
    into.add(org)


def _copy(table: Any, row: Any, **other: Any) -> Any:
    return table(**{**{name: getattr(row, name) for name in table.model_fields}, **other})


def _word(change: Change) -> HookWord | None:
    """What the hook said of a row, put together again; `None` where it said nothing, or what it said is not all known."""
    kept, profile = change.effect.get("hook"), change.effect.get("profile", {})
    if kept is None or len(kept["app"]) >= _MOST_NAMES or not profile.keys() >= set(kept["app"]):
        return None
    outcome, detail = Outcome(kept["outcome"]), change.detail
    if HookWord(outcome).failed:
        return failure(outcome, (detail or "").partition(_FAILED)[2], kept["tries"])
    return HookWord(outcome, app={name: profile[name] for name in kept["app"]}, user=kept["user"], link=kept["link"], tries=kept["tries"])


def _essence(row: Any) -> Any:
    """All that a row of a plan decides."""
    if row is None:
        return None
    effect = effect_of(row.effect)
    decided = (row.situation, row.action, row.user_id, row.app_user_id, row.login, row.from_status, row.to_status, row.trigger, row.rule)
    return *decided, row.reason, row.detail, row.authority, [effect.get(name) for name in _OUTCOME]


def _values(row: Any) -> Mapping[str, Any]:
    """The attributes of the user that a row would write."""
    effect = effect_of(row.effect) if row is not None else {}
    return effect.get("create") or effect.get("new") or {}


def _differing(before: Any, after: Any) -> Iterator[str]:
    """In words what a row would have come to instead."""
    unchanged = Situation.UNCHANGED.value
    situations = [row.situation if row is not None else unchanged for row in (after, before)]
    if situations[0] != situations[1]:
        yield " instead of ".join(situations)
    ends = [row.to_status or row.from_status or "" if row is not None else "" for row in (after, before)]
    if ends[0] != ends[1] and all(ends):
        yield " instead of ".join(ends)
