#!/usr/bin/env python3
"""Write `tests/peers/canaille.txt` anew: what canaille, the SCIM server of somebody else's, is installed from in its own environment.

    python3 scripts/refresh_canaille.py python3.11 python3.12 python3.13

Every package with its exact version and the hashes of its files for the interpreters named, so that an installation is the same everywhere
or fails. canaille 0.3.6 works with these two versions of the SCIM libraries and with no newer ones.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

WANTED = ["canaille[oidc,scim]==0.3.6", "scim2-models==0.8.2", "scim2-client==0.9.0"]
FILE = Path(__file__).resolve().parent.parent / "tests/peers/canaille.txt"
HEADER = """\
# What canaille is installed from for tests/peers, in an environment of its own. Written by scripts/refresh_canaille.py.
"""


def main(pythons: list[str]) -> int:
    """Resolve on the first interpreter, and find the files of the same versions for the others."""
    if not pythons:
        print(__doc__)
        return 2
    pins: dict[str, str] = {}
    hashes: dict[str, set[str]] = defaultdict(set)
    with tempfile.TemporaryDirectory() as scratch:
        for number, python in enumerate(pythons):
            folder = Path(scratch) / str(number)
            subprocess.run([python, "-m", "venv", folder], check=True)
            wanted = [*WANTED, *(f"{name}=={version}" for name, version in pins.items())]
            report = folder / "report.json"
            pip: list[str | Path] = [
                folder / "bin/python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--ignore-installed",
                "--dry-run",
                "--report",
                report,
            ]
            subprocess.run([*pip, *wanted], check=True)
            for item in json.loads(report.read_text())["install"]:
                name = item["metadata"]["name"].lower().replace("_", "-")
                pins[name] = item["metadata"]["version"]
                hashes[name].add(item["download_info"]["archive_info"]["hashes"]["sha256"])
    lines = [f"{name}=={pins[name]}{''.join(f' --hash=sha256:{each}' for each in sorted(hashes[name]))}\n" for name in sorted(pins)]
    FILE.write_text(HEADER + "".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
