"""Tells a container who asks: headers of the client that its resource names, and a signed statement of the caller.

The client's own credential never reaches a container unless the resource names its header, so a container cannot use it
elsewhere. The statement is for this agent alone and for a minute. A sidecar gets one too, and keeps it: by it the
sidecar knows that the gateway calls.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lambdaagent.containers.callee import Callee
from lambdaagent.containers.turn import Origin
from lambdaagent.errors import TemporaryError

HEADER = "lambdaagent-identity"
State = Callable[[str, Origin], str]


class NotCalledError(TemporaryError):
    """The call was not made; the message says why and what to do."""


class NotTellableError(NotCalledError):
    """The agent wants to know who asks, and the gateway cannot sign that."""

    def __init__(self) -> None:
        super().__init__(
            "its spec.a2a.access.identity is assertion, and this gateway has no EC key to sign with; "
            "set LAMBDAAGENT_CARD_SIGNING_KEY"
        )


@dataclass(frozen=True, slots=True)
class WhoAsks:
    """`state` returns the signed statement about a caller for an agent (`namespace/name`)."""

    state: State | None = None

    def headers(self, callee: Callee, origin: Origin) -> list[tuple[str, str]]:
        """Raises NotTellableError."""
        found = list(origin.headers)
        if self.state is None:
            if callee.identified:
                raise NotTellableError
        elif callee.identified or callee.guarded:
            found.append((HEADER, self.state(callee.key, origin)))
        return found
