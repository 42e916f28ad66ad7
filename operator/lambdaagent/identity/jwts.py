"""Verifies JWTs: of issuers (OIDC) and of the installation's own HMAC keys.

The claim `iss` selects the source before anything is verified, and a source has its own kinds of keys and algorithms: a
token that is signed with HS256 and an issuer's public key never reaches an HMAC check.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.utils import base64url_decode

from lambdaagent.access.installation import AUDIENCE, Issuer
from lambdaagent.access.principal import HMAC, Principal
from lambdaagent.identity import claims as checked
from lambdaagent.identity.claims import Claims
from lambdaagent.identity.errors import CredentialError
from lambdaagent.identity.jwks import Jwks

HMAC_ISSUER = "lambdaagent"
HMAC_LONGEST = 24 * 3600.0
_BYTES = 16 * 1024
_COMPACT = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){2}")  # the library also accepts padding (RFC 7515 section 2)
_ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256")
)
_BAD_SIGNATURE = "The token's signature is not valid."


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token's parts before its signature is verified."""

    token: str
    header: Claims
    claims: Claims

    @property
    def kid(self) -> str | None:
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None

    @property
    def algorithm(self) -> str:
        algorithm = self.header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
            raise CredentialError("wrong-algorithm", "The token's algorithm is not allowed.")
        return algorithm


def read(token: str) -> Unverified:
    """Raises CredentialError for what is no JWT."""
    if len(token) > _BYTES:
        raise CredentialError("malformed", f"The token is over the limit of {_BYTES // 1024} KiB.")
    try:
        if not _COMPACT.fullmatch(token):
            raise ValueError
        parts = jwt.api_jws.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise CredentialError("malformed", "The credential is not a JWT.") from None
    header = checked.parse(base64url_decode(token.partition(".")[0]), what="header parameters")
    return Unverified(token, header, checked.parse(parts["payload"]))


class Issuers:
    """The issuers of an access file, by the claim `iss`."""

    def __init__(self, issuers: Iterable[tuple[Issuer, Jwks]]) -> None:
        self._issuers = {issuer.issuer: (issuer, jwks) for issuer, jwks in issuers}

    def has(self, unverified: Unverified) -> bool:
        named = unverified.claims.get("iss")
        return isinstance(named, str) and named in self._issuers

    async def principal(self, unverified: Unverified, *, now: float) -> Principal:
        """Raises CredentialError, IdentityUnavailableError."""
        issuer, jwks = self._issuers[unverified.claims["iss"]]
        algorithm, claims = unverified.algorithm, unverified.claims
        if algorithm not in issuer.algorithms:
            raise CredentialError("wrong-algorithm", "The token's algorithm is not allowed.")
        checked.require_type(unverified.header)
        # Before the signature: an expired token needs no key.
        expires = checked.require_valid(claims, issuer=issuer.issuer, audiences=issuer.audiences, now=now)
        verify(unverified, await jwks.key(unverified.kid, algorithm))
        subject = checked.text(claims, issuer.subject_claim)
        return Principal(
            f"{issuer.name}:{subject}",
            source=issuer.name,
            groups=frozenset(f"{issuer.name}:{group}" for group in checked.texts(claims, issuer.groups_claim)),
            claims=checked.flat(claims),
            expires=expires,
        )


@dataclass(frozen=True, slots=True)
class HmacKeys:
    """Keys of short-lived tokens that the installation's owner makes (`lambdaagent token create`)."""

    keys: Mapping[str, bytes]
    groups: Mapping[str, frozenset[str]]

    def principal(self, unverified: Unverified, *, now: float) -> Principal:
        """Raises CredentialError."""
        if unverified.algorithm != "HS256":
            raise CredentialError("wrong-algorithm", "The token's algorithm is not allowed.")
        checked.require_type(unverified.header)
        expires = checked.require_valid(
            unverified.claims, issuer=HMAC_ISSUER, audiences=(AUDIENCE,), now=now, longest=HMAC_LONGEST
        )
        kid = unverified.kid
        key = self.keys.get(kid) if kid is not None else None
        if key is None or kid is None:
            raise CredentialError("unknown-key", "The token is signed with a key that the gateway does not know.")
        verify(unverified, key)
        return Principal(f"{HMAC}:{kid}", source=HMAC, groups=self.groups.get(kid, frozenset()), expires=expires)


def hmac_token(kid: str, key: bytes, *, now: float, seconds: float) -> str:
    """Return a token of an HMAC key."""
    claims = {"iss": HMAC_ISSUER, "aud": AUDIENCE, "sub": kid, "iat": int(now), "exp": int(now + seconds)}
    return jwt.encode(claims, key, algorithm="HS256", headers={"kid": kid})


def verify(unverified: Unverified, key: Any) -> None:
    """Raises CredentialError unless the key of the token's algorithm made its signature."""
    try:
        jwt.api_jws.decode_complete(unverified.token, key, algorithms=[unverified.algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise CredentialError("bad-signature", _BAD_SIGNATURE) from None
