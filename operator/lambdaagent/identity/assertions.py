"""The gateway's statements about callers: short-lived tokens that it signs for one agent.

A statement's subject is the caller for whom the work is done in the end; `act` holds the agents through which it came,
the one that calls now outermost (RFC 8693 section 4.1). An agent that calls another one presents the statement that it
got: nobody else has it, so its audience tells who calls.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.signing import Signer
from lambdaagent.access.principal import AGENT, Principal
from lambdaagent.clock import Clock
from lambdaagent.containers.turn import Origin
from lambdaagent.identity import claims as checked
from lambdaagent.identity.claims import Claims
from lambdaagent.identity.errors import CredentialError
from lambdaagent.identity.jwts import Unverified, verify

ISSUER = "lambdaagent-gateway"
TYPE = "lambdaagent-identity+jwt"
SECONDS = 60
_MOST_ACTORS = 16  # the caller and those before it, so that their claims are not nested deeper than claims may be
_MOST_BYTES = 7 * 1024  # of their names as JSON, so that the token is within the limit of a token
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


@dataclass(frozen=True, slots=True)
class Assertions:
    """Verifies the gateway's own statements."""

    kid: str
    public: Any

    def principal(self, unverified: Unverified, *, now: float) -> Principal:
        """Raises CredentialError."""
        claims = unverified.claims
        checked.require_type(unverified.header, (TYPE,))
        if unverified.algorithm != "ES256" or unverified.kid != self.kid or "typ" not in unverified.header:
            raise CredentialError("unknown-key", "The assertion is signed with a key that the gateway does not know.")
        name = checked.text(claims, "aud")
        if not name.startswith(f"{AGENT}:"):
            raise CredentialError("wrong-audience", "The assertion is for no agent.")
        expires = checked.require_valid(claims, issuer=ISSUER, audiences=(name,), now=now, longest=SECONDS)
        verify(unverified, self.public)
        return Principal(name, source=AGENT, actors=_actors(claims), expires=expires)


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
