"""What the rest of the package knows of an event broker.

Delivery is at least once: `publish` returns only what the broker confirmed, a delivery is acknowledged only after its
handler said so, and everything in between may happen twice. Consumers must tell events apart by (source, id).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from lambdaagent.broker.bindings import Binding, Keep, keep_none
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import DeathCause

NONE: Mapping[str, Sequence[Binding]] = MappingProxyType({})


class Settlement(StrEnum):
    ACK = "ack"
    REQUEUE = "requeue"
    RETRY = "retry"
    DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What becomes of a delivery.

    RETRY counts as an attempt and comes back after so many seconds: count and time outlive this process. `cause` is
    written into a dead letter. `settle` is awaited before an acknowledgement, while the next delivery may begin
    already; it is called again until it does not raise.
    """

    verdict: Settlement
    cause: DeathCause | None = None
    after: float = 0.0
    settle: Callable[[], Awaitable[None]] | None = None


ACK = DeliveryOutcome(Settlement.ACK)
REQUEUE = DeliveryOutcome(Settlement.REQUEUE)
"""It is delivered again after a while, perhaps to another consumer, and no attempt is counted."""


def dead_letter(cause: DeathCause, *, settle: Callable[[], Awaitable[None]] | None = None) -> DeliveryOutcome:
    return DeliveryOutcome(Settlement.DEAD_LETTER, cause, settle=settle)


def retry(after: float) -> DeliveryOutcome:
    return DeliveryOutcome(Settlement.RETRY, after=after)


@dataclass(frozen=True, slots=True)
class BrokerDelivery:
    event: Event
    queue: str
    attempt: int = 1
    """One more than the RETRY outcomes so far, whichever process had them."""
    redelivered: bool = False
    """It was given to somebody before, who may have handled it and died before he could say so."""
    redriven: bool = False
    """A person took it out of the dead letters: it is to be handled even if it was before."""
    session: int = 0
    """Changes whenever another consumer may have had the queue meanwhile."""


Handler = Callable[[BrokerDelivery], Awaitable[DeliveryOutcome]]


@dataclass(frozen=True, slots=True)
class Loss:
    """An exchange or queue of ours that somebody deleted; `problem` is why it is still missing."""

    at: float  # when that was seen, seconds since the epoch
    problem: str = ""


NO_LOSSES: Mapping[str, Loss] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Deaths:
    """Messages that the broker itself gave up, without a handler's decision: somebody limits its queues."""

    count: int  # at least so many
    since: float  # seconds since the epoch; after an hour without any it begins anew
    at: float  # of the latest


NO_DEATHS: Mapping[tuple[str, str], Deaths] = MappingProxyType({})


class Broker(Protocol):
    @property
    def ready(self) -> bool:
        """Whether a publish would go out now."""
        ...

    @property
    def problem(self) -> str:
        """Why it is not ready, without a secret; empty while it is."""
        ...

    @property
    def losses(self) -> Mapping[str, Loss]:
        """By name: what was declared here and was gone later. It is made again within seconds; what it held is lost."""
        ...

    @property
    def deaths(self) -> Mapping[tuple[str, str], Deaths]:
        """By queue and reason (`events.letters.BY_RABBITMQ`, `OWN_EXPIRATION`). They lie among the dead letters."""
        ...

    async def wait_ready(self) -> None: ...

    async def declare(
        self,
        *,
        exchange: str,
        queues: Mapping[str, Sequence[Binding]],
        forwards: Mapping[str, Sequence[Binding]] = NONE,
        keep: Keep = keep_none,
        dead_letters: str | None = None,
    ) -> frozenset[str]:
        """Makes the exchange's bindings exactly these, whatever an earlier process left; queues keep their messages.

        `keep` is asked, while nobody else can change them, which of the other bindings stay as they are. `forwards` are
        other exchanges, which get what matches and route it further; an event passes each of them once. Queues that
        are not named lose their bindings and nothing else; the names of those that had some are returned.
        `dead_letters` is a queue that takes what the broker itself gives up on, and is made as well. Raises
        TopologyError where something of the same name exists that is not the same; RefusedQueuesError, which names
        them, where these are queues, and then everything else stands.
        """
        ...

    async def exchanges(self) -> frozenset[str]:
        """Those that were declared and not removed, by whatever process."""
        ...

    def doubt(self) -> None:
        """The next declaration takes nothing for granted that an earlier one made: somebody may have removed it."""
        ...

    async def remove_queue(self, queue: str) -> None:
        """With its messages. No error if there is none."""
        ...

    async def remove_exchange(self, exchange: str, *, keep: Keep = keep_none) -> frozenset[str] | None:
        """With its bindings; queues and their messages stay. The names of those that it led to; none if there is none.

        None: `keep` names some of its bindings, and nothing was removed.
        """
        ...

    async def publish(self, event: Event, *, exchange: str) -> bool:
        """After the broker's confirm: True if at least one queue took it, False if none wanted it.

        A TemporaryError means that it is not confirmed, and not that nobody got it.
        """
        ...

    def consume(
        self, queue: str, *, parallelism: int, handler: Handler, dead_letters: str
    ) -> AbstractAsyncContextManager[None]:
        """Calls the handler for up to `parallelism` deliveries at a time while the context is open.

        One consumer of a queue works at a time, in whatever process; the others stand by. With parallelism 1 the order
        is kept: while a delivery waits for its next attempt, nothing overtakes it. A handler that raises requeues with
        back-off, as REQUEUE does. DEAD_LETTER is acknowledged only after the queue `dead_letters` (made if need be)
        confirmed it; messages that are no events go there too. On leaving, no new ones are taken and running handlers
        may finish for a while; what is not settled then is delivered again.
        """
        ...
