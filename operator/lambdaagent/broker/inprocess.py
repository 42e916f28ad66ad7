"""The broker inside one process, for `dev` and tests: the same contract, but nothing survives the process.

Queues are bounded; a full queue delays publishers and then refuses them, as RabbitMQ does when it is short of memory.
An event enters all of its queues or none. A delivery that waits for its next attempt counts as being in its queue.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.broker.bindings import Binding, ExchangeDeclaration, Keep, all_bound, bound, keep_none
from lambdaagent.broker.errors import BlockedError
from lambdaagent.broker.protocol import (
    NO_DEATHS,
    NO_LOSSES,
    REQUEUE,
    BrokerDelivery,
    Deaths,
    DeliveryOutcome,
    Handler,
    Loss,
    Settlement,
)
from lambdaagent.cancellation import cancel
from lambdaagent.errors import LambdaAgentError, TemporaryError
from lambdaagent.events import amqp
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import DeathCause, mark

log = structlog.get_logger(__name__)


# Keeps a dead letter; raises TemporaryError if it cannot at present.
Bury = Callable[[Event, DeathCause], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Entry:
    event: Event
    attempt: int = 1
    redelivered: bool = False


@dataclass
class _Queue:
    limit: int
    entries: deque[_Entry] = field(default_factory=deque)
    waiting: int = 0  # deliveries that wait for their next attempt, where the order is not kept
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    active: asyncio.Lock = field(default_factory=asyncio.Lock)  # one consumer is active, the others stand by
    sessions: int = 0

    @property
    def size(self) -> int:
        return len(self.entries) + self.waiting


class InProcessBroker:
    def __init__(
        self,
        *,
        limit: int = 10_000,
        publish_timeout: float = 10.0,
        drain_timeout: float = 30.0,
        backoff: Backoff | None = None,
        add_dead_letter: Bury | None = None,
    ) -> None:
        """`add_dead_letter` keeps dead letters; without it they stay in their queue and are lost with the process."""
        self._keep_dead = add_dead_letter
        self._limit = limit
        self._publish_timeout = publish_timeout
        self._drain_timeout = drain_timeout
        self._backoff = backoff or Backoff(first=0.2, cap=15.0)
        self._queues: dict[str, _Queue] = {}
        self._bindings: dict[str, dict[str, tuple[Binding, ...]]] = {}
        self._forwards: dict[str, dict[str, tuple[Binding, ...]]] = {}
        self._pauses: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "InProcessBroker":
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel(*self._pauses)

    @property
    def ready(self) -> bool:
        return True

    @property
    def problem(self) -> str:
        return ""

    @property
    def losses(self) -> Mapping[str, Loss]:
        return NO_LOSSES

    @property
    def deaths(self) -> Mapping[tuple[str, str], Deaths]:
        return NO_DEATHS

    async def wait_ready(self) -> None:
        return None

    async def declare(self, declaration: ExchangeDeclaration) -> frozenset[str]:
        exchange, queues, dead_letters = declaration.exchange, declaration.queues, declaration.dead_letters
        for queue in (*queues, *([dead_letters] if dead_letters else ())):
            self._queue(queue)
        before = self._bindings.get(exchange, {})
        stay = declaration.keep(all_bound(before, {}) - all_bound(queues, {}))
        kept = {queue: tuple(each for each in found if bound(queue, each) in stay) for queue, found in before.items()}
        self._bindings[exchange] = {queue: found for queue, found in kept.items() if found} | {
            queue: (*bindings, *kept.get(queue, ())) for queue, bindings in queues.items()
        }
        self._forwards[exchange] = {target: tuple(bindings) for target, bindings in declaration.forwards.items()}
        return frozenset(queue for queue, found in before.items() if found) - self._bindings[exchange].keys()

    async def exchanges(self) -> frozenset[str]:
        return frozenset(self._bindings)

    def doubt(self) -> None:
        return None

    async def remove_queue(self, queue: str) -> None:
        # The object is kept: consumers may be waiting on it, and the queue may be declared again.
        self._queue(queue).entries.clear()
        await _notify(self._queue(queue))
        for bindings in self._bindings.values():
            bindings.pop(queue, None)

    async def remove_exchange(self, exchange: str, *, keep: Keep = keep_none) -> frozenset[str] | None:
        found = self._bindings.get(exchange, {})
        if keep(all_bound(found, {})):
            return None
        self._bindings.pop(exchange, None)
        self._forwards.pop(exchange, None)
        return frozenset(queue for queue, bindings in found.items() if bindings)

    async def publish(self, event: Event, *, exchange: str) -> bool:
        names = self._route(event, exchange)
        await self._put(event, names)
        return bool(names)

    def _route(self, event: Event, exchange: str) -> list[str]:
        """Return each queue once, by whatever path; each exchange is visited once, so that cycles end."""
        attributes, names = event.attributes(), dict[str, None]()
        waiting, passed = [exchange], {exchange}
        while waiting:
            here = waiting.pop()
            names |= dict.fromkeys(_matching(self._bindings.get(here, {}), attributes))
            for target in _matching(self._forwards.get(here, {}), attributes):
                if target not in passed:
                    passed.add(target)
                    waiting.append(target)
        return list(names)

    async def _put(self, event: Event, names: list[str]) -> None:
        try:
            async with asyncio.timeout(self._publish_timeout):
                while full := [queue for name in names if (queue := self._queue(name)).size >= queue.limit]:
                    async with full[0].changed:
                        await full[0].changed.wait_for(lambda: full[0].size < full[0].limit)
        except TimeoutError:
            raise BlockedError(
                f"a queue for the event {event.id} stayed full for {self._publish_timeout:g} s; publish it again"
            ) from None
        # There is no await between the check and this, so all queues get the event or none.
        for name in names:
            self._queue(name).entries.append(_Entry(event))
        for name in names:
            await _notify(self._queue(name))

    @asynccontextmanager
    async def consume(
        self, queue: str, *, parallelism: int, handler: Handler, dead_letters: str
    ) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        consuming = asyncio.create_task(
            self._consume(queue, parallelism, handler, dead_letters, stopping), name=f"consumer {queue}"
        )
        try:
            yield
        finally:
            stopping.set()
            await _notify(self._queue(queue))
            await asyncio.wait([consuming], timeout=self._drain_timeout)
            await cancel(consuming)

    async def _consume(
        self, name: str, parallelism: int, handler: Handler, dead_letters: str, stopping: asyncio.Event
    ) -> None:
        queue = self._queue(name)
        if not await _acquire(queue.active, unless=stopping):
            return
        try:
            queue.sessions += 1
            async with asyncio.TaskGroup() as workers:
                for _ in range(parallelism):
                    workers.create_task(
                        self._work(
                            name, handler, dead_letters, stopping, in_order=parallelism == 1, session=queue.sessions
                        )
                    )
        finally:
            queue.active.release()

    async def _work(
        self, name: str, handler: Handler, dead_letters: str, stopping: asyncio.Event, *, in_order: bool, session: int
    ) -> None:
        queue = self._queue(name)
        while True:
            async with queue.changed:
                await queue.changed.wait_for(lambda: stopping.is_set() or queue.entries)
                if stopping.is_set():
                    return
                entry = queue.entries.popleft()
                queue.changed.notify_all()
            back: _Entry | None = replace(entry, redelivered=True)
            try:
                delivery = BrokerDelivery(entry.event, name, entry.attempt, entry.redelivered, session=session)
                outcome = await self._bury(await self._handle(handler, delivery), entry, dead_letters)
                if outcome.verdict is Settlement.RETRY:
                    back = replace(entry, attempt=entry.attempt + 1, redelivered=True)
                    if in_order:
                        await _pause(stopping, outcome.after)
                    else:
                        self._later(queue, back, outcome.after)
                        back = None
                elif outcome.verdict is Settlement.REQUEUE:
                    await _pause(stopping, self._backoff.delay(2))
                else:
                    await self._settle(outcome, stopping)
                    back = None
            finally:
                if back is not None:
                    queue.entries.appendleft(back)
            if back is not None:
                await _notify(queue)

    def _later(self, queue: _Queue, entry: _Entry, seconds: float) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            queue.waiting -= 1
            queue.entries.append(entry)
            await _notify(queue)

        queue.waiting += 1
        pause = asyncio.create_task(wait(), name="next attempt")
        self._pauses.add(pause)
        pause.add_done_callback(self._pauses.discard)

    async def _settle(self, outcome: DeliveryOutcome, stopping: asyncio.Event) -> None:
        attempt = 1
        while outcome.settle is not None and not stopping.is_set():
            try:
                await outcome.settle()
                return
            except LambdaAgentError as problem:
                log.warning("delivery.record_failed", error=str(problem))
                await _pause(stopping, self._backoff.delay(attempt))
                attempt += 1

    async def _handle(self, handler: Handler, delivery: BrokerDelivery) -> DeliveryOutcome:
        try:
            return await handler(delivery)
        except Exception:
            log.exception("delivery.crashed", queue=delivery.queue, event_id=delivery.event.id)
            return REQUEUE

    async def _bury(self, outcome: DeliveryOutcome, entry: _Entry, dead_letters: str) -> DeliveryOutcome:
        if outcome.verdict is not Settlement.DEAD_LETTER or outcome.cause is None:
            return outcome
        try:
            if self._keep_dead is not None:
                await self._keep_dead(entry.event, outcome.cause)
                return outcome
            await self._put(amqp.read(mark(amqp.write(entry.event), outcome.cause)), [dead_letters])
        except TemporaryError as problem:
            log.warning("dead_letter.add_failed", queue=dead_letters, error=str(problem))
            return REQUEUE
        return outcome

    def _queue(self, name: str) -> _Queue:
        return self._queues.setdefault(name, _Queue(self._limit))


def _matching(bound: Mapping[str, Sequence[Binding]], attributes: Mapping[str, object]) -> list[str]:
    return [name for name, bindings in bound.items() if any(_matches(each, attributes) for each in bindings)]


def _matches(binding: Binding, attributes: Mapping[str, object]) -> bool:
    # A number does not equal a string, as in AMQP.
    return all(attributes.get(name) == value for name, value in binding.attributes.items())


async def _acquire(lock: asyncio.Lock, *, unless: asyncio.Event) -> bool:
    """Acquire the lock. False: the event `unless` was set first."""
    acquiring, told = asyncio.ensure_future(lock.acquire()), asyncio.ensure_future(unless.wait())
    try:
        await asyncio.wait([acquiring, told], return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
        if not acquiring.done():
            acquiring.cancel()
        elif unless.is_set():
            lock.release()
    return acquiring.done() and not acquiring.cancelled() and not unless.is_set()


async def _notify(queue: _Queue) -> None:
    async with queue.changed:
        queue.changed.notify_all()


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass
