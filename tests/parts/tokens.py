"""Tokens as no library makes them, and a verifier whose issuers' keys need no network."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson
from jwt.algorithms import get_default_algorithms
from tests.parts.issuer import AUDIENCE

from lambdaagent.a2a.signing import Signer
from lambdaagent.access.installation import ApiKey, Issuer
from lambdaagent.clock import Clock
from lambdaagent.identity.api_keys import KeyRing
from lambdaagent.identity.assertions import Assertions, own_key
from lambdaagent.identity.jwks import Jwks
from lambdaagent.identity.jwts import HmacKeys
from lambdaagent.identity.verifier import Sources, Verifier


def segment(content: bytes | Mapping[str, Any]) -> str:
    """Returns base64url without padding, of bytes as they are or of an object as JSON."""
    data = content if isinstance(content, bytes) else orjson.dumps(content)
    return urlsafe_b64encode(data).decode().rstrip("=")


def signature(algorithm: str, key: Any, signed: bytes) -> bytes:
    """Returns the signature of any key; HS256 takes any bytes, also those of a public key."""
    if algorithm == "none":
        return b""
    if algorithm == "HS256":
        return hmac.new(key, signed, sha256).digest()
    return bytes(get_default_algorithms()[algorithm].sign(signed, key))


def compact(
    header: bytes | Mapping[str, Any], payload: bytes | Mapping[str, Any], key: Any, algorithm: str = "ES256"
) -> str:
    """Returns a JWS whose header may name another algorithm than the one that signs."""
    signed = f"{segment(header)}.{segment(payload)}"
    return f"{signed}.{segment(signature(algorithm, key, signed.encode()))}"


@dataclass
class KeySet:
    """What an issuer publishes. It counts the fetches, and raises `error` if there is one."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    fetched: int = 0
    error: Exception | None = None

    async def __call__(self) -> bytes:
        self.fetched += 1
        if self.error is not None:
            raise self.error
        return orjson.dumps({"keys": self.keys})


def issuer(name: str, url: str, **more: Any) -> Issuer:
    return Issuer.model_validate({"name": name, "issuer": url, "audiences": [AUDIENCE], **more})


def verifier(
    clock: Clock,
    *issuers: tuple[Issuer, KeySet],
    keys: Iterable[ApiKey] = (),
    hmac_keys: Mapping[str, bytes] | None = None,
    groups: Mapping[str, frozenset[str]] | None = None,
    signer: Signer | None = None,
) -> Verifier:
    """Returns a verifier as an access file would make it; without a cluster."""
    sources = Sources(
        keys=KeyRing(keys),
        hmac=HmacKeys(hmac_keys or {}, groups or {}),
        issuers=[(each, Jwks(key_set, clock=clock, name=each.name)) for each, key_set in issuers],
        assertions=Assertions(own) if (own := own_key(signer)) is not None else None,
    )
    return Verifier(sources, clock)
