"""API keys: `la_{id}_{secret}_{checksum}`. The installation knows only their hashes.

The secret has 256 random bits, so one SHA-256 suffices: a slow hash would only let anybody load the gateway. The
beginning lets scanners of repositories find a leaked key, and the checksum refuses a mistyped one without a look-up.
"""

import hmac
import re
import secrets
import zlib
from collections.abc import Iterable
from hashlib import sha256

from lambdaagent.access.installation import KEY_ID, ApiKey, time_of
from lambdaagent.access.principal import KEY, Principal
from lambdaagent.identity.errors import CredentialError

PREFIX = "la_"
_FORM = re.compile(rf"(?P<checked>la_(?P<id>{KEY_ID[1:-1]})_[0-9a-f]{{64}})_(?P<checksum>[0-9a-f]{{8}})")
_REFUSED = "The API key is not valid."


def create(id_: str) -> str:
    """Return a new key. Raises ValueError for an id of another form."""
    if not re.fullmatch(KEY_ID[1:-1], id_):
        raise ValueError(f"{id_!r} is not an id: use at most 32 of a-z, 0-9 and '-'")
    checked = f"{PREFIX}{id_}_{secrets.token_hex(32)}"
    return f"{checked}_{_checksum(checked)}"


def hash_of(key: str) -> str:
    """Return what the access file holds of a key."""
    return sha256(key.encode()).hexdigest()


class KeyRing:
    """The keys of an installation by id; several keys of one id are valid at once, so that clients can change over."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._keys: dict[str, list[tuple[str, Principal]]] = {}
        for key in keys:
            until = None if key.expires is None else time_of(key.expires)
            principal = Principal(f"{KEY}:{key.id}", source=KEY, groups=frozenset(key.groups), expires=until)
            self._keys.setdefault(key.id, []).append((key.sha256, principal))

    def principal(self, text: str, *, now: float) -> Principal:
        """Raises CredentialError, with the same message for an unknown, a wrong and a revoked key."""
        form = _FORM.fullmatch(text)
        if form is None or _checksum(form["checked"]) != form["checksum"]:
            raise CredentialError("malformed", "The API key is not complete; copy the whole key.")
        digest = hash_of(text)
        for known, principal in self._keys.get(form["id"], ()):
            if hmac.compare_digest(known, digest):
                if principal.expires is not None and principal.expires <= now:
                    raise CredentialError("expired", "The API key has expired.")
                return principal
        raise CredentialError("unknown-key", _REFUSED)

    def has(self, id_: str, *, now: float) -> bool:
        """Return whether a key of this id is valid."""
        return any(each.expires is None or each.expires > now for _, each in self._keys.get(id_, ()))

    def groups(self, id_: str) -> frozenset[str]:
        """Return the groups of all keys of an id."""
        return frozenset(group for _, principal in self._keys.get(id_, ()) for group in principal.groups)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
