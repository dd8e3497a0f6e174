"""The lines of docs/proof.md, run as they stand, by a Python that has nothing of this program: they accept and refuse what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from mastering import checkpoints, users
from mastering.clock import now
from mastering.exports import Format, export
from mastering.store.engine import open_database
from mastering.store.exports import WantedEvents
from mastering.users import Act
from mastering.vault import Vault
from tests import page
from tests.walks.imports_world import ADMIN, World, calm, person

VAULT = Vault(["the key of this page's server, long enough for anybody"])
Edit = Callable[[str], str]


def the_lines() -> str:
    text = (page.DOCS / "proof.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len([line for line in lines.splitlines() if line]) == 22
    return str(lines)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an export of a history, a checkpoint of before its last event, and the lines."""
    folder = tmp_path_factory.mktemp("kept")
    world = World(open_database(f"sqlite:///{folder}/m.db"))
    world.send(world.app("HR", calm()), [person("E1", title='Ünï"body":{}\\ \n'), person("E2")])
    profile = {"login": "j@x.org", "email": "j@x.org", "firstName": "Jürgen", "lastName": "D"}
    jane = users.create(world.engine, ADMIN, now(), profile, activate=True)
    users.act(world.engine, ADMIN, now(), jane.id, Act.suspend, reason='on the "quiet" 李')
    signed = checkpoints.make(world.engine, VAULT, ADMIN, now())
    (folder / "checkpoint.ndjson").write_bytes(b"".join(checkpoints.exported(world.engine, signed)))
    users.act(world.engine, ADMIN, now(), jane.id, Act.unsuspend)
    (folder / "history.ndjson").write_bytes(b"".join(export(world.engine, WantedEvents(), Format.ndjson)))
    (folder / "verify.py").write_text(the_lines(), encoding="utf-8")
    world.engine.dispose()
    return folder


def verify(kept: Path, tmp_path: Path, history: Edit = str, checkpoint: Edit = str, key: str = VAULT.public_key) -> tuple[int, str]:
    for name, edit in (("history.ndjson", history), ("checkpoint.ndjson", checkpoint)):
        (tmp_path / name).write_text(edit((kept / name).read_text(encoding="utf-8")), encoding="utf-8")
    command = [sys.executable, "-I", str(kept / "verify.py"), "history.ndjson", "checkpoint.ndjson", key]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def without(part: str, which: int) -> Edit:
    def edit(text: str) -> str:
        lines = text.splitlines(keepends=True)
        found = [line for line in lines if part in line]
        lines.remove(found[which])
        return "".join(lines)

    return edit


def replaced(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def neighbours_swapped(text: str) -> str:
    """Two events of different people who follow each other change places: each chain is as it was."""
    lines = text.splitlines(keepends=True)
    subjects = [json.loads(line)["body"]["subject"] for line in lines]
    place = next(number for number, (one, other) in enumerate(pairwise(subjects)) if one != other)
    lines[place : place + 2] = lines[place + 1], lines[place]
    return "".join(lines)


def with_a_chain_more(text: str) -> str:
    """Somebody who was never there, with a chain that verifies."""
    body = '{"id":"evt","seq":1,"subject":"00uNobody"}'
    return f'{{"position":1,"hash":"{sha256(body.encode()).hexdigest()}","erased":false,"body":{body},"values":null}}\n{text}'


def test_an_export_that_nobody_touched_is_accepted(kept: Path, tmp_path: Path) -> None:
    assert verify(kept, tmp_path) == (0, "")


@pytest.mark.parametrize(
    ("history", "said"),
    [
        (replaced('"type":"user.suspend"', '"type":"user.update"'), "is broken at 3"),
        (replaced("Jürgen", "Jutta"), "AssertionError: evt"),
        (without('"type":"user.activate"', -1), "is broken at 3"),
        (without('"type":"user.suspend"', 0), "is broken at 4"),
        (lambda text: "".join(reversed(text.splitlines(keepends=True))), "is broken at"),
        (lambda text: text + text.splitlines(keepends=True)[-1], "is broken at"),
        (lambda text: "".join(text.splitlines(keepends=True)[:-2]), "the ends of these chains are missing"),
        (lambda _: "", "the ends of these chains are missing"),
        (neighbours_swapped, "events changed places"),
        (with_a_chain_more, "events changed places, or there are others"),
    ],
    ids=["body", "values", "dropped", "dropped later", "reversed", "twice", "tail", "everything", "two people's rows", "a chain more"],
)
def test_an_export_that_was_altered_is_refused_with_a_word_about_where(kept: Path, tmp_path: Path, history: Edit, said: str) -> None:
    code, told = verify(kept, tmp_path, history=history)
    assert (code, said in told) == (1, True), told


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [
        (replaced('"number":1', '"number":2'), "InvalidSignature"),
        (without('"subject":"00u', 0), "the heads were edited"),
        (replaced('"seq":3', '"seq":2'), "the heads were edited"),
    ],
    ids=["statement", "a head dropped", "a head moved"],
)
def test_a_checkpoint_that_was_altered_is_refused(kept: Path, tmp_path: Path, checkpoint: Edit, said: str) -> None:
    code, told = verify(kept, tmp_path, checkpoint=checkpoint)
    assert (code, said in told) == (1, True), told


def test_another_key_than_the_one_that_was_noted_is_refused(kept: Path, tmp_path: Path) -> None:
    code, told = verify(kept, tmp_path, key=Vault(["somebody else's key, which is long enough as well"]).public_key)
    assert (code, "InvalidSignature" in told) == (1, True), told
