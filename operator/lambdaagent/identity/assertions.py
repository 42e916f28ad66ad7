"""The gateway's statements about callers: short-lived tokens that it signs for one agent.

A statement's subject is the caller for whom the work is done in the end; `act` holds the agents through which it came,
the one that calls now outermost (RFC 8693 section 4.1). An agent that calls another one presents the statement that it
got: nobody else has it, so its audience tells who calls. A sidecar gets a statement with each call of the gateway,
which has decided about the caller.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.signing import Signer
from lambdaagent.access.principal import AGENT, GATEWAY, Principal
from lambdaagent.clock import Clock
from lambdaagent.containers.turn import Origin
from lambdaagent.identity import claims as checked
from lambdaagent.identity.claims import Claims
from lambdaagent.identity.errors import CredentialError
from lambdaagent.identity.jwts import Unverified, read, verify

ISSUER = "lambdaagent-gateway"
TYPE = "lambdaagent-identity+jwt"
SECONDS = 60
_MOST_ACTORS = 16  # the caller and those before it, so that their claims are not nested deeper than claims may be
_MOST_BYTES = 7 * 1024  # of their names as JSON, so that the token is within the limit of a token
_UNKNOWN = "The assertion is signed with a key that the gateway does not know."
_NAME = 512  # characters: a principal's name is longer than a claim, by the name of its source


def statement(signer: Signer | None, clock: Clock) -> Callable[[str, Origin], str] | None:
    """Return the function that states for an agent who asks; None without an EC key."""
    if signer is None or signer.algorithm != "ES256":
        return None

    def state(agent: str, origin: Origin) -> str:
        now, chain = int(clock.now()), _chain(origin)
        claims: Json = {
            "iss": ISSUER,
            "aud": f"{AGENT}:{agent}",
            "sub": chain[-1],
            "iat": now,
            "exp": now + SECONDS,
            "jti": clock.new_mark(),
        }
        if len(chain) > 1:
            claims["act"] = _acting(chain[:-1])
        return signer.token(claims, type_=TYPE)

    return state


KeyOf = Callable[[str | None], Awaitable[Any]]
"""Returns the gateway's public key by its id. Raises CredentialError, IdentityUnavailableError."""


def own_key(signer: Signer | None) -> KeyOf | None:
    """Return the function for the gateway's own key; None if it signs no statements."""
    if signer is None or signer.algorithm != "ES256":
        return None
    known, public = signer.kid, signer.verifying_key

    async def key(kid: str | None) -> Any:
        if kid != known:
            raise CredentialError("unknown-key", _UNKNOWN)
        return public

    return key


@dataclass(frozen=True, slots=True)
class Assertions:
    """Verifies the gateway's statements."""

    key: KeyOf

    async def principal(self, unverified: Unverified, *, now: float) -> Principal:
        """Return the agent that presents the statement which it got.

        Raises CredentialError, IdentityUnavailableError.
        """
        _require_statement(unverified)
        name = checked.text(unverified.claims, "aud")
        if not name.startswith(f"{AGENT}:"):
            raise CredentialError("wrong-audience", "The assertion is for no agent.")
        expires = await self._verified(unverified, name, now=now)
        return Principal(name, source=AGENT, actors=_actors(unverified.claims), expires=expires)

    async def caller(self, statement: str, agent: str, *, now: float) -> Principal:
        """Return the caller for whom the gateway calls the agent (`namespace/name`). Raises as `principal`."""
        unverified = read(statement)
        _require_statement(unverified)
        expires = await self._verified(unverified, f"{AGENT}:{agent}", now=now)
        name, *actors = _actors(unverified.claims)
        return Principal(name, source=GATEWAY, actors=tuple(actors), expires=expires)

    async def _verified(self, unverified: Unverified, audience: str, *, now: float) -> float:
        expires = checked.require_valid(
            unverified.claims, issuer=ISSUER, audiences=(audience,), now=now, longest=SECONDS
        )
        verify(unverified, await self.key(unverified.kid))
        return expires


def _require_statement(unverified: Unverified) -> None:
    checked.require_type(unverified.header, (TYPE,))
    if unverified.algorithm != "ES256" or "typ" not in unverified.header:
        raise CredentialError("unknown-key", _UNKNOWN)


def _chain(origin: Origin) -> tuple[str, ...]:
    """Return the callers, the latest first and the first last; of those between, as many as a statement can hold."""
    if not origin.actors:
        return (origin.owner,)
    *between, first = origin.actors
    kept, size = list[str](), len(json.dumps((origin.owner, first)))
    for actor in between[: _MOST_ACTORS - 2]:
        size += len(json.dumps(actor))
        if size > _MOST_BYTES:
            break
        kept.append(actor)
    return (origin.owner, *kept, first)


def _acting(actors: tuple[str, ...]) -> Json:
    found: Json = {}
    for actor in reversed(actors):
        found = {"sub": actor, **({"act": found} if found else {})}
    return found


def _actors(claims: Claims) -> tuple[str, ...]:
    """Return the chain of callers, the latest first, as the agent got it that now presents the statement."""
    found: list[str] = []
    act = claims.get("act")
    while isinstance(act, dict) and len(found) < _MOST_ACTORS:
        found.append(checked.text(act, "sub", most=_NAME))
        act = act.get("act")
    return (*found, checked.text(claims, "sub", most=_NAME))
