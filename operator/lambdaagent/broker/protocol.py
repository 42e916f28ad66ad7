"""What the rest of the package knows of an event broker.

Delivery is at least once: `publish` returns only what the broker confirmed, a delivery is acknowledged only after its
handler said so, and everything in between may happen twice. Consumers must tell events apart by (source, id).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from lambdaagent.events.cloudevents import Event, Value


@dataclass(frozen=True, slots=True)
class Binding:
    """Takes events whose attributes equal all of these; without any, it takes everything."""

    attributes: Mapping[str, str]


class Verdict(StrEnum):
    ACK = "ack"
    REQUEUE = "requeue"
    DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a delivery; `extensions` are added to the event that goes to the dead letters."""

    verdict: Verdict
    extensions: Mapping[str, Value] = field(default_factory=dict)


ACK = Outcome(Verdict.ACK)
REQUEUE = Outcome(Verdict.REQUEUE)
"""It is delivered again after a while, perhaps to another consumer."""
DEAD_LETTER = Outcome(Verdict.DEAD_LETTER)


@dataclass(frozen=True, slots=True)
class Delivery:
    event: Event
    queue: str
    attempt: int
    """1 for the first delivery. A broker that does not count says 2 for every later one."""

    @property
    def redelivered(self) -> bool:
        return self.attempt > 1


Handler = Callable[[Delivery], Awaitable[Outcome]]


class Broker(Protocol):
    @property
    def ready(self) -> bool:
        """Whether a publish would go out now."""
        ...

    async def wait_ready(self) -> None: ...

    async def declare(
        self, *, exchange: str, queues: Mapping[str, Sequence[Binding]], dead_letters: str | None = None
    ) -> None:
        """Makes the exchange's bindings exactly these, whatever an earlier process left; queues keep their messages.

        Queues that are not named lose their bindings and nothing else. `dead_letters` is a queue that takes what the
        broker itself gives up on (a delivery limit), and is made as well. Raises TopologyError where something of the
        same name exists that is not the same.
        """
        ...

    async def remove_queue(self, queue: str) -> None:
        """With its messages. No error if there is none."""
        ...

    async def remove_exchange(self, exchange: str) -> None:
        """With its bindings; queues and their messages stay. No error if there is none."""
        ...

    async def publish(self, event: Event, *, exchange: str) -> bool:
        """After the broker's confirm: True if at least one queue took it, False if none wanted it.

        A TemporaryError means that it is not confirmed, and not that nobody got it.
        """
        ...

    def consume(
        self, queue: str, *, prefetch: int, handler: Handler, dead_letters: str
    ) -> AbstractAsyncContextManager[None]:
        """Calls the handler for up to `prefetch` deliveries at a time while the context is open.

        A handler that raises requeues with back-off, as REQUEUE does. DEAD_LETTER is acknowledged only after the queue
        `dead_letters` (made if need be) confirmed it; messages that are no events go there too. On leaving, no
        new ones are taken and running handlers may finish for a while; what is not settled then is delivered again.
        """
        ...
