"""A page of `docs/` whose commands are run as they stand: its `sh` blocks by bash in an empty folder, against a server it starts itself.

The page starts `mastering serve &` on port 8000; a test takes any free port instead, and the server ends with the shell. The same goes for
other servers that a page starts, on ports that begin with 81.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.process import free_port

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "=== end of block ==="
_SECONDS = 120


def blocks(name: str) -> list[tuple[str, str]]:
    """The `sh` and `text` blocks of a page in order, each as (kind, text)."""
    return [(kind, text) for kind, text in _BLOCK.findall((DOCS / name).read_text(encoding="utf-8"))]


def run(name: str, folder: Path, environment: Mapping[str, str] | None = None) -> list[str]:
    """Run a page's commands in `folder`; what each `sh` block printed. The first command that fails stops it."""
    port, others = free_port(), defaultdict[str, int](free_port)
    commands = f"\necho '{_MARK}'\n".join(text for kind, text in blocks(name) if kind == "sh")
    script = f"set -eu -o pipefail\ntrap 'kill $(jobs -p); wait' EXIT\n{commands}"
    script = re.sub(r":(81\d\d)\b", lambda found: f":{others[found[1]]}", script.replace(":8000", f":{port}"))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MASTERING_")}
    clean |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "MASTERING_PORT": str(port), "COLUMNS": "120"}
    with (folder / "server.log").open("w+") as log:
        environment = {**clean, **(environment or {})}
        command = ["bash", "-c", script]
        shell = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        try:
            printed = shell.communicate(timeout=_SECONDS)[0].decode()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # whatever a page that did not come to its end has left behind
        log.seek(0)
        assert shell.returncode == 0, printed + log.read()
    return printed.split(f"{_MARK}\n")
