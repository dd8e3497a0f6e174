"""Secrets at rest (SPEC §11): what is sealed opens for its purpose alone, under any of the keys, and says which of them it needs."""

import stat
import threading
from pathlib import Path

import pytest

from mastering.settings import Settings
from mastering.vault import FILE, SecretUnreadable, Vault, open_vault

OLD, NEW = "an old key of thirty-two characters", "a new key of thirty-two characters"


def test_what_was_sealed_opens_and_does_not_show() -> None:
    vault = Vault([NEW])
    sealed = vault.seal("s3cret ✓", "inlineHook:1")
    assert vault.open(sealed, "inlineHook:1") == "s3cret ✓"
    assert "s3cret" not in sealed
    assert NEW not in repr(vault)


def test_sealing_the_same_twice_gives_two_texts() -> None:
    vault = Vault([NEW])
    assert vault.seal("s3cret", "a") != vault.seal("s3cret", "a")


def test_a_secret_copied_to_another_place_does_not_open() -> None:
    vault = Vault([NEW])
    with pytest.raises(SecretUnreadable, match="not encrypted for this place"):
        vault.open(vault.seal("s3cret", "inlineHook:1"), "inlineHook:2")


@pytest.mark.parametrize("at", [-2, -20, 20])
def test_a_secret_that_was_touched_does_not_open(at: int) -> None:
    vault = Vault([NEW])
    sealed = vault.seal("s3cret", "a")
    touched = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
    with pytest.raises(SecretUnreadable):
        vault.open(touched, "a")


@pytest.mark.parametrize("text", ["", "v1", "v1::", "v2:0:AAAA", "nonsense"])
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    with pytest.raises(SecretUnreadable):
        Vault([NEW]).open(text, "a")


def test_another_key_says_that_it_is_another_key_and_quotes_nothing() -> None:
    sealed = Vault([OLD]).seal("s3cret", "a")
    with pytest.raises(SecretUnreadable, match="with a key that this process does not have"):
        Vault([NEW]).open(sealed, "a")


def test_an_earlier_key_still_opens_and_its_secrets_are_stale() -> None:
    sealed = Vault([OLD]).seal("s3cret", "a")
    both = Vault([NEW, OLD])
    assert both.open(sealed, "a") == "s3cret"
    assert both.stale(sealed)
    again = both.seal(both.open(sealed, "a"), "a")
    assert not both.stale(again)
    assert Vault([NEW]).open(again, "a") == "s3cret"


def test_the_first_start_makes_a_key_for_its_owner_alone_and_the_next_one_finds_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    sealed = open_vault(None, folder).seal("s3cret", "a")
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert open_vault(None, folder).open(sealed, "a") == "s3cret"
    assert [file.name for file in folder.iterdir()] == [FILE]


def test_several_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    vaults: list[Vault] = []
    starts = [threading.Thread(target=lambda: vaults.append(open_vault(None, tmp_path))) for _ in range(8)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    sealed = vaults[0].seal("s3cret", "a")
    assert [vault.open(sealed, "a") for vault in vaults] == ["s3cret"] * 8
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_a_key_file_may_hold_earlier_keys_below_the_present_one(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{NEW}\n\n{OLD}\n")
    settings = Settings.from_environment({"MASTERING_SECRET_KEY_FILE": str(file)})
    vault = open_vault(settings.secret_key, tmp_path)
    assert vault.open(Vault([OLD]).seal("s3cret", "a"), "a") == "s3cret"
    assert not vault.stale(Vault([NEW]).seal("s3cret", "a"))
    assert not (tmp_path / FILE).exists()
