"""`mastering` in a process that kills itself at a named step: started by the tests in the place of the command.

    python tests/faults/dying.py MODULE:FUNCTION:WHEN:TIMES COMMAND …

At the TIMES-th call of the function, `before` or `after` it, the process sends itself SIGKILL, so nothing is tidied up and nothing
said. `stop` and `term` in the place of WHEN send SIGSTOP and SIGTERM after the call. Without a step (`-`) it only works in small batches, as all of them do.
"""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

SMALL = 20
_BATCHES = (
    ("mastering.imports.spool", "LINES_PER_CHUNK"),
    ("mastering.imports.steps", "AT_ONCE"),
    ("mastering.imports.rows", "_AT_ONCE"),
    ("mastering.imports.planning", "_AT_ONCE"),
    ("mastering.remaster", "_AT_ONCE"),
    ("mastering.rematch", "_AT_ONCE"),
    ("api.uploads", "LINES_PER_CHUNK"),
)


def main(step: str, *arguments: str) -> None:
    """Arm the step and run the command."""
    for module, name in _BATCHES:
        loaded = importlib.import_module(module)
        assert hasattr(loaded, name), (module, name)
        setattr(loaded, name, SMALL)
    _hurry()
    if step != "-":
        _arm(*step.split(":"))
    sys.argv = ["mastering", *arguments]
    importlib.import_module("mastering.cli").main()


def _hurry() -> None:
    """Uploads of which nothing is heard for two seconds are given up, and the ticker looks for them all the time."""
    soon = timedelta(seconds=2)
    spool: Any = importlib.import_module("mastering.imports.spool")
    spool.LEASE, spool._BEAT = soon, soon / 6
    runs: Any = importlib.import_module("mastering.imports.runs")
    runs.LEASE = soon
    followup: Any = importlib.import_module("mastering.followup")
    followup.LEASE = soon
    schedule: Any = importlib.import_module("mastering.schedule")
    schedule.Ticker.__init__.__defaults__ = (timedelta(seconds=0.3),)


def _arm(module: str, path: str, when: str, times: str) -> None:
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, _deadly(getattr(owner, name), when, int(times)))


def _deadly(function: Callable[..., Any], when: str, times: int) -> Callable[..., Any]:
    calls = itertools.count(1)

    def armed(*args: Any, **more: Any) -> Any:
        last = next(calls) == times
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **more)
        if last and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        if last and when == "term":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)  # the server is told in its main thread
        if last and when == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    return armed


if __name__ == "__main__":
    main(*sys.argv[1:])
