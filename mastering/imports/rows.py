"""A row of a plan, from the rules' value to the table and back, and the plan's hash.

The hash is SHA-256 over the digests of all rows in their order: who quotes it has named every row with everything it would do.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any

from mastering.imports.lease import Lease
from mastering.rules.change import Change
from mastering.rules.claims import Lost
from mastering.rules.decision import Action, Decision, Rule, Situation
from mastering.rules.lifecycle import Status, Trigger
from mastering.rules.stakes import give_up
from mastering.store import imports as store
from mastering.store.bulk import Row
from mastering.store.documents import canonical, dump, load
from mastering.store.engine import writing
from mastering.store.tables import RunChange

ERASED = "{}"
"""The effect of a row whose person was erased (docs/decisions/0053)."""
_AT_ONCE = 10_000
_DIGEST = 16


def row_of(run_id: str, seq: int, change: Change, bundle: int | None) -> Row:
    """The row of a change, in the order of `store.imports.CHANGE_COLUMNS`."""
    decision, before = change.decision, change.before
    return (
        run_id,
        seq,
        change.external_id,
        change.line,
        decision.situation.value,
        decision.action.value,
        change.user_id,
        change.app_user_id,
        change.login,
        before.value if before else None,
        decision.to.value if decision.to else None,
        decision.trigger.value if decision.trigger else None,
        decision.rule.value,
        decision.reason,
        change.detail,
        change.authority,
        _packed(change),
        bundle,
    )


def _packed(change: Change) -> str:
    """The effect as it is kept. What a new user has of the app profile is kept once, and the plan is half as large."""
    effect: dict[str, Any] = {**change.effect, "candidates": change.candidates, "activate": change.decision.activate}
    create, profile = effect.get("create"), effect.get("profile")
    if create and profile and profile.items() <= create.items():
        effect["create"] = {name: value for name, value in create.items() if name not in profile}
        effect["like"] = True
    return dump(effect)


def effect_of(text: str) -> dict[str, Any]:
    """An effect as it was before it was kept, with the row's `candidates` and `activate`. Of a row whose person was erased nothing else is left."""
    effect: dict[str, Any] = {"candidates": [], "activate": False, **load(text)}
    if effect.pop("like", False):
        effect["create"] = {**effect["profile"], **effect["create"]}
    return effect


def told_beside(row: RunChange) -> str | None:
    """What is told beside a row: what went wrong with it, what there is to say of it, or that its person was erased."""
    return row.error or row.detail or ("erased: what the row said of the person is gone" if row.effect == ERASED else None)


def change_of(row: store.ChangeRow) -> Change:
    """The change of a row, read by position: a run reads hundreds of thousands."""
    (
        *_,
        external_id,
        line,
        situation,
        action,
        user_id,
        app_user_id,
        login,
        before,
        to,
        trigger,
        rule,
        reason,
        detail,
        authority,
        effect_json,
        _bundle,
    ) = tuple(row)
    effect: Any = effect_of(effect_json)
    candidates, activate = tuple(effect.pop("candidates")), effect.pop("activate")
    decision = Decision(_SITUATIONS[situation], _ACTIONS[action], _RULES[rule], _TRIGGERS.get(trigger), activate, _STATUSES.get(to), reason)
    return Change(external_id, line, decision, user_id, app_user_id, login, _STATUSES.get(before), authority, effect, candidates, detail)


_SITUATIONS = {member.value: member for member in Situation}
_ACTIONS = {member.value: member for member in Action}
_RULES = {member.value: member for member in Rule}
_TRIGGERS = {member.value: member for member in Trigger}
_STATUSES = {member.value: member for member in Status}


class PlanWriter:
    """Writes the rows of one plan as they are made, and counts and hashes them. Sequence numbers start at 1.

    Whoever has lost the lease writes no row more: two plans of one run never mix.
    """

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self._run_id = lease.run_id
        self._rows: list[Row] = []
        self._digests = bytearray()
        self.situations: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()
        self.unassigned = 0
        self.count = 0
        with writing(lease.engine) as session:
            lease.hold(session)
            store.drop_changes(session, lease.run_id)

    def add(self, change: Change, bundle: int | None = None) -> int:
        """Add a row; its sequence number."""
        self.count += 1
        row = row_of(self._run_id, self.count, change, bundle)
        self._rows.append(row)
        self._digests += _digest(row)
        self._tally(row, 1)
        self.unassigned += change.unassigns
        if len(self._rows) >= _AT_ONCE:
            self.write()
        return self.count

    def write(self) -> None:
        """Write what is not written yet."""
        if self._rows:
            with writing(self.lease.engine) as session:
                self.lease.hold(session)
                store.add_changes(session, self._rows)
            self._rows.clear()

    def give_up(self, losers: dict[int, Lost]) -> None:
        """Plan the rows that lost their claims again, in place."""
        self.write()
        if not losers:
            return
        with writing(self.lease.engine) as session:
            self.lease.hold(session)
            rewritten = []
            for row in store.changes_by_seq(session, self._run_id, losers):
                self._tally(row_of(self._run_id, row.seq, change_of(row), row.bundle), -1)
                fresh = row_of(self._run_id, row.seq, give_up(change_of(row), losers[row.seq]), row.bundle)
                self._tally(fresh, 1)
                self._digests[(row.seq - 1) * _DIGEST : row.seq * _DIGEST] = _digest(fresh)
                rewritten.append(fresh)
            store.rewrite_changes(session, rewritten)

    def hash(self) -> str:
        """The plan's hash, as API.md writes it."""
        return "sha256:" + sha256(self._digests).hexdigest()

    def _tally(self, row: Row, by: int) -> None:
        self.situations[row[4]] += by
        if row[5] != Action.none.value:
            self.actions[row[5]] += by


def _digest(row: Row) -> bytes:
    """Of the row and its effect, apart: the effect is by far the longest text, and a text in a text would be written out once more."""
    *others, effect, bundle = row[1:]
    return sha256(canonical((*others, bundle)) + effect.encode()).digest()[:_DIGEST]
