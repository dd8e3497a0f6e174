"""Planning with an inline hook: who is asked about, and what was heard (SPEC §§5.6, 8).

A hook is never called while a transaction is open. So a run with a hook is planned twice: the first time to see whom the hook has to be
asked about, which is noted; the second time with its words at hand. What a plan says comes out of one planning on one snapshot. Should
that meet a record that nothing is known of, as the world has changed meanwhile, it is noted, too, and the run is planned once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from mastering.imports.lease import Lease
from mastering.rules.change import Change, Prepared, Terms
from mastering.rules.claims import Lost
from mastering.rules.hook import HookTerms, HookWord, Outcome, failure
from mastering.rules.hooked import Heard, hear
from mastering.rules.people import Account
from mastering.store import hooks as store
from mastering.store import people
from mastering.store.engine import writing

_AT_ONCE = 2_000
_OVER_LOGINS = frozenset({Lost.login_claimed_twice, Lost.login_taken})


@dataclass(frozen=True, slots=True)
class Question:
    """A row that the hook is asked about, as it would be without the hook."""

    change: Change
    prepared: Prepared
    account: Account | None

    @property
    def external_id(self) -> str:
        """The key under which the word is kept."""
        return self.prepared.record.external_id


class Asking:
    """The words of one hook for one planning, and the questions that have no word yet."""

    def __init__(self, session: Session, lease: Lease, hook: HookTerms, terms: Terms) -> None:
        self.hook = hook
        self._session = session
        self._lease = lease
        self._terms = terms
        self._open: set[str] = set()
        self._rows: dict[int, str] = {}
        self._unwritten: list[store.Asked] = []
        self._outcomes: dict[str, Outcome] = {}

    def heard(self, questions: Sequence[Question]) -> list[Heard | None]:
        """The records after the hook's word, in the order of the questions; `None` where it has not been asked yet."""
        words = store.words(self._session, self._lease.run_id, [question.external_id for question in questions])
        named = {word.link for word in words.values() if word and word.link}
        known = set(people.users(self._session, named)) if named else set()
        return [self._heard(question, words, known) for question in questions]

    def _heard(self, question: Question, words: Mapping[str, HookWord | None], known: Collection[str]) -> Heard | None:
        word = words.get(question.external_id)
        if word is None:
            self._note(question, noted=question.external_id in words)
            return None
        if word.link is not None and word.link not in known:
            word = failure(Outcome.unknown_user, "it names a user who does not exist", word.tries)
        heard = hear(self._terms, question.prepared, question.account, word)
        self._outcomes[question.external_id] = heard.word.outcome
        return heard

    def _note(self, question: Question, *, noted: bool) -> None:
        if question.external_id in self._open:
            return
        self._open.add(question.external_id)
        if not noted:
            prepared, contested = question.prepared, question.change.decision.reason == Lost.login_taken
            self._unwritten.append(store.Asked(question.external_id, prepared.merged, prepared.mapped, contested))
            if len(self._unwritten) >= _AT_ONCE:
                self._write()

    def place(self, row: int, change: Change) -> None:
        """Remember by which number a row made its claims: who loses a login, the hook is told so."""
        if change.external_id in self._open:
            self._rows[row] = change.external_id or ""

    def is_open(self, losers: Mapping[int, Lost]) -> bool:
        """Whether anybody is still to be asked about; all of them are noted then, with what became of their claims."""
        contested = {self._rows[row] for row, lost in losers.items() if lost in _OVER_LOGINS and row in self._rows}
        self._write(contested)
        return bool(self._open)

    def tally(self) -> dict[str, int]:
        """How often each outcome came about."""
        return dict(sorted(Counter(outcome.value for outcome in self._outcomes.values()).items()))

    def _write(self, contested: set[str] | None = None) -> None:
        if self._unwritten or contested:
            with writing(self._lease.engine) as session:
                self._lease.hold(session)
                store.add_calls(session, self._lease.run_id, self._unwritten)
                store.contest(session, self._lease.run_id, sorted(contested or ()))
            self._unwritten.clear()
