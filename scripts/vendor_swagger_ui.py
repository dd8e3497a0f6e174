#!/usr/bin/env python3
"""Bring Swagger UI into `api/static/`, so that the documentation page needs nothing from outside the service.

    python3 scripts/vendor_swagger_ui.py [VERSION]

The newest release of the npm package `swagger-ui-dist` is taken, or the one named, through npm as it is set up on this machine. A few
files of the package are kept as they are, and `VERSION` records which release they are from and the SHA-256 of each. The page itself
(`docs.html`, `docs.js`) is ours and stays untouched.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "swagger-ui-dist"
STATIC = Path(__file__).resolve().parent.parent / "api" / "static"
KEPT = {
    "swagger-ui-bundle.js": "swagger-ui-bundle.js",
    "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css": "swagger-ui.css",
    "favicon-32x32.png": "favicon.png",
    "LICENSE": "LICENSE",
    "NOTICE": "NOTICE",
}


def main(arguments: list[str]) -> int:
    """Fetch the package, keep the files that the page needs and write `VERSION`."""
    wanted = arguments[0] if arguments else "latest"
    with tempfile.TemporaryDirectory() as scratch:
        packed = subprocess.run(
            ["npm", "pack", "--silent", "--pack-destination", scratch, f"{PACKAGE}@{wanted}"],
            check=True,
            capture_output=True,
            text=True,
        )
        lines = take(Path(scratch) / packed.stdout.split()[-1])
    (STATIC / "VERSION").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print("\n".join(lines))
    return 0


def take(archive: Path) -> list[str]:
    """Write the kept files and return the lines of `VERSION`: the release, then one digest a file."""
    STATIC.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as package:
        lines = [f"{PACKAGE} {json.loads(member(package, 'package.json'))['version']}"]
        for name, kept_as in KEPT.items():
            content = member(package, name)
            (STATIC / kept_as).write_bytes(content)
            lines.append(f"sha256 {hashlib.sha256(content).hexdigest()}  {kept_as}")
    return lines


def member(package: tarfile.TarFile, name: str) -> bytes:
    """The content of one file of an npm package."""
    content = package.extractfile(f"package/{name}")
    if content is None:
        raise SystemExit(f"{PACKAGE} has no file {name} any more: look at what the release renamed.")
    return content.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
