"""Secrets at rest: what an admin entrusts to the service so that it can call others, and that nobody ever reads again (SPEC §11).

A sealed secret is text, `v1:KEY:BLOB`. The blob is a nonce and what AES-256-GCM made of the secret; the name of what it belongs to is
authenticated with it, so that a sealed value copied to another row does not open there. KEY says which key sealed it: when a new key is
put in front of the old ones, old secrets still open, `stale` tells them, and sealing them again makes the old key superfluous. A process
that runs meanwhile finds the new key in its file when it meets the first secret that it does not open.

The keys are derived from what the settings give, one text a line, the present one first. Where they give none, the first start makes a
key and leaves it in the data folder, readable by its owner alone. Processes that share a database must share the key, too.

From each text a pair of keys for signatures (Ed25519) is derived as well, for a purpose of its own: what the service vouches for is signed
by the present one, and `vouched` knows the signatures of all (docs/decisions/0050).
"""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FILE = "secret-key"
_VERSION = "v1"
_NONCE = 12


class SecretUnreadable(Exception):
    """A sealed secret does not open: its key is not among ours, or it is not what was sealed, or not for this purpose."""


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    cipher: AESGCM = field(repr=False)
    signer: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> str:
        """The public half of the pair that signs, in base64."""
        return b64encode(self.signer.public_key().public_bytes_raw()).decode()


class Vault:
    """Seals and opens. Its keys are not part of its `repr`; it may be shared between threads."""

    def __init__(self, keys: Sequence[str], file: Path | None = None) -> None:
        """`keys` are the texts that keys are derived from, the present one first; at least one.

        `file` is where they come from: it is read again when a secret was sealed with a key that is not among them, as somebody may have put
        a new one in front meanwhile.
        """
        if not keys:
            raise ValueError("a vault needs a key")
        self._file = file
        self._take(keys)

    @property
    def key_ids(self) -> list[str]:
        """What the keys are called in sealed secrets, the present one first."""
        return list(self._keys)

    def seal(self, secret: str, purpose: str) -> str:
        """A secret as it may be kept. Only with the same `purpose` can it be opened again: what it belongs to, by kind and id."""
        nonce = os.urandom(_NONCE)
        blob = nonce + self._current.cipher.encrypt(nonce, secret.encode(), purpose.encode())
        return f"{_VERSION}:{self._current.id}:{urlsafe_b64encode(blob).decode()}"

    def open(self, sealed: str, purpose: str) -> str:
        """The secret that was sealed; raises `SecretUnreadable`, which quotes nothing of it."""
        version, _, rest = sealed.partition(":")
        key_id, _, text = rest.partition(":")
        key = self._keys.get(key_id) or self._read_again().get(key_id)
        if version != _VERSION or key is None:
            raise SecretUnreadable("it was encrypted with a key that this process does not have")
        try:
            blob = urlsafe_b64decode(text)
            return key.cipher.decrypt(blob[:_NONCE], blob[_NONCE:], purpose.encode()).decode()
        except (InvalidTag, NotBase64, ValueError) as fault:
            raise SecretUnreadable("it is damaged, or was not encrypted for this place") from fault

    @property
    def public_key(self) -> str:
        """What signatures are checked with: the raw public key, in base64."""
        return self._current.public

    def sign(self, statement: bytes) -> str:
        """The signature of a statement, in base64; the same statement has the same one."""
        return b64encode(self._current.signer.sign(statement)).decode()

    def vouched(self, public_key: str) -> bool:
        """Whether a public key is one of ours, the present one or one of before."""
        return any(key.public == public_key for key in self._keys.values())

    def stale(self, sealed: str) -> bool:
        """Whether a sealed secret should be sealed again: another key than the present one was used."""
        return key_of(sealed) != self._current.id

    def _take(self, keys: Sequence[str]) -> None:
        derived = [_derive(text) for text in keys]
        self._current, self._keys = derived[0], {key.id: key for key in derived}

    def _read_again(self) -> dict[str, _Key]:
        try:
            keys = _lines(self._file.read_text(encoding="utf-8")) if self._file else []
        except (OSError, UnicodeDecodeError):
            keys = []
        if keys:
            self._take(keys)
        return self._keys


def key_of(sealed: str) -> str:
    """What the key is called that a secret was sealed with."""
    return sealed.split(":", 2)[1] if sealed.count(":") >= 2 else ""


def put_new_key(file: Path) -> str:
    """Make a new key and put it in front of those in a file, at once and readable by its owner alone; what the key is called.

    Raises `OSError`. Those before stay in the file: they open what they have sealed, and vouch for what they have signed.
    """
    key = secrets.token_urlsafe(48)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write("\n".join([key, *_lines(file.read_text(encoding="utf-8"))]) + "\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return _derive(key).id


def signature_holds(public_key: str, signature: str, statement: bytes) -> bool:
    """Whether this statement was signed with the private half of this key; both in base64."""
    try:
        Ed25519PublicKey.from_public_bytes(b64decode(public_key, validate=True)).verify(b64decode(signature, validate=True), statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def open_vault(key: str | None, data_dir: Path, file: Path | None = None) -> Vault:
    """The vault of a process: of the key that its settings name, else of the one in the data folder, made there if there is none.

    `file`: where the settings have the key from, if it is a file.
    """
    text = key if key is not None else _own_key(data_dir / FILE)
    return Vault(_lines(text), file if key is not None else data_dir / FILE)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _derive(text: str) -> _Key:
    def expand(purpose: bytes, length: int) -> bytes:
        return HKDF(SHA256(), length, salt=None, info=b"mastering " + purpose).derive(text.encode())

    signer = Ed25519PrivateKey.from_private_bytes(expand(b"signature", 32))
    return _Key(expand(b"key id", 6).hex(), AESGCM(expand(b"encryption", 32)), signer)


def _own_key(file: Path) -> str:
    """The key that this folder's first start made. Of several first starts at once one wins, and the others read what it wrote."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(secrets.token_urlsafe(48) + "\n")
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text(encoding="ascii")
