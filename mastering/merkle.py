"""A Merkle tree as RFC 9162 §2.1 defines it, over leaves that come one after the other and are not kept.

A leaf's hash is SHA-256 over a zero byte and the leaf, a node's over a one byte and its two children; the left child holds the largest
power of two of leaves that leaves something for the right one. The two bytes keep anybody from passing a node off as a leaf. Only one
hash for each power of two is remembered, so that a tree over millions takes no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

_LEAF, _NODE = b"\x00", b"\x01"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a proof from a leaf up to the root: the hash beside it, and whether that stands on the left."""

    hash: bytes
    left: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """A finished part of the tree. `watched`: the watched leaf is in it."""

    height: int
    hash: bytes
    watched: bool


class Tree:
    """Takes the leaves in their order. Of one leaf, whose number from 0 is `watch`, it keeps the way to the root."""

    def __init__(self, watch: int | None = None) -> None:
        self.size = 0
        self._watch = watch
        self._parts: list[_Part] = []
        self._path: list[Step] = []

    def add(self, leaf: bytes) -> None:
        """The next leaf."""
        part = _Part(0, sha256(_LEAF + leaf).digest(), self.size == self._watch)
        self.size += 1
        while self._parts and self._parts[-1].height == part.height:
            part = self._joined(self._parts.pop(), part)
        self._parts.append(part)

    def close(self) -> bytes:
        """The root over all of them; over none it is the hash of nothing. Nothing is added after this."""
        while len(self._parts) > 1:
            right = self._parts.pop()
            self._parts.append(self._joined(self._parts.pop(), right))
        return self._parts[0].hash if self._parts else sha256().digest()

    @property
    def path(self) -> tuple[Step, ...]:
        """From the watched leaf to the root of a closed tree."""
        return tuple(self._path)

    def _joined(self, left: _Part, right: _Part) -> _Part:
        if left.watched:
            self._path.append(Step(right.hash, left=False))
        elif right.watched:
            self._path.append(Step(left.hash, left=True))
        return _Part(left.height + 1, sha256(_NODE + left.hash + right.hash).digest(), left.watched or right.watched)


def root_by(leaf: bytes, path: Sequence[Step]) -> bytes:
    """The root that a leaf and its way up lead to."""
    reached = sha256(_LEAF + leaf).digest()
    for step in path:
        reached = sha256(_NODE + (step.hash + reached if step.left else reached + step.hash)).digest()
    return reached
