"""Who carries out imports, and for how long a run is left to them: the settings of several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from mastering.cli.worker import SIGN_OF_LIFE, STIFF_AFTER, _give_sign
from mastering.clock import now
from mastering.errors import SettingInvalid
from mastering.imports.worker import Worker
from mastering.settings import Settings
from mastering.store.engine import open_database
from tests.process import environment

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


def test_a_worker_that_goes_on_is_healthy_and_one_that_hangs_or_has_ended_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mastering.cli", "worker", "--data-dir", str(tmp_path)]
    sign = tmp_path / SIGN_OF_LIFE
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stderr is not None
        while "Working as" not in worker.stderr.readline():
            assert worker.poll() is None
        assert health(tmp_path) == (0, "")
        first = sign.stat().st_mtime
        give_up = time.monotonic() + 30
        while sign.stat().st_mtime == first and time.monotonic() < give_up:
            time.sleep(0.05)
        assert sign.stat().st_mtime > first
        worker.send_signal(signal.SIGSTOP)
        hung = time.time() - STIFF_AFTER.total_seconds() - 5
        os.utime(sign, (hung, hung))
        code, said = health(tmp_path)
        assert (code, "has taken no step for" in said) == (1, True)
        worker.send_signal(signal.SIGCONT)
        worker.terminate()
    assert worker.returncode == 0
    code, said = health(tmp_path)
    assert (code, "No worker is at work" in said) == (1, True)


def test_the_sign_of_life_is_as_old_as_the_last_step_and_not_as_the_process(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'm.db'}")
    worker = Worker(engine)
    worker.stirred = now() - timedelta(hours=1)
    _give_sign(tmp_path, worker)
    assert time.time() - (tmp_path / SIGN_OF_LIFE).stat().st_mtime == pytest.approx(3600, abs=60)
    worker.start()
    worker.stop()
    assert now() - worker.stirred < timedelta(minutes=1)
    engine.dispose()


def health(folder: Path) -> tuple[int, str]:
    """The exit code of the command, and what it says."""
    command = [sys.executable, "-m", "mastering.cli", "health", "--data-dir", str(folder)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=60)
    return ended.returncode, ended.stderr
