"""Databases that are thrown away, each in a private folder that goes with it (decision 0058).

A folder is locked by whoever uses it. What a process leaves behind that is killed is not, and is removed by whoever starts or computes next.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from sqlalchemy import Engine

from mastering.store.engine import open_scratch

_PREFIX = "mastering-scratch-"
_LOCK = "lock"


@contextmanager
def scratch() -> Iterator[Engine]:
    """A database of today's tables with nothing in it, gone at the end of the block."""
    sweep()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, Path(name, "new").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(lock.name).rename(Path(name, _LOCK))  # who sees it sees it locked
        engine = open_scratch(Path(name, "scratch.db"))
        try:
            yield engine
        finally:
            engine.dispose()


def sweep() -> None:
    """Remove the folders that nobody uses any more."""
    for file in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            with file.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                rmtree(file.parent, ignore_errors=True)
        except OSError:  # it is used, it is another user's, or it is gone
            continue
