"""Who sends a request. Its name is the owner of everything that the request creates.

Invariant: two callers never have the same name. Names of different sources cannot collide: an issuer's name has no
colon and is none of `RESERVED`, and only the cluster's own names begin with `system:`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SYSTEM = "system:"
SERVICE_ACCOUNT = "system:serviceaccount:"
SERVICE_ACCOUNTS_OF = "system:serviceaccounts:"
KEY, HMAC, AGENT = "key", "hmac", "agent"
GATEWAY = "gateway"  # the source of a caller that the gateway vouches for to a sidecar
GROUP = "group:"  # before the groups in a list that holds names too
RESERVED = frozenset((KEY, HMAC, AGENT, GATEWAY, "group", "system", "anonymous", "kubernetes"))
"""What an issuer must not be called."""
WITHOUT_CLAIMS = frozenset(("kubernetes", KEY, HMAC, AGENT))
"""Sources whose callers have no claims."""


@dataclass(frozen=True, slots=True)
class Principal:
    name: str
    source: str = ""  # the issuer's name, or one of `RESERVED`; empty for the anonymous principal
    groups: frozenset[str] = frozenset()
    claims: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of an issuer's token: each claim's values
    actors: tuple[str, ...] = ()  # on whose behalf an agent calls: the latest caller first
    expires: float | None = None  # seconds since the epoch

    @property
    def anonymous(self) -> bool:
        return not self.source


ANONYMOUS = Principal("anonymous")
