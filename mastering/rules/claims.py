"""Who gets a login, and who gets a person, when several rows of one run want the same (SPEC §§4, 5.4).

Rows are planned one by one as if each were alone; every row that wants something *claims* it. When all rows have claimed, `losers` names
those who wanted too much. Of several claims none wins, so no result depends on the order of the records:

* A login is free if nobody holds it once every update of the run has been made. A user who moves away frees the old login, unless the
  move itself is refused; chains and swaps come out of following that to its end.
* One user is claimed by one record. An EXACT claim beats PARTIAL ones; two of a kind are both refused.
* Several accounts of one app that come back for one user at once are all refused.

A first import claims a login for everybody. So such a claim is kept as 24 bytes, its login as a digest, in heaps by the digest's first byte;
whether two want the same is seen a heap at a time, when all have claimed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from struct import Struct

from mastering.rules.matching import Kind

_claim = Struct("16sq")
"""The digest of a login, and the row that claims it."""
_HEAPS = 256


class Lost(StrEnum):
    """Why a claim was lost: what the row says afterwards."""

    login_claimed_twice = "login_claimed_twice"
    login_taken = "login_taken"
    user_claimed_twice = "user_claimed_twice"
    several_returns = "several_returns"


@dataclass(frozen=True, slots=True)
class _Move:
    """A linked user who would take a new login."""

    row: int
    user_id: str
    holder: str | None


@dataclass(slots=True)
class Claims:
    """All claims of one run. `row` is the plan's sequence number, or a negative number for a record that has no row."""

    _logins: list[bytearray] = field(default_factory=lambda: [bytearray() for _ in range(_HEAPS)])
    _moves: dict[str, _Move] = field(default_factory=dict)
    _arrivals: dict[int, str] = field(default_factory=dict)
    _exact: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _partial: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _returns: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def move(self, row: int, user_id: str, login_key: str, holder: str | None) -> None:
        """A linked user would change to this login, which `holder` has now."""
        self._claim_login(row, login_key)
        self._moves[user_id] = _Move(row, user_id, holder if holder != user_id else None)

    def arrive(self, row: int, login_key: str, holder: str | None) -> None:
        """An unlinked record asks for this login; `holder` has it now and is not the user the record matches."""
        self._claim_login(row, login_key)
        if holder is not None:
            self._arrivals[row] = holder

    def want(self, row: int, user_id: str, kind: Kind) -> None:
        """An unlinked record matches this user alone."""
        (self._exact if kind is Kind.EXACT else self._partial)[user_id].append(row)

    def come_back(self, row: int, user_id: str) -> None:
        """An account of this user would be active again."""
        self._returns[user_id].append(row)

    def moves_away(self, user_id: str) -> bool:
        """Whether the run would give this user another login."""
        return user_id in self._moves

    def losers(self) -> dict[int, Lost]:
        """Rows whose claim is refused, and why. A return that is refused takes its login claim along, so it comes first."""
        lost: dict[int, Lost] = {}
        for rows in self._returns.values():
            _lose(lost, rows if len(rows) > 1 else [], Lost.several_returns)
        for rows in self._contested():
            _lose(lost, rows, Lost.login_claimed_twice)
        self._refuse_moves(lost)
        for row, holder in self._arrivals.items():
            move = self._moves.get(holder)
            if move is None or move.row in lost:
                lost.setdefault(row, Lost.login_taken)
        for user_id, rows in self._exact.items():
            _lose(lost, rows if len(rows) > 1 else [], Lost.user_claimed_twice)
            _lose(lost, self._partial.get(user_id, []), Lost.user_claimed_twice)
        for user_id, rows in self._partial.items():
            _lose(lost, rows if len(rows) > 1 and user_id not in self._exact else [], Lost.user_claimed_twice)
        return lost

    def _claim_login(self, row: int, login_key: str) -> None:
        digest = sha256(login_key.encode()).digest()[:16]
        self._logins[digest[0]] += _claim.pack(digest, row)

    def _contested(self) -> Iterator[list[int]]:
        """The rows that want a login which another one wants."""
        for heap in self._logins:
            first: dict[bytes, int] = {}
            for digest, row in _claim.iter_unpack(heap):
                other = first.setdefault(digest, row)
                if other != row:
                    yield [other, row]

    def _refuse_moves(self, lost: dict[int, Lost]) -> None:
        """Whoever stays keeps the login, so that who wanted it stays too: follow the refusals until none follows."""
        waiting_for: dict[str, list[_Move]] = defaultdict(list)
        stuck: list[_Move] = []
        for move in self._moves.values():
            if move.holder is None:
                continue
            waiting_for[move.holder].append(move)
            if move.holder not in self._moves:
                stuck.append(move)
        refused = [move.user_id for move in self._moves.values() if move.row in lost]
        self._refuse(stuck, lost, refused.append)
        while refused:
            self._refuse(waiting_for.get(refused.pop(), []), lost, refused.append)

    @staticmethod
    def _refuse(moves: list[_Move], lost: dict[int, Lost], tell: Callable[[str], None]) -> None:
        for move in moves:
            if move.row not in lost:
                lost[move.row] = Lost.login_taken
                tell(move.user_id)


def _lose(lost: dict[int, Lost], rows: list[int], why: Lost) -> None:
    for row in rows:
        lost.setdefault(row, why)
