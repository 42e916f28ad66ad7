"""The protocol of an event broker, as the rest of the package uses it.

Delivery is at least once: `publish` returns only after the broker's confirm, a delivery is acknowledged only after its
handler has returned, and everything in between may happen twice. Consumers must recognize duplicates by (source, id).
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from lambdaagent.broker.bindings import ExchangeDeclaration, Keep, keep_none
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import DeathCause


class Settlement(StrEnum):
    ACK = "ack"
    REQUEUE = "requeue"
    RETRY = "retry"
    DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """How a delivery is settled.

    RETRY counts as an attempt, and the delivery comes back after `after` seconds; the count and the time survive this
    process. `cause` is written into a dead letter. `settle` is awaited before an acknowledgement, while the next
    delivery may begin already; it is called again until it does not raise.
    """

    verdict: Settlement
    cause: DeathCause | None = None
    after: float = 0.0
    settle: Callable[[], Awaitable[None]] | None = None


ACK = DeliveryOutcome(Settlement.ACK)
REQUEUE = DeliveryOutcome(Settlement.REQUEUE)
"""The event is delivered again after a while, perhaps to another consumer, and no attempt is counted."""


def dead_letter(cause: DeathCause, *, settle: Callable[[], Awaitable[None]] | None = None) -> DeliveryOutcome:
    return DeliveryOutcome(Settlement.DEAD_LETTER, cause, settle=settle)


def retry(after: float) -> DeliveryOutcome:
    return DeliveryOutcome(Settlement.RETRY, after=after)


@dataclass(frozen=True, slots=True)
class BrokerDelivery:
    event: Event
    queue: str
    attempt: int = 1
    """One more than the number of RETRY outcomes so far, of all processes."""
    redelivered: bool = False
    """The event was delivered before, to a consumer that may have handled it and ended before the acknowledgement."""
    redriven: bool = False
    """An operator took the event out of the dead letters: it is to be handled even if it was handled before."""
    session: int = 0
    """A number that changes whenever another consumer may have had the queue in the meantime."""


Handler = Callable[[BrokerDelivery], Awaitable[DeliveryOutcome]]


@dataclass(frozen=True, slots=True)
class Loss:
    """An exchange or queue declared here that was deleted; `problem` is why it is still missing."""

    at: float  # when the loss was seen, seconds since the epoch
    problem: str = ""


NO_LOSSES: Mapping[str, Loss] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Deaths:
    """Messages that the broker dead-lettered without a handler's decision, because its queues are limited."""

    count: int  # a lower bound
    since: float  # seconds since the epoch; a new count begins after an hour without any
    at: float  # time of the latest, seconds since the epoch


NO_DEATHS: Mapping[tuple[str, str], Deaths] = MappingProxyType({})


class Broker(Protocol):
    @property
    def ready(self) -> bool:
        """Whether a publish would be sent now."""
        ...

    @property
    def problem(self) -> str:
        """Why the broker is not ready, without secrets; empty while it is ready."""
        ...

    @property
    def losses(self) -> Mapping[str, Loss]:
        """Deleted exchanges and queues by name. They are made again within seconds; what they held is lost."""
        ...

    @property
    def deaths(self) -> Mapping[tuple[str, str], Deaths]:
        """By queue and reason (`events.dead_letter_headers.BY_RABBITMQ`, `OWN_EXPIRATION`).

        The messages are among the dead letters.
        """
        ...

    async def wait_ready(self) -> None: ...

    async def declare(self, declaration: ExchangeDeclaration) -> frozenset[str]:
        """Make the exchange's bindings exactly these, whatever an earlier process left; queues keep their messages.

        Other bindings that `keep` returns stay. The exchanges in `forwards` receive the events that match and route
        them further; an event passes each of them once. Queues that are not named lose only their bindings; returns the
        names of those that had some. The queue `dead_letters` is made as well. Raises TopologyError if
        something of the same name exists with other properties; if these are queues, raises RefusedQueuesError, which
        names them, after everything else was declared.
        """
        ...

    async def exchanges(self) -> frozenset[str]:
        """Return the exchanges that any process declared and none removed."""
        ...

    def doubt(self) -> None:
        """Make the next declaration check everything that an earlier one made, because it may have been removed."""
        ...

    async def remove_queue(self, queue: str) -> None:
        """Remove the queue with its messages. No error if there is none."""
        ...

    async def remove_exchange(self, exchange: str, *, keep: Keep = keep_none) -> frozenset[str] | None:
        """Remove the exchange with its bindings; queues keep their messages. Returns the names of its queues.

        The names are empty if there is no such exchange. None: `keep` keeps some of its bindings, and nothing was
        removed.
        """
        ...

    async def publish(self, event: Event, *, exchange: str) -> bool:
        """Publish and wait for the broker's confirm. True: at least one queue took the event; False: none did.

        A TemporaryError means that the event is not confirmed; it may have been delivered all the same.
        """
        ...

    def consume(
        self, queue: str, *, parallelism: int, handler: Handler, dead_letters: str
    ) -> AbstractAsyncContextManager[None]:
        """Call the handler for up to `parallelism` deliveries at a time while the context is open.

        One consumer of a queue is active at a time, across all processes; the others stand by. With parallelism 1 the
        order is kept: while a delivery waits for its next attempt, none overtakes it. If a handler raises, the delivery
        is requeued with back-off, as with REQUEUE. DEAD_LETTER is acknowledged only after the queue `dead_letters`
        (made if need be) has confirmed the letter; messages that are not events go there too. At the end of the context
        no new deliveries are taken, and running handlers may finish within a time limit; what is not settled then is
        delivered again.
        """
        ...
