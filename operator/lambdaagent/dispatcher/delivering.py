"""What a consumer does with one delivery: the agent is called until it took the event, refused it, or patience ends.

A reply is published, with its own confirm, before the delivery is acknowledged. An event that no attempt delivers goes
to the dead letters with its cause. Hazard: between two attempts the delivery stays unacknowledged and takes a place of
the prefetch; that keeps the order at parallelism 1, and a kill only means that the attempts begin anew.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from lambdaagent.agents.client import Client
from lambdaagent.agents.clock import Clock
from lambdaagent.agents.deliveries import Delivered, deliver
from lambdaagent.agents.wire import Target
from lambdaagent.broker.protocol import ACK, Delivery, Outcome
from lambdaagent.broker.protocol import Verdict as Settlement
from lambdaagent.events.cloudevents import Event, Value
from lambdaagent.events.delivery import Policy, Verdict

log = structlog.get_logger(__name__)

# Takes what the agent answered with; returns once it is confirmed, or raises.
Reply = Callable[[Sequence[Event]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deliverer:
    agent: str  # namespace/name, for logs
    target: Target
    policy: Policy
    client: Client
    clock: Clock
    reply: Reply
    # Returns once the agent may be called; what waits here is neither an attempt nor a failure.
    up: Callable[[], Awaitable[None]]
    # False: the agent's dlq.enabled is false, and what cannot be delivered is dropped.
    keep_dead: bool = True
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def handle(self, delivery: Delivery) -> Outcome:
        event, attempt = delivery.event, 1
        while True:
            await self.up()
            done = await deliver(self.client, self.target, event, timeout=self.policy.timeout, now=self.clock.now())
            if done.verdict is Verdict.DELIVERED:
                return await self._delivered(event, done)
            wait = self.policy.wait(attempt, retry_after=done.retry_after) if done.verdict is Verdict.AGAIN else None
            if wait is None:
                return self._given_up(event, done, attempts=attempt)
            log.info("delivery failed", agent=self.agent, event_id=event.id, reason=done.reason, retry_seconds=wait)
            await self.sleep(wait)
            attempt += 1

    async def _delivered(self, event: Event, done: Delivered) -> Outcome:
        if done.bad_reply:
            log.warning("reply is no event and is dropped", agent=self.agent, event_id=event.id)
        if done.replies:
            await self.reply(done.replies)
        return ACK

    def _given_up(self, event: Event, done: Delivered, *, attempts: int) -> Outcome:
        log.warning(
            "dead letter" if self.keep_dead else "dropped",
            agent=self.agent,
            event_id=event.id,
            reason=done.reason,
            attempts=attempts,
        )
        if not self.keep_dead:
            return ACK
        # The names that Knative's dispatcher gives them.
        extensions: dict[str, Value] = {
            "knativeerrordest": str(self.target),
            "knativeerrorcode": done.status if done.status is not None else -1,
            "knativeerrordata": done.reason,
            "lambdaagentattempts": attempts,
        }
        return Outcome(Settlement.DEAD_LETTER, extensions)
