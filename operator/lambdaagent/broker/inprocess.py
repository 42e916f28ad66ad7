"""The broker inside one process, for `dev` and tests: the same contract, kept only as long as the process lives.

Queues are bounded; a full one holds publishers back and then refuses them, as RabbitMQ does when it is short of memory.
An event goes to all of its queues or to none.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.broker.errors import BlockedError
from lambdaagent.broker.protocol import REQUEUE, Binding, Delivery, Handler, Outcome, Verdict
from lambdaagent.events.cloudevents import Event

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    event: Event
    attempt: int = 1


@dataclass
class _Queue:
    limit: int
    entries: deque[_Entry] = field(default_factory=deque)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)


class InProcessBroker:
    def __init__(
        self,
        *,
        limit: int = 10_000,
        publish_timeout: float = 10.0,
        drain_timeout: float = 30.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._limit = limit
        self._publish_timeout = publish_timeout
        self._drain_timeout = drain_timeout
        self._backoff = backoff or Backoff(first=0.2, cap=15.0)
        self._queues: dict[str, _Queue] = {}
        self._bindings: dict[str, dict[str, tuple[Binding, ...]]] = {}

    async def __aenter__(self) -> "InProcessBroker":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    @property
    def ready(self) -> bool:
        return True

    async def wait_ready(self) -> None:
        return None

    async def declare(
        self, *, exchange: str, queues: Mapping[str, Sequence[Binding]], dead_letters: str | None = None
    ) -> None:
        for queue in (*queues, *([dead_letters] if dead_letters else ())):
            self._queue(queue)
        self._bindings[exchange] = {queue: tuple(bindings) for queue, bindings in queues.items()}

    async def remove_queue(self, queue: str) -> None:
        # The object stays: consumers may be waiting on it, and the queue may be declared again.
        self._queue(queue).entries.clear()
        await _notify(self._queue(queue))
        for bindings in self._bindings.values():
            bindings.pop(queue, None)

    async def remove_exchange(self, exchange: str) -> None:
        self._bindings.pop(exchange, None)

    async def publish(self, event: Event, *, exchange: str) -> bool:
        names = self._route(event, exchange)
        await self._put(event, names)
        return bool(names)

    def _route(self, event: Event, exchange: str) -> list[str]:
        attributes = event.attributes()
        return [
            queue
            for queue, bindings in self._bindings.get(exchange, {}).items()
            if any(_matches(binding, attributes) for binding in bindings)
        ]

    async def _put(self, event: Event, names: list[str]) -> None:
        try:
            async with asyncio.timeout(self._publish_timeout):
                while full := [queue for name in names if len((queue := self._queue(name)).entries) >= queue.limit]:
                    async with full[0].changed:
                        await full[0].changed.wait_for(lambda: len(full[0].entries) < full[0].limit)
        except TimeoutError:
            raise BlockedError(
                f"a queue for the event {event.id} stayed full for {self._publish_timeout:g} s; publish it again"
            ) from None
        # No await between the check and this: all of them or none.
        for name in names:
            self._queue(name).entries.append(_Entry(event))
        for name in names:
            await _notify(self._queue(name))

    @asynccontextmanager
    async def consume(self, queue: str, *, prefetch: int, handler: Handler, dead_letters: str) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        workers = [
            asyncio.create_task(self._work(queue, handler, dead_letters, stopping), name=f"consumer {queue}")
            for _ in range(prefetch)
        ]
        try:
            yield
        finally:
            stopping.set()
            await _notify(self._queue(queue))
            await asyncio.wait(workers, timeout=self._drain_timeout)
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)

    async def _work(self, name: str, handler: Handler, dead_letters: str, stopping: asyncio.Event) -> None:
        while True:
            queue = self._queue(name)
            async with queue.changed:
                await queue.changed.wait_for(lambda: stopping.is_set() or queue.entries)  # noqa: B023
                if stopping.is_set():
                    return
                entry = queue.entries.popleft()
                queue.changed.notify_all()
            settled = False
            try:
                outcome = await self._handle(handler, Delivery(entry.event, name, entry.attempt))
                outcome = await self._bury(outcome, entry, dead_letters)
                if outcome.verdict is Verdict.REQUEUE:
                    await _pause(stopping, self._backoff.delay(entry.attempt + 1))
                settled = outcome.verdict is not Verdict.REQUEUE
            finally:
                if not settled:
                    queue.entries.appendleft(replace(entry, attempt=entry.attempt + 1))
            if not settled:
                await _notify(queue)

    async def _handle(self, handler: Handler, delivery: Delivery) -> Outcome:
        try:
            return await handler(delivery)
        except Exception:
            log.exception("a handler failed, delivering again", queue=delivery.queue, event_id=delivery.event.id)
            return REQUEUE

    async def _bury(self, outcome: Outcome, entry: _Entry, dead_letters: str) -> Outcome:
        if outcome.verdict is not Verdict.DEAD_LETTER:
            return outcome
        extended = replace(entry.event, extensions={**entry.event.extensions, **outcome.extensions})
        try:
            await self._put(extended, [dead_letters])
        except BlockedError as problem:
            log.warning("cannot dead-letter, delivering again", queue=dead_letters, problem=str(problem))
            return REQUEUE
        return outcome

    def _queue(self, name: str) -> _Queue:
        return self._queues.setdefault(name, _Queue(self._limit))


def _matches(binding: Binding, attributes: Mapping[str, object]) -> bool:
    # A number is no string, on the wire as here.
    return all(attributes.get(name) == value for name, value in binding.attributes.items())


async def _notify(queue: _Queue) -> None:
    async with queue.changed:
        queue.changed.notify_all()


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass
