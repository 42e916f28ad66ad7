"""What the bindings ask of the engine and get: everything in the 1.0 form, whatever the client speaks."""

from dataclasses import dataclass

from lambdaagent.a2a import Json
from lambdaagent.store.records import ANONYMOUS


@dataclass(frozen=True, slots=True)
class Requester:
    """Who sends a request, and how.

    A request with an `idempotency_key` (the header `Idempotency-Key`) that came before is not done again.
    """

    owner: str = ANONYMOUS
    traceparent: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """`id` is what a client gives as Last-Event-ID to go on from here; `event` is a 1.0 StreamResponse."""

    id: str
    event: Json


NOTHING_YET = StreamEvent("", {})
"""The stream stands, and there is nothing to tell: its reader can be sent the head of the answer."""


@dataclass(frozen=True, slots=True)
class TaskPage:
    tasks: list[Json]
    total: int
    next_token: str  # empty: this was the last page
