"""Who carries out imports, and for how long a run is left to them: the settings of several processes."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from mastering.errors import SettingInvalid
from mastering.settings import Settings

ROOT = Path(__file__).parents[2]


def test_a_server_works_and_leaves_a_run_for_half_a_minute_unless_told_otherwise() -> None:
    plain = Settings.from_environment({})
    assert (plain.work, plain.lease) == (True, timedelta(seconds=30))
    told = Settings.from_environment({"MASTERING_WORK": "no", "MASTERING_LEASE_SECONDS": "5"})
    assert (told.work, told.lease) == (False, timedelta(seconds=5))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MASTERING_WORK", "perhaps", "MASTERING_WORK: must be yes or no, not 'perhaps'"),
        ("MASTERING_LEASE_SECONDS", "0", "MASTERING_LEASE_SECONDS: must be a number from 1 to 3600, not '0'"),
        ("MASTERING_LEASE_SECONDS", "soon", "MASTERING_LEASE_SECONDS: must be a number from 1 to 3600, not 'soon'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingInvalid) as raised:
        Settings.from_environment({name: value})
    assert raised.value.summary == sentence


def test_a_worker_without_its_database_ends_with_a_sentence(tmp_path: Path) -> None:
    url = f"postgresql:///none?host={tmp_path}"
    command = [sys.executable, "-m", "mastering.cli", "worker", "--database-url", url]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert ended.returncode == 2
    assert "the database cannot be opened" in ended.stderr
    assert "Traceback" not in ended.stderr
