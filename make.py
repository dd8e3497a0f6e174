#!/usr/bin/env python3
"""Set the project up on a machine that has Python and nothing else, and do one thing with it.

    python3 make.py demo     run the main job on a small made-up company and leave the server running
    python3 make.py test     every check and every test: what CI runs
    python3 make.py lint     the checks alone: ruff, mypy, import-linter
    python3 make.py bench    measure, and print the ratios
    python3 make.py docs     write the generated pages of docs/ anew

Whatever follows the word is handed on (`python3 make.py test -k ranking`). Where there is `make`, `make test` is the same.

Everything is installed into `.venv` beside this file, at the versions in `constraints.txt`. The environment is made once and made
anew when Python, `pyproject.toml` or `constraints.txt` changes; a run that finds it in order starts at once. Only the standard
library is used here, and only syntax that an old Python can read, so that a machine with the wrong Python is told so in a sentence.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

OLDEST = (3, 11)
NEWEST = (3, 13)
EXTRAS = "bench,test"
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PROGRAMS = VENV / ("Scripts" if os.name == "nt" else "bin")
STAMP = VENV / "installed-from"

LINT = [
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy"],
    ["lint-imports", "--no-logo"],
]
TASKS = {
    "demo": [["mastering", "demo"]],
    "test": [*LINT, ["pytest"]],
    "lint": LINT,
    "bench": [["python", "-m", "bench"]],
    "docs": [["python", "-m", "scripts.generate_docs"]],
}


def main(arguments: List[str]) -> int:
    """Do the task that the first argument names, with the rest as its own arguments; the exit code is the task's."""
    if not arguments or arguments[0] not in TASKS:
        print(__doc__)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    use_suitable_python()
    install()
    *checks, last = TASKS[arguments[0]]
    for command in checks:
        code = call(in_venv(command))
        if code != 0:
            return code
    return become(in_venv(last) + arguments[1:])


def use_suitable_python() -> None:
    """Go on in an interpreter that can carry the project: this one, or another on PATH; else stop with a sentence."""
    if is_suitable(sys.executable):
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which("python3.{}".format(minor))
        if other and is_suitable(other):
            raise SystemExit(become([other, str(ROOT / "make.py")] + sys.argv[1:]))
    raise SystemExit(
        "This project needs Python 3.{} to 3.{} with its venv and ensurepip modules (some Linux distributions package them apart, as "
        "python3-venv). This is Python {}.{}, and PATH has no other that fits.".format(OLDEST[1], NEWEST[1], *sys.version_info[:2])
    )


def is_suitable(python: str) -> bool:
    """Whether an interpreter has a supported version and can make a virtual environment.

    It is started to find out, because a name on PATH may be a shim with nothing behind it.
    """
    probe = "import ensurepip, sys, venv; sys.exit(not {} <= sys.version_info[:2] <= {})".format(OLDEST, NEWEST)
    return subprocess.call([python, "-c", probe], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def install() -> None:
    """Make `.venv` from the pinned versions, unless the one that is there was made from the very same.

    An interrupted installation leaves no stamp and is done again from the start.
    """
    wanted = fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    print("Installing into {} (this happens once) ...".format(VENV.name), flush=True)
    pip = [str(PROGRAMS / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(VENV)],
        pip + ["--constraint", "constraints.txt", "--editable", ".[{}]".format(EXTRAS)],
    ):
        if call(command) != 0:
            raise SystemExit("The installation failed; the lines above say why. Run the same command again once that is mended.")
    STAMP.write_text(wanted)


def fingerprint() -> str:
    """A digest of all that decides what ends up in `.venv`: its place, the interpreter and the two files that name packages."""
    parts = [str(VENV), sys.version, EXTRAS]
    parts += [(ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def in_venv(command: List[str]) -> List[str]:
    """The command with its program taken from `.venv`."""
    return [str(PROGRAMS / command[0])] + command[1:]


def call(command: List[str]) -> int:
    """Run a command in the project's folder and wait for its exit code."""
    return subprocess.call(command, cwd=str(ROOT))


def become(command: List[str]) -> int:
    """Hand over to a command for good, so that Ctrl-C and signals reach it and nobody stands in between."""
    if os.name != "nt":
        os.chdir(str(ROOT))
        sys.stdout.flush()
        os.execv(command[0], command)
    return call(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
