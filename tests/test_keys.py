"""Rotating the key that secrets are encrypted with (SPEC §11): nothing that is sealed is lost, and nobody has to stop for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from mastering import connections, keys
from mastering.catalog import apps, hooks
from mastering.cli import main
from mastering.clock import now, wire
from mastering.connections import Form, Peers
from mastering.connectors.outbound import Door
from mastering.connectors.peerauth import Fixed
from mastering.errors import Invalid
from mastering.ledger import Actor
from mastering.outgoing import purpose
from mastering.rules.tasks import TaskKind, TaskStatus
from mastering.store.connections import Method
from mastering.store.engine import open_database, reading, writing
from mastering.store.outbound import OutboundTask
from mastering.store.sealed import replace_password, waiting_passwords
from mastering.vault import FILE, SecretUnreadable, Vault, key_of, open_vault, put_new_key

ADMIN = Actor("token", "00Tadmin", "admin")
SECRET = "s3cr3t"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    made = open_database(f"sqlite:///{folder / 'mastering.db'}")
    yield made
    made.dispose()


def connected(engine: Engine, vault: Vault) -> str:
    """The id of an app with a connection."""
    app = apps.create(engine, ADMIN, now(), apps.Form("Wiki", "wiki", "BOOKMARK"))
    form = Form("https://scim.example.com", Method.HEADER, {}, SECRET)
    connections.save(engine, vault, ADMIN, now(), app.id, form, activate=True)
    return app.id


def shown(engine: Engine, vault: Vault, app_id: str) -> str:
    """The header that a process with this vault would send."""
    door = Door()
    auth = Peers(engine, vault, door).open(app_id).target.auth
    door.close()
    assert isinstance(auth, Fixed)
    return auth.headers["Authorization"]


def test_a_new_key_is_put_in_front_of_the_others_for_its_owner_alone(folder: Path) -> None:
    before = open_vault(None, folder)
    made = put_new_key(folder / FILE)
    after = open_vault(None, folder)
    assert after.key_ids == [made, *before.key_ids]
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in folder.iterdir()] == [FILE]


def test_a_running_process_finds_the_new_key_when_it_meets_its_first_secret(folder: Path) -> None:
    running = open_vault(None, folder)
    put_new_key(folder / FILE)
    sealed = open_vault(None, folder).seal(SECRET, "x")
    assert running.open(sealed, "x") == SECRET
    assert key_of(running.seal(SECRET, "x")) == key_of(sealed), "and uses it from then on"


def test_a_key_that_is_nowhere_opens_nothing_and_a_lost_file_harms_nobody(folder: Path) -> None:
    running = open_vault(None, folder)
    mine = running.seal(SECRET, "x")
    (folder / FILE).unlink()
    with pytest.raises(SecretUnreadable):
        running.open(Vault(["o" * 40]).seal(SECRET, "x"), "x")
    assert running.open(mine, "x") == SECRET


def test_everything_is_sealed_again_and_a_running_process_goes_on(engine: Engine, folder: Path) -> None:
    running = open_vault(None, folder)
    app_id = connected(engine, running)
    form = hooks.Form("Hook", "https://hooks.example.com", auth=hooks.Auth("Authorization", SECRET))
    hook = hooks.create(engine, running, ADMIN, now(), form)
    assert keys.usage(engine) == {running.key_ids[0]: 2}
    made, lost = keys.rotate(engine, folder / FILE)
    assert (keys.usage(engine), lost) == ({made: 2}, {})
    assert shown(engine, running, app_id) == f"Bearer {SECRET}"
    assert hooks.target_of(hooks.read(engine, hook.id), open_vault(None, folder)).headers == {"Authorization": SECRET}


def test_a_password_that_waits_to_be_pushed_is_sealed_again_and_keeps_its_value(engine: Engine, folder: Path) -> None:
    vault = open_vault(None, folder)
    app_id, at = connected(engine, vault), wire(now())
    sealed = vault.seal(SECRET, purpose(app_id, "0ua1"))
    task = OutboundTask(
        id="tsk1",
        app_id=app_id,
        account_id="0ua1",
        user_id="00u1",
        kind=TaskKind.PASSWORD,
        status=TaskStatus.PENDING,
        secret=sealed,
        due=at,
        created=at,
    )
    with writing(engine) as session:
        session.add(task)
    made, lost = keys.rotate(engine, folder / FILE)
    assert (keys.usage(engine), lost) == ({made: 2}, {})
    with reading(engine) as session:
        (waiting,) = waiting_passwords(session)
    assert open_vault(None, folder).open(waiting.secret or "", purpose(app_id, "0ua1")) == SECRET
    with writing(engine) as session:
        replace_password(session, task, "of a password that has been sent meanwhile")
    with reading(engine) as session:
        assert waiting_passwords(session)[0].secret == waiting.secret


def test_what_no_key_opens_is_named_and_can_be_entered_again(engine: Engine, folder: Path) -> None:
    app_id = connected(engine, Vault(["l" * 40]))
    vault = open_vault(None, folder)
    _, lost = keys.rotate(engine, folder / FILE)
    assert lost == {"connections": [app_id]}
    with pytest.raises(Invalid) as unreadable:
        shown(engine, vault, app_id)
    assert "enter it again" in unreadable.value.causes[0]
    connections.save(engine, vault, ADMIN, now(), app_id, Form(None, None, {}, "new"))
    assert shown(engine, vault, app_id) == "Bearer new"


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line; its exit code."""
    for name in ("MASTERING_SECRET_KEY", "MASTERING_SECRET_KEY_FILE", "MASTERING_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTERING_DATA_DIR", "unused")  # the command sets it, and it goes with the test
    monkeypatch.setattr("sys.argv", ["mastering", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_command_rotates_and_shows_the_keys_and_never_what_they_are(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    app_id = connected(engine, open_vault(None, folder))
    assert command(monkeypatch, "keys", "rotate", "--data-dir", str(folder)) == 0
    assert command(monkeypatch, "keys", "show", "--data-dir", str(folder)) == 0
    out = "".join(capfd.readouterr())
    present, earlier = open_vault(None, folder).key_ids
    rows = [line.split() for line in out.splitlines() if line.split()[:1] in ([present], [earlier])]
    assert rows == [[present, "present", "1"], [earlier, "earlier", "0"]]
    assert not any(line in out for line in (folder / FILE).read_text().split())
    assert shown(engine, open_vault(None, folder), app_id) == f"Bearer {SECRET}"


def test_the_command_says_what_it_could_not_read_and_fails(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    app_id = connected(engine, Vault(["l" * 40]))
    open_vault(None, folder)
    assert command(monkeypatch, "keys", "rotate", "--data-dir", str(folder)) == 1
    assert f"connections: {app_id}" in "".join(capfd.readouterr())


def test_a_key_in_a_setting_is_not_the_commands_to_change(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.environ", {"PATH": "", "MASTERING_SECRET_KEY": "k" * 40})
    monkeypatch.setattr("sys.argv", ["mastering", "keys", "rotate", "--data-dir", str(folder)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "put a new one on a line of its own" in "".join(capfd.readouterr())
