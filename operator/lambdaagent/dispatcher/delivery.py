"""Handles one delivery: the agent is called once, and the result decides how the delivery is settled.

A reply is published and confirmed before the delivery is acknowledged. A temporary failure is retried without another
call of the agent; after ten failures the delivery comes again. An event that the agent refuses, or that no attempt
delivers, goes to the dead letters with its cause, and if it was a call of an async skill, an event reports the failure
to its task.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from random import uniform
from typing import Protocol

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.broker.protocol import ACK, REQUEUE, BrokerDelivery, DeliveryOutcome, Settlement, dead_letter, retry
from lambdaagent.children.async_calls import Calls, correlated, undelivered
from lambdaagent.clock import Clock
from lambdaagent.containers.deliver_event import DeliveryResult, deliver
from lambdaagent.dispatcher.circuit import Circuit
from lambdaagent.dispatcher.deduplication import Deduplicator
from lambdaagent.errors import PermanentError, TemporaryError
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import NO_ANSWER, DeathCause
from lambdaagent.events.retry import Policy, RetryDecision
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target

log = structlog.get_logger(__name__)

# Sends the agent's reply events; returns once they are confirmed, or raises.
Reply = Callable[[Sequence[Event]], Awaitable[None]]
ATTEMPT = "attempt"
_REPLY_ATTEMPTS = 10


class DeliveryObserver(Protocol):
    def delivery(self, outcome: str) -> None: ...


@dataclass(frozen=True, slots=True)
class AgentRoute:
    """The target of an agent's events: its container, or for calls of its async skills the gateway."""

    target: Target
    path: str = "/"
    timeout: float | None = None  # seconds; None: the policy's time-out
    gateway: bool = False  # the target is the gateway: if it did not call the agent, that is no attempt


@dataclass(frozen=True, slots=True)
class Deliverer:
    agent: str  # namespace/name, for logs
    policy: Policy
    client: HttpClient
    clock: Clock
    reply: Reply
    route: Callable[[Event], AgentRoute]
    seen: Deduplicator
    observer: DeliveryObserver
    calls: Calls
    wants: Callable[[Event], bool] = lambda _event: True
    # Returns once the agent may be called; a delivery that waits here has made no attempt.
    up: Callable[[], Awaitable[None]] | None = None
    keep_dead: bool = True
    circuit: Circuit = field(default_factory=Circuit)
    reply_pause: Backoff = field(default_factory=lambda: Backoff(first=0.2, cap=10.0))
    jitter: Callable[[], float] = lambda: uniform(1.0, 1.25)  # noqa: S311 -- spreads load, no cryptographic use
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def handle(self, delivery: BrokerDelivery) -> DeliveryOutcome:
        event = delivery.event
        if not self.wants(event):
            self.observer.delivery("not-wanted")
            return ACK
        async with self.seen.claim(delivery) as fresh:
            if not fresh:
                log.info("delivery.deduplicated", agent=self.agent, event_id=event.id, source=event.source)
                self.observer.delivery("duplicate")
                return ACK
            return await self._once(delivery)

    async def _once(self, delivery: BrokerDelivery) -> DeliveryOutcome:
        event, route = delivery.event, self.route(delivery.event)
        if self.up is not None:
            await self.up()
        async with self.circuit.turn():
            done = await deliver(
                self.client,
                route.target,
                replace(event, extensions={**event.extensions, ATTEMPT: delivery.attempt}),
                path=route.path,
                timeout=route.timeout or self.policy.timeout,
                now=self.clock.now(),
            )
            broken = done.verdict is RetryDecision.AGAIN and (done.status is None or done.status >= 500)
            (self.circuit.failed if broken else self.circuit.worked)()
        if done.verdict is RetryDecision.DELIVERED:
            return await self._delivered(event, done)
        if done.verdict is RetryDecision.AGAIN and route.gateway and not done.attempted:
            log.info("delivery.requeued", agent=self.agent, event_id=event.id, error=done.reason)
            self.observer.delivery("not-attempted")
            return REQUEUE
        if done.verdict is RetryDecision.AGAIN:
            wait = self.policy.wait(delivery.attempt, retry_after=done.retry_after)
            if wait is not None:
                wait *= self.jitter()
                log.info(
                    "delivery.failed",
                    agent=self.agent,
                    event_id=event.id,
                    attempt=delivery.attempt,
                    error=done.reason,
                    retry_seconds=round(wait, 1),
                )
                self.observer.delivery("retried")
                return retry(wait)
        return await self._given_up(event, route, done, attempts=delivery.attempt)

    async def _delivered(self, event: Event, done: DeliveryResult) -> DeliveryOutcome:
        self.observer.delivery("delivered")
        if done.bad_reply:
            log.warning("reply.read_failed", agent=self.agent, event_id=event.id, error="the reply is not an event")
            self.observer.delivery("bad-reply")
        if done.replies:
            await self._reply([correlated(reply, event) for reply in done.replies])
        return self._settled(event)

    async def _reply(self, events: Sequence[Event]) -> None:
        """Send the replies, with retries. Raises TemporaryError after the last one: the delivery comes again."""
        for attempt in range(1, _REPLY_ATTEMPTS + 1):
            try:
                await self.reply(events)
            except PermanentError as problem:
                ids = [event.id for event in events]
                log.error("reply.refused", agent=self.agent, event_ids=ids, error=str(problem))
                self.observer.delivery("reply-refused")
                return
            except TemporaryError:
                if attempt == _REPLY_ATTEMPTS:
                    raise
                await self.sleep(self.reply_pause.delay(attempt))
            else:
                return

    async def _given_up(
        self, event: Event, route: AgentRoute, done: DeliveryResult, *, attempts: int
    ) -> DeliveryOutcome:
        log.warning(
            "delivery.given_up",
            agent=self.agent,
            event_id=event.id,
            error=done.reason,
            attempts=attempts,
            kept=self.keep_dead,
        )
        self.observer.delivery("dead-lettered" if self.keep_dead else "dropped")
        if self.calls.addressed(event) and (told := undelivered(event, f"{done.reason}, attempt {attempts}")):
            await self._reply([told])
        if not self.keep_dead:
            return self._settled(event)

        async def settle() -> None:
            # Only after the letter is confirmed: if that fails, the delivery comes again.
            self.seen.remember((event.source, event.id))
            await self.seen.record((event.source, event.id))

        code = NO_ANSWER if done.status is None else done.status
        cause = DeathCause(self.agent, done.reason, self.clock.now(), code, str(route.target), attempts)
        return dead_letter(cause, settle=settle)

    def _settled(self, event: Event) -> DeliveryOutcome:
        key = (event.source, event.id)
        self.seen.remember(key)
        return DeliveryOutcome(Settlement.ACK, settle=lambda: self.seen.record(key))
