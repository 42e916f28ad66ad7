"""Turns a credential into a principal: chooses the source that can verify it, and remembers the answer for a minute.

A verifier is made of one state of the access file and never changes; a changed file makes a new one, which forgets
every answer. The caches of issuers that did not change are handed on, so that a reload needs no fetch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from lambdaagent.a2a.signing import Signer
from lambdaagent.access.installation import AccessFileError, ApiKey, ApiKeyFile, Installation, Issuer, parse_keys
from lambdaagent.access.principal import HMAC, SERVICE_ACCOUNT, Principal
from lambdaagent.clock import Clock
from lambdaagent.identity import api_keys, assertions, jwts
from lambdaagent.identity.api_keys import KeyRing
from lambdaagent.identity.assertions import Assertions
from lambdaagent.identity.cluster import TokenReviews
from lambdaagent.identity.errors import CredentialError
from lambdaagent.identity.fetching import KeyFetcher
from lambdaagent.identity.jwks import Jwks
from lambdaagent.identity.jwts import HmacKeys, Issuers, Unverified
from lambdaagent.identity.reading import read_bytes, read_text

REMEMBERED = 60.0  # seconds
_MOST = 10_000
_REFUSED_SECONDS = 10.0  # how long the cluster's refusal of a token is remembered


@dataclass(frozen=True, slots=True)
class Sources:
    """What credentials are verified with."""

    keys: KeyRing
    hmac: HmacKeys
    issuers: Sequence[tuple[Issuer, Jwks]]
    reviews: TokenReviews | None = None
    assertions: Assertions | None = None


@dataclass(slots=True)
class Verifier:
    sources: Sources
    clock: Clock
    _issuers: Issuers = field(init=False)
    _known: dict[bytes, tuple[Principal, float]] = field(default_factory=dict)
    _refused: dict[bytes, tuple[str, str, float]] = field(default_factory=dict)  # reason, message, until when

    def __post_init__(self) -> None:
        self._issuers = Issuers(self.sources.issuers)

    def known(self, credential: str) -> Principal | None:
        """Return the principal of a credential that was verified a short while ago."""
        known = self._known.get(_digest(credential))
        return known[0] if known is not None and known[1] > self.clock.now() else None

    async def principal(self, credential: str) -> Principal:
        """Raises CredentialError, IdentityUnavailableError."""
        digest, now = _digest(credential), self.clock.now()
        known = self._known.get(digest)
        if known is not None and known[1] > now:
            return known[0]
        principal = await self._verified(credential, digest)
        until = now + REMEMBERED if principal.expires is None else min(now + REMEMBERED, principal.expires)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[digest] = (principal, until)
        return principal

    def groups_of_key(self, source: str, id_: str) -> frozenset[str]:
        """Return the groups of the owner of an API key or an HMAC key."""
        return self.sources.hmac.groups.get(id_, frozenset()) if source == HMAC else self.sources.keys.groups(id_)

    def admits_source(self, principal: Principal) -> bool:
        """Return whether a credential of this principal can still be valid."""
        sources, source, id_ = self.sources, principal.source, principal.name.partition(":")[2]
        match source:
            case "kubernetes":
                return sources.reviews is not None
            case "agent":
                return sources.assertions is not None
            case "hmac":
                return id_ in sources.hmac.keys
            case "key":
                return sources.keys.has(id_, now=self.clock.now())
        return any(issuer.name == source for issuer, _ in sources.issuers)

    async def _verified(self, credential: str, digest: bytes) -> Principal:
        now = self.clock.now()
        if credential.startswith(api_keys.PREFIX):
            return self.sources.keys.principal(credential, now=now)
        unverified = jwts.read(credential)
        if unverified.claims.get("iss") == jwts.HMAC_ISSUER:
            return self.sources.hmac.principal(unverified, now=now)
        if unverified.claims.get("iss") == assertions.ISSUER and self.sources.assertions is not None:
            return await self.sources.assertions.principal(unverified, now=now)
        if self._issuers.has(unverified):
            return await self._issuers.principal(unverified, now=now)
        if self.sources.reviews is not None and _of_cluster(unverified):
            return await self._reviewed(self.sources.reviews, credential, digest)
        raise CredentialError("wrong-issuer", "The token is of an issuer that the gateway does not trust.")

    async def _reviewed(self, reviews: TokenReviews, credential: str, digest: bytes) -> Principal:
        """Remember refusals too: whoever repeats a bad token must not load the API server.

        Not the exception itself: each time it is raised, its traceback would keep the frames of one more request.
        """
        now = self.clock.now()
        reason, message, until = self._refused.get(digest, ("", "", 0.0))
        if until > now:
            raise CredentialError(
                reason, message
            )  # a new one: an error that is raised again keeps every request's frames
        try:
            return await reviews.principal(credential)
        except CredentialError as error:
            if len(self._refused) >= _MOST:
                self._refused.clear()
            self._refused[digest] = (error.reason, str(error), now + _REFUSED_SECONDS)
            raise


def sources(
    installation: Installation,
    *,
    fetcher: KeyFetcher,
    clock: Clock,
    reviews: TokenReviews | None,
    signer: Signer | None,
    before: Sequence[tuple[Issuer, Jwks]] = (),
) -> Sources:
    """Read the files that the access file names. Raises AccessFileError."""
    keys = []
    for each in installation.api_keys:
        keys += keys_in(each.file) if isinstance(each, ApiKeyFile) else [each]
    hmac = {key.id: _hmac_key(key.key_file) for key in installation.hmac}
    issuers = [
        (issuer, _known(issuer, before) or Jwks(fetcher.of(issuer), clock=clock, name=issuer.name))
        for issuer in installation.issuers
    ]
    return Sources(
        keys=KeyRing(keys),
        hmac=HmacKeys(hmac, {key.id: frozenset(key.groups) for key in installation.hmac}),
        issuers=issuers,
        reviews=reviews,
        assertions=Assertions(own) if (own := assertions.own_key(signer)) is not None else None,
    )


def _known(issuer: Issuer, before: Sequence[tuple[Issuer, Jwks]]) -> Jwks | None:
    return next((jwks for each, jwks in before if each == issuer), None)


def keys_in(path: str) -> list[ApiKey]:
    """Return the API keys of a file. Raises AccessFileError."""
    return parse_keys(read_text(path), file=path)


def _hmac_key(path: str) -> bytes:
    key = read_bytes(path).strip()
    if len(key) < 32:
        raise AccessFileError(f"{path}: the key has {len(key)} bytes, and an HMAC key needs 32 or more")
    return key


def _of_cluster(unverified: Unverified) -> bool:
    subject = unverified.claims.get("sub")
    return isinstance(subject, str) and subject.startswith(SERVICE_ACCOUNT)


def _digest(credential: str) -> bytes:
    return sha256(credential.encode("utf-8", "surrogateescape")).digest()
