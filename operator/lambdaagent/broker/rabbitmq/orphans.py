"""Returns waiting events to queues that were deleted and made again.

An event that becomes due while its queue, or the binding that leads to it, does not exist goes to the queue of orphans
(`delays.ORPHANS`). Every process with consumers looks there at intervals and returns what is for a queue of its own,
with its attempts. It keeps no memory of deleted queues, so it does not matter which process made a queue again. Events
of agents that were removed stay among the orphans, which are bounded, and so do those that are long overdue: an agent
of the same name may be another one.

Hazard: if the connection breaks between the confirmation and the acknowledgement, an event returns twice. The
deduplication of deliveries covers that, because it remembers longer than an orphan may be overdue.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import structlog

from lambdaagent.broker.rabbitmq import delays
from lambdaagent.broker.rabbitmq.channel import CALL_TIMEOUT
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.broker.rabbitmq.log_limit import LogLimit
from lambdaagent.broker.rabbitmq.message_walk import MessageWalk, QueuedMessage
from lambdaagent.errors import LambdaAgentError

log = structlog.get_logger(__name__)
_WINDOW = 20  # messages in memory at once; each may be as large as a message may be
_WALK_SECONDS = 30.0
OVERDUE_SECONDS = 900.0
"""Older ones are not returned."""


@dataclass
class Orphans:
    link: RabbitMQConnection
    queues: Callable[[], Collection[str]]
    """The queues that this process wants."""
    ready: Callable[[], bool]
    every: float = 5.0
    now: Callable[[], float] = time.time
    logged: LogLimit = field(default_factory=LogLimit)
    # The number of messages of which none was for these queues: they are not read again until it changes.
    _foreign: tuple[int, frozenset[str]] = field(default=(0, frozenset()), init=False)

    async def run(self) -> None:
        """Return orphans until cancelled."""
        while True:
            await asyncio.sleep(self.every)
            if not self.ready() or not (queues := frozenset(self.queues())):
                continue
            try:
                async with asyncio.timeout(_WALK_SECONDS + 2 * CALL_TIMEOUT):
                    returned = await self._bring_back(queues)
            except (LambdaAgentError, TimeoutError) as problem:
                if self.logged.news("orphans", str(problem)):
                    log.warning("orphans.return_failed", error=str(problem))
            except Exception:  # the outermost handler of this asyncio task
                log.exception("orphans.crashed")
            else:
                self.logged.over("orphans")
                if returned:
                    log.info("orphans.returned", events=returned)

    async def _bring_back(self, queues: frozenset[str]) -> int:
        """The number of events that returned. Raises LambdaAgentError."""
        confirmed = await ConfirmChannel.open(self.link)
        returned = refused = 0

        async def bring_back(queued: QueuedMessage) -> bool:
            nonlocal returned, refused
            fresh = self.now() - delays.due(queued.message) < OVERDUE_SECONDS
            if queued.routing_key not in queues or not fresh:
                return False
            message = replace(queued.message, headers=delays.own_headers(queued.message))
            async with asyncio.timeout(CALL_TIMEOUT):
                routed = await confirmed.publish(message, exchange="", routing_key=queued.routing_key)
            returned += routed
            refused += not routed  # the queue is about to be made
            return routed

        messages = MessageWalk(confirmed.channel, delays.ORPHANS, "returning orphans", window=_WINDOW)
        try:
            count = await messages.length()
            if (count, queues) == self._foreign:
                return 0
            if await messages.visit(count, bring_back, within=_WALK_SECONDS) and not refused:
                self._foreign = (count - returned, queues)
            return returned
        finally:
            await confirmed.channel.close()
