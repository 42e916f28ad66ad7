"""The requests of the bindings to the engine, and its results: all in the 1.0 form, whatever the client's version."""

from collections.abc import Callable
from dataclasses import dataclass

from lambdaagent.a2a import Json
from lambdaagent.api.base import GROUP
from lambdaagent.containers.turn import NOBODY, Origin

PRIORITY = f"{GROUP}/priority"
"""In a message's metadata: 1 to 10. Where an agent limits its tasks at once, waiting calls begin by it, 10 first."""
USUAL = 5


def priority_of(message: Json) -> int:
    """Return the priority of a message; the usual one for what is no priority."""
    given = message.get("metadata", {}).get(PRIORITY)
    # JSON of Protobuf clients has no integers.
    return int(given) if isinstance(given, int | float) and given in range(1, 11) else USUAL


def _not_known() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Requester:
    """The sender of a request.

    A request whose `idempotency_key` (the header `Idempotency-Key`) was used before is not executed again.
    """

    origin: Origin = NOBODY
    idempotency_key: str | None = None
    admit: Callable[[str | None], None] | None = None  # raises A2AError if it may not call the skill, or None of them
    all_tasks: bool = False  # whether it reaches the tasks of others, too
    registrant: Callable[[], str] = _not_known  # stored with a push configuration, to check its right again

    @property
    def owner(self) -> str:
        return self.origin.owner


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """`id` is the Last-Event-ID with which a client continues after this event; `event` is a 1.0 StreamResponse."""

    id: str
    event: Json


NOTHING_YET = StreamEvent("", {})
"""The stream is open and has no event yet: the head of the HTTP response can be sent."""


@dataclass(frozen=True, slots=True)
class TaskPage:
    tasks: list[Json]
    total: int
    next_token: str  # empty: this is the last page
