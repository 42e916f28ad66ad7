"""The extension of A2A by which agents learn of one another and work together: its URI and its JSON-RPC methods.

Clients call the methods as they call A2A's own, with or without the extension's URI in the header A2A-Extensions.
"""

from collections.abc import Sequence
from enum import StrEnum

from lambdaagent.a2a import Json
from lambdaagent.api.base import GROUP

URI = f"https://{GROUP}/extensions/coordination/v1"
_DESCRIPTION = "JSON-RPC methods to learn what the agent can do, to agree how it is called, and to work together"


class ExtensionMethod(StrEnum):
    DISCOVER = "agent.discover"
    NEGOTIATE = "agent.negotiate"
    REGISTER = "agent.register"
    HEARTBEAT = "agent.heartbeat"
    SEND = "message.send"
    CONTEXT_GET = "context.get"
    CONTEXT_PATCH = "context.patch"
    PROPOSE = "proposal.create"
    VOTE = "proposal.vote"


NAMES = frozenset(map(str, ExtensionMethod))
WITHOUT_AGENT = NAMES - {ExtensionMethod.DISCOVER, ExtensionMethod.NEGOTIATE}
"""The methods that need no agent to be asked of: the unified endpoint answers them for nobody in particular."""


def declaration(*, alone: bool = False) -> Json:
    """Return the extension as cards declare it, in both versions.

    `alone`: the agent is served by itself, as in a sidecar, where agents do not work together.
    """
    methods = [str(each) for each in ExtensionMethod if not alone or each not in WITHOUT_AGENT]
    return {"uri": URI, "description": _DESCRIPTION, "params": {"methods": methods}}


def declared(card: Json) -> list[str]:
    """Return the methods that a card declares."""
    extensions = card["capabilities"].get("extensions", ())
    return next((each["params"]["methods"] for each in extensions if each["uri"] == URI), [])


def own(uris: Sequence[str]) -> tuple[str, ...]:
    """Return those of the requested extensions that are the gateway's own."""
    return tuple(uri for uri in uris if uri == URI)


def others(uris: Sequence[str]) -> tuple[str, ...]:
    """Return those of the requested extensions that the container may know."""
    return tuple(uri for uri in uris if uri != URI)
