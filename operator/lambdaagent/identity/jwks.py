"""The public keys of an issuer (RFC 7517), fetched when they are needed and kept.

Invariants: at most one fetch runs at a time, and unknown key ids cause at most one in 30 s, however many there are: a
client chooses the id. A failed fetch keeps the last good keys, for a day. A key that the issuer
removed is accepted for `2 * FRESH` seconds at most, while the issuer answers, also if it
removed all.

The library's own client is synchronous and fetches on the caller's thread.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from lambdaagent import bounded_json
from lambdaagent.cancellation import cancel
from lambdaagent.clock import Clock
from lambdaagent.errors import words
from lambdaagent.identity.errors import CredentialError, IdentityUnavailableError

log = structlog.get_logger(__name__)
FRESH, STALE, COOL_DOWN, RETRY = 300.0, 24 * 3600.0, 30.0, 1.0  # seconds
_KEYS, _RSA_BITS = 100, range(2048, 8193)
_CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


@dataclass(frozen=True, slots=True)
class _Key:
    id: str | None
    algorithm: str | None  # None: any that fits the key's type
    public: Any

    def fits(self, algorithm: str) -> bool:
        if self.algorithm is not None and self.algorithm != algorithm:
            return False
        if algorithm in _CURVES:
            return isinstance(self.public, ec.EllipticCurvePublicKey) and isinstance(
                self.public.curve, _CURVES[algorithm]
            )
        if algorithm == "EdDSA":
            return isinstance(self.public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)
        return algorithm[:2] in ("RS", "PS") and isinstance(self.public, rsa.RSAPublicKey)


class Jwks:
    def __init__(self, fetch: Callable[[], Awaitable[bytes]], *, clock: Clock, name: str) -> None:
        """`fetch` returns the key set as JSON, or raises; `name` is the issuer's, for the log."""
        self._fetch = fetch
        self._clock = clock
        self._name = name
        self._keys: list[_Key] | None = None
        self._fetched = self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str | None, algorithm: str) -> Any:
        """Return the public key. Raises CredentialError for an unknown one, IdentityUnavailableError without keys."""
        now = self._clock.now()
        if self._keys is None or now - self._fetched > STALE:
            if self._fetching is not None or now - self._tried >= RETRY:
                await self._refresh()
            if self._keys is None or self._clock.now() - self._fetched > STALE:
                raise IdentityUnavailableError(f"the keys of the issuer {self._name} cannot be fetched")
        elif now - self._fetched > FRESH and now - self._tried >= COOL_DOWN:
            fetching = self._begin()
            if now - self._fetched > 2 * FRESH:  # nothing was asked for a while, and a key may have been withdrawn
                await asyncio.shield(fetching)
        found = self._find(kid, algorithm)
        if found is None and (self._fetching is not None or self._clock.now() - self._tried >= COOL_DOWN):
            await self._refresh()
            found = self._find(kid, algorithm)
        if found is None:
            raise CredentialError("unknown-key", "The token is signed with a key that its issuer does not publish.")
        return found

    def _find(self, kid: str | None, algorithm: str) -> Any:
        fitting = [key for key in self._keys or () if key.fits(algorithm)]
        if kid is None:
            return fitting[0].public if len(fitting) == 1 else None
        return next((key.public for key in fitting if key.id == kid), None)

    def _begin(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._tried = self._clock.now()
            self._fetching = asyncio.create_task(self._take(), name="jwks")
        return self._fetching

    async def _refresh(self) -> None:
        await asyncio.shield(self._begin())

    async def _take(self) -> None:
        try:
            self._keys = parse(await self._fetch())
            self._fetched = self._clock.now()
            if not self._keys:
                log.warning("jwks.emptied", issuer=self._name)
        except Exception as error:  # whatever the issuer sends
            log.warning("jwks.fetch_failed", issuer=self._name, error=words(error), kept=len(self._keys or ()))
        finally:
            self._fetching = None

    async def close(self) -> None:
        if self._fetching is not None:
            await cancel(self._fetching)


def parse(text: bytes) -> list[_Key]:
    """Return the keys that can verify signatures; others are left out. Raises ValueError if it is no key set."""
    found = bounded_json.loads(text)
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it is not a JSON Web Key Set")
    if len(listed) > _KEYS:
        raise ValueError(f"it has {len(listed)} keys, and the limit is {_KEYS}")
    return [key for each in listed if (key := _key(each)) is not None]


def _key(jwk: Any) -> _Key | None:
    if not isinstance(jwk, dict) or jwk.get("kty") not in ("RSA", "EC", "OKP") or jwk.get("use", "sig") != "sig":
        return None
    uses = jwk.get("key_ops")
    if uses is not None and not (isinstance(uses, list) and "verify" in uses):
        return None
    plain = {name: value for name, value in jwk.items() if name != "d"}  # a private part that was published by mistake
    try:
        public = jwt.PyJWK(orjson.loads(orjson.dumps(plain))).key
    except Exception:  # whatever an issuer publishes: the library raises NotImplementedError too
        return None
    if isinstance(public, rsa.RSAPublicKey) and public.key_size not in _RSA_BITS:
        return None
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    return _Key(kid if isinstance(kid, str) else None, algorithm if isinstance(algorithm, str) else None, public)
