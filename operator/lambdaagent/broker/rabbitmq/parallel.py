"""Up to `parallelism` deliveries at once, in no order; one that waits for its next attempt goes to a delay queue.

It is published there with its count and time, and acknowledged only after the confirm. If the process is killed in
between, there are two copies; the handler recognizes the second as a duplicate once the first was delivered.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from lambdaagent.broker.protocol import Settlement
from lambdaagent.broker.rabbitmq import delays
from lambdaagent.broker.rabbitmq.channel import Channel
from lambdaagent.broker.rabbitmq.consumer import Consumer, Taken
from lambdaagent.errors import LambdaAgentError

log = structlog.get_logger(__name__)
_EARLY = 0.2
"""Seconds before its time at which a delivery may begin: less than the shortest step."""


@dataclass(eq=False)
class ParallelConsumer(Consumer):
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.parallelism)

    def begin(self, channel: Channel) -> None:
        return None

    def halt(self) -> None:
        return None

    def take(self, taken: Taken) -> None:
        if not self.stopping:
            self.spawn(self._deliver(taken))

    async def _deliver(self, taken: Taken) -> None:
        attempts, due = delays.attempts(taken.message), delays.due(taken.message)
        if due - self.now() > _EARLY:
            await self._delay(taken, attempts=attempts, due=due)
            return
        async with self._places:
            if self.stopping or not taken.channel.is_open:
                return  # delivered again when the channel closes
            outcome = await self.decide(taken, attempt=attempts + 1)
        match outcome.verdict:
            case Settlement.RETRY:
                await self._delay(taken, attempts=attempts + 1, due=self.now() + outcome.after)
            case Settlement.REQUEUE:
                await self._requeue(taken)
            case _:
                await self.settle(taken, outcome)

    async def _delay(self, taken: Taken, *, attempts: int, due: float) -> None:
        try:
            await self.delays.put(taken.message, queue=self.queue, attempts=attempts, due=due, now=self.now())
        except LambdaAgentError as problem:
            log.warning("delivery.delay_failed", queue=self.queue, error=str(problem))
            await self._requeue(taken)
            return
        taken.ack()

    async def _requeue(self, taken: Taken) -> None:
        """Requeue after a pause that keeps its place in the prefetch, so that a failing handler does not spin."""
        wait = 0.0 if self.stopping else self.backoff.delay(2)
        await asyncio.wait([taken.channel.closed], timeout=wait)
        if taken.channel.is_open:
            taken.channel.raw.basic_nack(taken.tag, requeue=True)
