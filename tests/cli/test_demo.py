"""The demo as it stands: a server process of its own, the whole story, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from msgspec.json import decode
from msgspec.structs import replace

from mastering.cli.wire import Change, Run
from mastering.demo import telling
from mastering.demo.story import CHAPTERS, Chapter
from mastering.rules.record import Mode

REST: dict[str, Any] = dict.fromkeys(("safeguard", "blocked_by", "superseded_by", "error", "duration_ms"), None) | {"created": ""}
ROW = b"""{"seq": 1, "externalId": "W1", "line": 2, "situation": "UNMATCHED", "action": "create", "userId": null, "login": "a@example.com",
"from": null, "to": "ACTIVE", "rule": "auto_confirm_new", "reason": null, "authority": null, "attributes": {}, "candidates": [],
"state": "APPLIED", "error": null}"""
ROOT = Path(__file__).parents[2]


def demo(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end, in a set-up that would lead it astray if it listened."""
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "MASTERING_PORT": "no number",
        "MASTERING_DATABASE_URL": "nowhere",
        "COLUMNS": "160",
    }
    command = [sys.executable, "-m", "mastering.cli", "demo", "--exit"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False)


def test_the_story_comes_out_as_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    told = demo(tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    for chapter in CHAPTERS:
        assert chapter.title in told.stdout
    for decided in ("Active → Deactivated", "Active → Suspended", "Deactivated → Active", "Deactivated → Pending activation"):
        assert decided in told.stdout
    assert "HELD" in told.stdout
    assert "--plan-hash sha256:" in told.stdout
    assert "a higher master has the say over this user" in told.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_story_that_comes_out_otherwise_is_found_out() -> None:
    chapter = Chapter("A", "", "HR", "", Mode.FULL, {"UNMATCHED": 1}, {"W1": ("create", "ACTIVE", None)})
    run = Run("imp", "0oa", "FULL", "COMPLETED", dry_run=False, plan_hash="", records=1, situations={"UNMATCHED": 1}, actions={}, **REST)
    row = decode(ROW, type=Change)
    assert telling._compare(chapter, run, [row]) == []
    assert len(telling._compare(chapter, replace(run, status="HELD"), [row])) == 1
    assert len(telling._compare(chapter, replace(run, situations={"EXACT": 1}), [row])) == 1
    assert len(telling._compare(chapter, run, [replace(row, to="PENDING_ACTIVATION")])) == 1
    assert len(telling._compare(chapter, run, [])) == 1
