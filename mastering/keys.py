"""The keys that secrets are sealed with, over all that is sealed: what each still holds, and sealing everything again with a new one (SPEC §11).

Nothing that waits is lost by it: every secret keeps its value, and a process that has not heard of the new key finds it (`mastering.vault`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import Engine

from mastering import connections
from mastering.catalog import hooks
from mastering.outgoing import purpose
from mastering.store import sealed
from mastering.store.engine import reading, writing
from mastering.vault import SecretUnreadable, Vault, key_of, put_new_key


def _passwords(engine: Engine, vault: Vault) -> list[str]:
    """Those that wait to be pushed; the tasks whose password does not open any more."""
    lost = []
    with reading(engine) as session:
        stale = [task for task in sealed.waiting_passwords(session) if vault.stale(task.secret or "")]
    for task in stale:
        belongs_to = purpose(task.app_id, task.account_id)
        try:
            again = vault.seal(vault.open(task.secret or "", belongs_to), belongs_to)
        except SecretUnreadable:
            lost.append(task.id)
            continue
        with writing(engine) as session:
            sealed.replace_password(session, task, again)
    return lost


_RESEAL: Mapping[str, Callable[[Engine, Vault], list[str]]] = {
    "hooks": hooks.reseal,
    "connections": connections.reseal,
    "passwords": _passwords,
}


def usage(engine: Engine) -> Counter[str]:
    """How many secrets each key has sealed, by what the key is called."""
    with reading(engine) as session:
        return Counter(map(key_of, sealed.everything(session)))


def reseal(engine: Engine, vault: Vault) -> dict[str, list[str]]:
    """Seal everything again that an earlier key sealed; by kind the ids of what does not open any more, and has to be entered anew."""
    lost = {kind: again(engine, vault) for kind, again in _RESEAL.items()}
    return {kind: ids for kind, ids in lost.items() if ids}


def rotate(engine: Engine, file: Path) -> tuple[str, dict[str, list[str]]]:
    """Put a new key in front of those in the file, and seal everything again with it: what it is called, and what does not open any more.

    Raises `OSError` where the file cannot be written; then nothing has changed.
    """
    made = put_new_key(file)
    keys = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return made, reseal(engine, Vault(keys, file))
