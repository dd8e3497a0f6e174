#!/usr/bin/env python3
"""Write `constraints.txt` anew: the newest version of every package that the ranges of `pyproject.toml` allow.

    python3 scripts/refresh_constraints.py python3.11 python3.12 python3.13

Each interpreter named resolves everything the project may install, runtime and extras alike, without installing it. The oldest goes
first and each next one is bound by what was found before, so that one file holds for all of them or the script fails and says why.
Run the tests on each before committing the result.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# The exact version of every package the project installs: to run, to test, to measure.
# Resolved on Python {pythons}. Written by scripts/refresh_constraints.py; do not edit by hand.
"""


def main(pythons: list[str]) -> int:
    """Resolve on every interpreter in turn and write the union of what they found."""
    if not pythons:
        print(__doc__)
        return 2
    wanted = requirements()
    pins: dict[str, str] = {}
    versions = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, python in enumerate(pythons):
            version, found = resolve(python, wanted, pins, Path(scratch) / str(number))
            versions.append(version)
            pins |= found
    lines = [f"{name}=={pins[name]}\n" for name in sorted(pins)]
    (ROOT / "constraints.txt").write_text(HEADER.format(pythons=", ".join(versions)) + "".join(lines), encoding="utf-8")
    print(f"{len(lines)} packages pinned for Python {', '.join(versions)}")
    return 0


def requirements() -> list[str]:
    """Every requirement of the project and its extras; an extra that only points at another one adds nothing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *(entry for extra in project["optional-dependencies"].values() for entry in extra)]
    return [entry for entry in listed if not entry.startswith(project["name"] + "[")]


def resolve(python: str, wanted: list[str], pins: dict[str, str], place: Path) -> tuple[str, dict[str, str]]:
    """The interpreter's version, and name and version of each package it would install within the pins made so far."""
    subprocess.run([python, "-m", "venv", place], check=True)
    bounds = place / "pins.txt"
    bounds.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()), encoding="utf-8")
    pip = [str(place / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    report = place / "report.json"
    subprocess.run([*pip, "install", "--dry-run", "--report", report, "--constraint", bounds, *wanted], check=True)
    answer = json.loads(report.read_text(encoding="utf-8"))
    packages = (item["metadata"] for item in answer["install"])
    found = {re.sub(r"[-_.]+", "-", package["name"]).lower(): package["version"] for package in packages}
    return answer["environment"]["python_version"], found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
