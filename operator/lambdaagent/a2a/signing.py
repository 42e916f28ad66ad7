"""Signatures, mainly of cards: JWS, detached, over a card's canonical form (1.0 section 8.4; RFC 7515, RFC 8785).

Readers disagree on that form. The specification omits fields with their default value and keeps required ones; the
public SDK omits every empty field, and reads only the 1.0 fields of a hybrid card. So a card whose forms differ gets
one signature for each: a reader accepts a card if one of them is valid.

Hazard: `_canonical` conforms to RFC 8785 only for the content of our cards: names in ASCII, and no numbers.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from lambdaagent.a2a import Json, security

_JWK = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
# The fields of 1.0's AgentCard, including those that both versions have with the same meaning.
_V1_FIELDS = frozenset(
    (
        "name", "description", "supportedInterfaces", "provider", "version", "documentationUrl", "capabilities",
        "securitySchemes", "securityRequirements", "defaultInputModes", "defaultOutputModes", "skills", "iconUrl",
    )
)  # fmt: skip
_REQUIRED = frozenset(
    ("defaultInputModes", "defaultOutputModes", "skills", "tags", "capabilities", "supportedInterfaces")
)


class KeyUnusableError(ValueError):
    """The key cannot be used. The message never holds any of the key."""


@dataclass(frozen=True, slots=True)
class Signer:
    algorithm: str
    kid: str
    public: Json  # the public key as a JWK
    _key: Any

    @classmethod
    def from_pem(cls, pem: str) -> "Signer":
        """Return a signer for ES256, EdDSA or RS256, by the key's type. Raises KeyUnusableError."""
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyUnusableError("it is not a private key in PEM without a passphrase") from None
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            algorithm, public = "ES256", ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        elif isinstance(key, ed25519.Ed25519PrivateKey):
            algorithm, public = "EdDSA", OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        elif isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
            algorithm, public = "RS256", RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        else:
            raise KeyUnusableError("it must be an EC key on P-256, an Ed25519 key, or an RSA key of 2048 bits or more")
        named = {name: public[name] for name in _JWK[public["kty"]]}
        kid = thumbprint(named)
        return cls(algorithm, kid, {**named, "kid": kid, "alg": algorithm, "use": "sig"}, key)

    @property
    def verifying_key(self) -> Any:
        return self._key.public_key()

    def token(self, claims: Json, *, jwks_url: str = "", type_: str = "JWT") -> str:
        """Return a JWT (RFC 7519)."""
        headers = {"kid": self.kid, "typ": type_, **({"jku": jwks_url} if jwks_url else {})}
        return jwt.encode(claims, self._key, algorithm=self.algorithm, headers=headers)

    def signed(self, card: Json, *, jwks_url: str) -> Json:
        header = {"alg": self.algorithm, "kid": self.kid, "jku": jwks_url, "typ": "JOSE"}
        signatures = []
        for payload in forms(card):
            token = jwt.api_jws.encode(payload, self._key, algorithm=self.algorithm, headers=header)
            protected, _, signature = token.split(".")
            signatures.append({"protected": protected, "signature": signature})
        return {**card, "signatures": signatures}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the thumbprint (RFC 7638). It depends on the key alone, so it changes with every rotation."""
    return urlsafe_b64encode(hashlib.sha256(_canonical(dict(jwk))).digest()).decode().rstrip("=")


def forms(card: Json) -> list[bytes]:
    """Return every canonical form that a reader may make of the card, each once."""
    found = [card]
    if "supportedInterfaces" in card:
        first = {name: value for name, value in card.items() if name in _V1_FIELDS}
        if "securitySchemes" in first:
            first["securitySchemes"] = security.only_v1(first["securitySchemes"])
        found.append(first)
    pruned = [_without_defaults(each) for each in found] + [_without_empty(each) for each in found]
    return list(dict.fromkeys(map(_canonical, pruned)))


def _canonical(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _without_defaults(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_defaults(each) for each in value]
    if isinstance(value, dict):
        kept = {name: _without_defaults(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each not in ([], {}) or name in _REQUIRED}
    return value


def _without_empty(value: Any) -> Any:
    if isinstance(value, list):
        return [each for each in map(_without_empty, value) if each not in ([], {}, "")]
    if isinstance(value, dict):
        kept = {name: _without_empty(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each not in ([], {}, "")}
    return value
