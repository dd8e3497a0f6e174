"""Identifiers: three letters of kind and seventeen of time and chance, twenty in all, as Okta's are.

Time comes first, so that rows made together lie together in every index: bulk inserts append instead of scattering.
"""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 20
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_PAIR = len(_PAIRS)
_SQUARE, _CUBE, _CHANCE = _PAIR**2, _PAIR**3, _PAIR**4


def new_id(kind: str) -> str:
    """A new identifier of `kind` (three characters, such as `00u` for users)."""
    return new_ids(kind, 1)[0]


def looks_like_id(text: str) -> bool:
    """Whether a text from outside has an identifier's form, so that it can hold nothing else."""
    return len(text) == _LENGTH and all(character in _ALPHABET for character in text)


def new_ids(kind: str, count: int) -> list[str]:
    """`count` new identifiers in ascending order."""
    stamp = kind + _digits(time.time_ns() // 1_000_000, 5)[1:]
    start = secrets.randbelow(_CHANCE - count)
    numbers = range(start, start + count)
    return [stamp + _PAIRS[n // _CUBE] + _PAIRS[n // _SQUARE % _PAIR] + _PAIRS[n // _PAIR % _PAIR] + _PAIRS[n % _PAIR] for n in numbers]


class Ids:
    """Identifiers one at a time, made in bulk: for whoever needs thousands of them. Not shared between threads."""

    _AT_ONCE = 1_024

    def __init__(self) -> None:
        self._left: dict[str, list[str]] = {}

    def new(self, kind: str) -> str:
        """The next identifier of a kind; ascending, like all of them."""
        left = self._left.get(kind)
        if not left:
            left = self._left[kind] = new_ids(kind, self._AT_ONCE)[::-1]
        return left.pop()


def _digits(number: int, pairs: int) -> str:
    """A number to base 62, two digits at a time."""
    text = ""
    for _ in range(pairs):
        number, pair = divmod(number, _PAIR)
        text = _PAIRS[pair] + text
    return text
