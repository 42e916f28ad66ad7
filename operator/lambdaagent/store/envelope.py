"""The envelope of a sealed value: `v1|kid|nonce|ciphertext`, AES-256-GCM, behind a byte that marks it.

To seal a value is to encrypt it and to bind it to its place (table, column, row, tenant), so that one that was moved to
another row or column does not open. The id of its key is bound to it too.

Invariant: a value that begins with the mark has an envelope, and every other value is plain. The JSON, the URLs and the
header values that the store keeps never begin with the mark; plain data that does is written as `plain|data` behind a
mark of its own. So no data that a client chooses is taken for a sealed value, or a sealed value for data.

Hazard: nonces are random 96-bit numbers, so one key may seal about 2^32 values; rotate it before that.
"""

import base64
import binascii
import os
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lambdaagent.store.errors import SealedValueError

MARK = b"\x01"
_PLAIN, _SEALED = MARK + b"plain|", MARK + b"v1|"
_HEADER = re.compile(rb"\x01v1\|([A-Za-z0-9]{1,32})\|")
HEAD = 40
"""The number of bytes at the beginning of a value from which `kid_of` finds its key."""
UNKNOWN = "?"
"""Stands for the key of a value with an envelope that this version does not know."""
_NONCE, _TAG = 12, 16


def place(table: str, column: str, *row: object) -> bytes:
    """Return the bytes that identify where a value is stored; `row` ends with the tenant where the row has one."""
    # PostgreSQL keeps NUL in texts as U+2400, and the place must be the same before the write and after the read. So
    # NUL is free to separate the parts.
    parts = [str(part).replace("\0", "\u2400") for part in (table, column, *row)]
    return "\0".join(parts).encode("utf-8", "surrogatepass")


def kid_of(head: bytes | str) -> str | None:
    """Return the id of the key with which a value is sealed, UNKNOWN, or None if it is plain."""
    start = head.encode("utf-8", "replace") if isinstance(head, str) else bytes(head[:HEAD])
    if not start.startswith(MARK) or start.startswith(_PLAIN):
        return None
    found = _HEADER.match(start)
    return found[1].decode() if found else UNKNOWN


def is_enveloped(stored: str) -> bool:
    """Return whether the text has an envelope, be it only one that marks it as plain."""
    return stored.startswith(MARK.decode())


def escaped(plain: bytes) -> bytes:
    """Return the form in which a plain value is stored."""
    return _PLAIN + plain if plain.startswith(MARK) else plain


class Keyring:
    """The keys by their ids: the first one seals, and all of them open."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {kid: AESGCM(key) for kid, key in keys.items()}
        self.first = next(iter(keys), "")

    def __contains__(self, kid: str) -> bool:
        return kid in self._keys

    def seal(self, plain: bytes, where: bytes) -> bytes:
        header = _SEALED + self.first.encode() + b"|"
        nonce = os.urandom(_NONCE)
        return header + nonce + self._keys[self.first].encrypt(nonce, plain, header + where)

    def seal_text(self, plain: bytes, where: bytes) -> str:
        """Return the envelope as text, for a column of texts."""
        sealed = self.seal(plain, where)
        header = sealed.index(b"|", len(_SEALED)) + 1
        return sealed[:header].decode() + base64.urlsafe_b64encode(sealed[header:]).decode()

    def open(self, stored: bytes, where: bytes) -> bytes:
        """Return the plain value. Raises SealedValueError, whose message begins after the value's name."""
        if not stored.startswith(MARK):
            return stored
        if stored.startswith(_PLAIN):
            return stored[len(_PLAIN) :]
        header = _HEADER.match(stored)
        if header is None:
            raise SealedValueError("has an envelope that this version does not know; use a newer version", kid=UNKNOWN)
        kid = header[1].decode()
        key = self._keys.get(kid)
        if key is None:
            raise SealedValueError(
                f"is encrypted with the key {kid}, which LAMBDAAGENT_STORE_KEYS does not contain; add that key again",
                kid=kid,
                missing=True,
            )
        nonce, ciphertext = stored[header.end() :][:_NONCE], stored[header.end() + _NONCE :]
        if len(nonce) == _NONCE and len(ciphertext) >= _TAG:
            try:
                return key.decrypt(nonce, ciphertext, header[0] + where)
            except InvalidTag:
                pass
        raise SealedValueError(
            f"cannot be decrypted with the key {kid}: the row was changed outside LambdaAgent, or the key has another "
            "value than before; restore the row from a backup, or the key",
            kid=kid,
        )

    def open_text(self, stored: str, where: bytes) -> bytes:
        if not is_enveloped(stored):
            return stored.encode("utf-8", "surrogatepass")
        return self.open(_binary(stored), where)


def _binary(stored: str) -> bytes:
    """Return the envelope as bytes; one that is not exactly what `seal_text` returned does not open."""
    raw = stored.encode("utf-8", "surrogatepass")
    header = _HEADER.match(raw)
    if header is None:
        return raw
    try:
        sealed = base64.b64decode(raw[header.end() :], altchars=b"-_", validate=True)
    except binascii.Error:
        return header[0]
    # Several texts decode to the same bytes: unused bits of the last character are ignored.
    return header[0] + sealed if base64.urlsafe_b64encode(sealed) == raw[header.end() :] else header[0]
