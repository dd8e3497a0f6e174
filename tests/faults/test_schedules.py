"""Several processes on one PostgreSQL, each with a ticker of its own, and a schedule that fires once (SPEC §11; docs/decisions/0002)."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from mastering.catalog import policies
from mastering.clock import wire
from mastering.rules.policy import Firing, ImportPolicy, Schedule
from mastering.store.documents import load
from mastering.store.engine import open_database
from tests.faults.processes import ROOT
from tests.postgres import Databases, engine_url
from tests.walks.imports_world import ADMIN, World

BEGIN = datetime(2026, 11, 25, 11, 59, 30, tzinfo=UTC)
SLOTS = [f"2026-11-25T12:0{minute}:00.000Z" for minute in range(10)]
TEN_SLOTS_LONG = "600"


def test_ten_slots_fire_ten_times_whichever_of_three_processes_has_each(postgres_server: Databases, postgres_template: str) -> None:
    name = postgres_server.new(postgres_template)
    url = engine_url(postgres_server.url(name))
    engine = open_database(url)
    world = World(engine)
    hr = world.app("HR")
    policies.revise(engine, ADMIN, BEGIN, hr, lambda _: ImportPolicy(schedule=Schedule(full=Firing("* * * * *"))))

    command = [sys.executable, str(ROOT / "tests/faults/ticking.py"), url, wire(BEGIN), TEN_SLOTS_LONG]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0

    fired = [load(event.body)["due"] for event in world.events(hr) if event.type == "test.fired"]
    engine.dispose()
    postgres_server.drop(name)
    assert fired == SLOTS
