"""Rows decided again, because somebody has changed what they were decided on since the plan was made (SPEC §5.8).

Only such rows: what others did elsewhere must not change what a plan does. A row was decided on its person, its account, the people it
might be matched with, and who has the login it asks for; ranks, mappings and options concern every row.

Rows are asked in their order, each when those before it have been carried out. The fresh decision is followed as far as it does less to
the person than the plan said. A link, create, release or status move that the plan did not name is skipped and left to the next run: a
record of nobody's account waits in the queue until then, as a delta would not bring it again. Values that the plan did not name are not
written, and the record is remembered as unfinished, so that the next one is looked at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mastering.imports.repairing import is_repair, repaired
from mastering.ledger import Ledger
from mastering.rules.change import Change, Prepared, Terms, prepare
from mastering.rules.claims import Lost
from mastering.rules.decision import Action, Situation
from mastering.rules.hooked import link_of, overlaid, plan_kept, word_kept
from mastering.rules.linked import plan_absence, plan_linked, still
from mastering.rules.matching import Crowd, Match, correlate
from mastering.rules.people import Account
from mastering.rules.record import AccountState, Record
from mastering.rules.stakes import give_up
from mastering.rules.text import fold_login
from mastering.rules.unlinked import Found, plan_unknown, plan_withdrawal, put_off
from mastering.store import imports as store
from mastering.store import people, tables
from mastering.store.documents import dump, load

_OF_NOBODY = frozenset({Situation.UNMATCHED, Situation.EXACT, Situation.PARTIAL, Situation.AMBIGUOUS, Situation.INACTIVE_UNKNOWN})
_STANDS = frozenset({Action.wait, Action.withdraw, Action.ignore, Action.reject})
"""What moves nobody and stays right whatever others do: a row in the queue is matched again when the run is over."""
_LEAVES = frozenset({Situation.WITHDRAWN, Situation.INACTIVE_UNKNOWN})
_NAMED = frozenset({Action.create, Action.link, Action.release})
"""What the plan must have named."""


class Again:
    """What others have changed since the run was planned, and what that means for one batch of its rows."""

    def __init__(
        self, ledger: Ledger, run: tables.ImportRun, terms: Terms, changes: Sequence[tuple[int, Change]], records: Mapping[int, Prepared]
    ) -> None:
        session, self._ledger, self._run, self._terms = ledger.session, ledger, run, terms
        new = {change.external_id for _, change in changes if change.external_id and change.app_user_id is None}
        self._appeared = people.accounts_of_app(session, run.app_id, new)
        self._arriving = records
        self._directory = store.Directory(session, terms.policy.matching)
        self._crowd = Crowd(self._directory.find([prepared.keys for prepared in self._arriving.values()]))
        self._holders: dict[str, str | None] = {}
        self._ask_holders({key for _, change in changes if (key := _login(change))})
        self._all = store.options_changed(session, run.id, run.as_of_event)
        about = {subject for seq, change in changes for subject in self._about(seq, change)}
        self._changed = store.changed_by_others(session, run.id, run.as_of_event, about)
        self._moving = {
            change.user_id: (seq, change) for seq, change in changes if change.decision.action is not Action.link and _login(change)
        }
        self._certain = not any(self._shaken(seq, change) for seq, change in self._moving.values())
        self._taken: set[str] = set()
        self._marks: list[tuple[int, str, str]] = []
        self._actions: Counter[str] = Counter()

    def decide(self, seq: int, planned: Change) -> Change | None:
        """What is carried out in the place of a planned row; `None` where it is left to the next run."""
        if "undo" in planned.effect or "conflict" in planned.effect:  # an undo is not decided again: whoever acted since is left alone
            fresh = planned if self._changed.isdisjoint(self._about(seq, planned)) else None
        else:
            fresh = self._fresh(seq, planned) if self._concerns(seq, planned) else planned
        told = _told(fresh)
        if fresh is not None and fresh is not planned:
            more, fresh = fresh, _no_more(planned, fresh)
            if fresh is not None and fresh.decision.action is not more.decision.action:
                told += ", which was not planned: it waits"
        if fresh is not None and not self._has_login(fresh):
            fresh = give_up(replace(fresh, effect=fresh.effect.copy()), Lost.login_taken)
            told = _told(fresh)
        if fresh is None or _outcome(planned) != _outcome(fresh):
            self._mark(seq, planned, fresh, told)
        return fresh

    def write(self) -> None:
        """Note what became of the rows, and count what was done instead of what was planned."""
        store.mark_changes(self._ledger.session, self._run.id, self._marks)
        actions = Counter(load(self._run.actions))
        actions.update(self._actions)
        self._run.actions = dump({action: count for action, count in sorted(actions.items()) if count})

    def _mark(self, seq: int, planned: Change, fresh: Change | None, told: str) -> None:
        left = "left alone" if "undo" in planned.effect else "left to the next run"
        state, what = ("SKIPPED", left) if fresh is None else ("REDECIDED", "decided again")
        self._marks.append((seq, state, f"{what}: {told}"))
        for action, by in ((planned.decision.action, -1), (fresh.decision.action if fresh else Action.none, 1)):
            if action is not Action.none:
                self._actions[action.value] += by

    # -- what others have changed --------------------------------------------------------------------------------------

    def _about(self, seq: int, change: Change) -> Iterable[str]:
        """Everybody and everything that a row was, or would now be, decided on."""
        yield from (each for each in (change.user_id, change.app_user_id, *change.candidates) if each)
        key = _login(change)
        holder = self._holders.get(key) if key else None
        if holder:
            yield holder
        if seq in self._arriving:
            yield from (user_id for user_id, _ in self._crowd.near(self._arriving[seq].keys))

    def _concerns(self, seq: int, change: Change) -> bool:
        account = self._account(change)
        owner = account.user_id if account else None
        return (
            self._all
            or (account is None) != (change.app_user_id is None)
            or owner != _owner(change)
            or not self._changed.isdisjoint(self._about(seq, change))
        )

    def _account(self, change: Change) -> Account | None:
        return self._ledger.accounts.get(change.app_user_id) if change.app_user_id else self._appeared.get(change.external_id or "")

    # -- logins --------------------------------------------------------------------------------------------------------

    def _ask_holders(self, keys: set[str]) -> None:
        found = self._directory.holders(keys)
        self._holders.update({key: found.get(key) for key in keys})

    def _shaken(self, seq: int, change: Change) -> bool:
        """Whether a planned change of login may not come to pass, so that nobody can count on the login that it would free."""
        holder = self._holders.get(_login(change) or "")
        return self._concerns(seq, change) or (holder is not None and holder != change.user_id and holder not in self._moving)

    def _has_login(self, change: Change) -> bool:
        """Whether the login that a row asks for is free for it: nobody has it, or who has it has moved away, or certainly will."""
        key = _login(change)
        if key is None:
            return True
        if key not in self._holders:
            self._ask_holders({key})
        holder = self._holders[key]
        present = self._ledger.users.get(holder or "")
        left = present is not None and fold_login(present.login) != key
        free = holder is None or holder == change.user_id or left or (holder in self._moving and self._certain)
        if free and key in self._taken:
            return False
        if free:
            self._taken.add(key)
        return free

    # -- the fresh decision --------------------------------------------------------------------------------------------

    def _fresh(self, seq: int, planned: Change) -> Change | None:
        """The row on the facts as they are; `None` where its account has gone, appeared, or become somebody else's, or nothing is left to do."""
        account = self._account(planned)
        if (account is None) != (planned.app_user_id is None) or (account.user_id if account else None) != _owner(planned):
            return None
        if _arrives(planned):
            return self._matched(seq, planned, account)
        if account is not None and planned.decision.situation in _LEAVES:
            return self._left(planned, account)
        if account is None or account.user_id is None:
            return planned
        user = self._ledger.users[account.user_id]
        if planned.decision.action in _STANDS:
            return still(self._terms, planned, account, user)
        if is_repair(planned):
            return repaired(self._ledger.session, self._terms, account, user)
        if planned.decision.situation is not Situation.WENT_MISSING:
            fresh = plan_linked(self._terms, _record(planned, account), account, user)
        elif account.linked_at is not None and account.linked_at > (self._run.snapshot_at or self._run.created):
            return None
        else:
            fresh = plan_absence(self._terms, account, user)
        if fresh is not None and planned.effect.get("digest", "") is None:  # the record could not be used in full
            fresh.effect["digest"], fresh.detail = None, fresh.detail or planned.detail
        return fresh

    def _left(self, planned: Change, account: Account) -> Change | None:
        """A row whose account is gone leaves the queue, unless a reviewer ignores it by now."""
        user = self._ledger.users.get(account.user_id or "")
        if user is not None and "active" in planned.effect:
            return plan_linked(self._terms, _record(planned, account), account, user)
        if user is not None:
            return plan_absence(self._terms, account, user)
        if planned.effect.get("account") == AccountState.MISSING:
            return plan_withdrawal(account)
        return plan_unknown(_record(planned, account), account)

    def _matched(self, seq: int, planned: Change, account: Account | None) -> Change | None:
        """A row about to link or create, correlated with those it was matched with and those whom others have changed since."""
        prepared = self._arriving.get(seq)
        if prepared is None:
            return None
        match = self._match(planned, prepared)
        self._ledger.load_users(match.user_ids)
        if not self._ledger.users.keys() >= set(match.user_ids):
            return None
        users = {user_id: self._ledger.users[user_id] for user_id in match.user_ids}
        holder = self._holders.get(fold_login(prepared.login))
        staying = holder if holder in self._changed else None  # of everybody else `_has_login` knows more
        return plan_kept(self._terms, planned, prepared, account, Found(match, users, staying))

    def _match(self, planned: Change, prepared: Prepared) -> Match:
        """Whom the hook named, for its word stands; else whom the record matches among those who count."""
        near = self._crowd.near(prepared.keys)
        counting = [(user_id, keys) for user_id, keys in near if user_id in planned.candidates or user_id in self._changed]
        match = correlate(self._terms.policy.matching, prepared.keys, counting)
        word = word_kept(planned)
        return link_of(word.link, match) if word is not None and word.link is not None else match


def _arrives(change: Change) -> bool:
    return change.decision.action is Action.create or "link" in change.effect


def arriving(terms: Terms, changes: Sequence[tuple[int, Change]]) -> Iterable[tuple[int, Prepared]]:
    """The rows that would link or create, prepared again from what the plan keeps of their records."""
    for seq, change in changes:
        if _arrives(change):
            prepared = prepare(terms, _record(change, None), {})
            word = word_kept(change)
            if word is not None and isinstance(prepared, Prepared):
                prepared = overlaid(terms, prepared, word.user)
            if isinstance(prepared, Prepared):
                yield seq, prepared


def _record(planned: Change, account: Account | None) -> Record:
    """The record of a row, as far as the plan keeps it."""
    effect, known = planned.effect, account.digest if account else None
    digest = effect.get("digest")
    return Record(
        planned.line or 0,
        planned.external_id or "",
        effect.get("active", True),
        effect.get("profile", account.profile if account else {}),
        bytes.fromhex(digest) if digest else known or b"",
    )


def _owner(planned: Change) -> str | None:
    """Whose the account was when the row was planned: a row of nobody's account names whom it might become."""
    situation, effect = planned.decision.situation, planned.effect
    waiting = situation is Situation.CONFLICT and "account" in effect
    return None if waiting or situation in _OF_NOBODY else planned.user_id


def _login(change: Change) -> str | None:
    """The key of the login that a row would give to somebody."""
    effect = change.effect
    wanted = effect.get("create", effect.get("new", {})).get("login")
    return fold_login(wanted) if isinstance(wanted, str) else None


def _no_more(planned: Change, fresh: Change) -> Change | None:
    """The fresh decision as far as the plan named it; if it would do more to the person, `None`, or the queue for who has no account yet."""
    decision, effect, named = fresh.decision, fresh.effect, planned.effect
    if _does_more(planned, fresh):
        return put_off(fresh) if _arrives(planned) else None
    if decision.action is Action.release:  # the next master's word follows from it, whatever that is by now
        return fresh
    new = {name: value for name, value in effect.get("new", {}).items() if name in named.get("new", {}) and named["new"][name] == value}
    if new == effect.get("new", {}):
        return fresh
    trimmed = effect.copy()
    trimmed["new"], trimmed["old"], trimmed["digest"] = new, {name: effect["old"][name] for name in new}, None
    if not new:
        del trimmed["new"], trimmed["old"]
        decision = replace(decision, action=Action.none) if decision.action is Action.update else decision
    return replace(fresh, decision=decision, effect=trimmed)


def _does_more(planned: Change, fresh: Change) -> bool:
    if fresh.decision.trigger not in {None, planned.decision.trigger}:
        return True
    if fresh.decision.action in _NAMED and fresh.decision.action is not planned.decision.action:
        return True
    parts = ("link", "relink", "create")
    return any(part in fresh.effect and fresh.effect.get(part) != planned.effect.get(part) for part in parts)


def _outcome(change: Change) -> tuple[Any, ...]:
    effect, decision = change.effect, change.decision
    parts = ("link", "relink", "release", "new", "account", "wait")
    return (decision.action, decision.trigger, decision.to, decision.reason, *(effect.get(part) for part in parts))


def _told(fresh: Change | None) -> str:
    if fresh is None:
        return "its account or the person has changed too much"
    decision = fresh.decision
    return f"{decision.situation.value} now means {decision.action.value}" + (f" ({decision.reason})" if decision.reason else "")
