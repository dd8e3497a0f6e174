"""The commands of docs/connections.md, typed as they stand there, against a server and a SCIM server that they start themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import page


def documents(printed: str) -> list[Any]:
    """The JSON documents that a block printed, one after the other."""
    found, decoder = [], json.JSONDecoder()
    while (printed := printed.lstrip()).startswith(("{", "[")):
        document, end = decoder.raw_decode(printed)
        found.append(document)
        printed = printed[end:]
    return found


def states(report: Any) -> dict[str, str]:
    return {one["step"]: one["state"] for one in report["steps"]}


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    _, mistaken, connected, read, changed, rotated = page.run("connections.md", tmp_path)
    made, report = documents(mistaken)
    assert (made["status"], report["ok"], states(report)["AUTHENTICATION"], states(report)["USERS"]) == (
        "DISABLED",
        False,
        "FAILED",
        "SKIPPED",
    )
    made, report = documents(connected)
    assert (made["status"], report["ok"]) == ("ENABLED", True)
    assert states(report) == {step: "SKIPPED" if step == "TLS" else "OK" for step in states(report)}
    *_, run, ada = documents(read)
    assert (run["status"], run["pull"]["read"], run["situations"]) == ("COMPLETED", "ALL", {"UNMATCHED": 2})
    assert (ada["profile"]["displayName"], ada["status"]) == ("ada Example", "STAGED")
    *_, run = documents(changed)
    assert (run["status"], run["pull"]["read"], run["situations"]["CHANGED"]) == ("COMPLETED", "CHANGES", 1)
    rows = [line.split() for line in rotated.splitlines() if "present" in line or "earlier" in line]
    assert [row[1:] for row in rows] == [["present", "1"], ["earlier", "0"]]
    assert '"ok":true' in rotated
    kept = b"".join(file.read_bytes() for file in [*tmp_path.glob("data/mastering.db*"), tmp_path / "server.log"])
    assert b"a-secret" not in kept
