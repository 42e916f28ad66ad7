"""Exchanges, queues and bindings on RabbitMQ, made exactly what is wanted, also after a kill.

AMQP can neither list nor replace bindings, so a process that starts cannot see what an earlier one bound. The record of
what was bound is therefore kept on the broker itself, as a message in the queue `<exchange>.bindings`, and written
ahead: first the record says old and new, then the new is bound, then the stale is unbound, then the record says new.
A process that dies anywhere in between leaves a record of at least everything that is bound, and the next one cleans
up. At no time is a binding missing that both the old and the new set have. (Intermediate exchanges named by a hash, or
queues with a version in their names, would need a record of the old names just the same.)

An exclusive queue is the lock: it exists on one connection only and vanishes with it.
"""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pika import BasicProperties, spec

from lambdaagent.broker.channel import Channel, MissingError
from lambdaagent.broker.confirms import ConfirmChannel
from lambdaagent.broker.errors import TopologyBusyError
from lambdaagent.broker.link import Link
from lambdaagent.broker.protocol import Binding
from lambdaagent.events import amqp

QUEUE_HEADER = "x-lambdaagent-queue"
Bound = tuple[str, tuple[tuple[str, str], ...]]
"""A queue and the header values of one of its bindings, sorted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    exchange: str
    queues: Mapping[str, Sequence[Binding]]
    dead_letters: str | None


@dataclass(frozen=True, slots=True)
class Topology:
    link: Link
    queue_type: str = "quorum"
    lock_timeout: float = 30.0

    async def declare(self, wanted: Wanted) -> None:
        lock = await self._lock(f"{wanted.exchange}.bindings.lock")
        try:
            confirmed = await ConfirmChannel.open(self.link)
            try:
                await self._declare(confirmed, wanted)
            finally:
                await confirmed.channel.close()
        finally:
            if lock.is_open:
                await lock.call(lock.raw.queue_delete, queue=f"{wanted.exchange}.bindings.lock")
            await lock.close()

    async def remove_queue(self, queue: str) -> None:
        channel = await self.link.channel()
        try:
            await channel.call(channel.raw.queue_delete, queue=queue)
        finally:
            await channel.close()

    async def remove_exchange(self, exchange: str) -> None:
        channel = await self.link.channel()
        try:
            # The bindings go with the exchange; the record last, so that a death in between leaves one too many.
            await channel.call(channel.raw.exchange_delete, exchange=exchange)
            await channel.call(channel.raw.queue_delete, queue=f"{exchange}.bindings")
        finally:
            await channel.close()

    async def ensure_queue(self, channel: Channel, queue: str, *, dead_letters: str | None = None) -> None:
        arguments: dict[str, Any] = {"x-queue-type": self.queue_type}
        if dead_letters is not None:
            # For what the broker itself gives up on: a quorum queue's delivery limit drops messages otherwise.
            arguments |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_letters}
        await channel.call(channel.raw.queue_declare, queue=queue, durable=True, arguments=arguments)

    async def _declare(self, confirmed: ConfirmChannel, wanted: Wanted) -> None:
        channel, record = confirmed.channel, f"{wanted.exchange}.bindings"
        existed = await self._exists(record)
        await self.ensure_queue(channel, record)
        await channel.call(
            channel.raw.exchange_declare, exchange=wanted.exchange, exchange_type="headers", durable=True
        )
        if wanted.dead_letters is not None:
            await self.ensure_queue(channel, wanted.dead_letters)
        for queue in wanted.queues:
            await self.ensure_queue(channel, queue, dead_letters=wanted.dead_letters)

        tags, old = await _read_record(channel, record, wait=existed)
        new = {_bound(queue, binding) for queue, bindings in wanted.queues.items() for binding in bindings}
        if len(tags) != 1 or not new <= old:
            await _write_record(confirmed, record, old | new, replaces=tags)
            tags = []
        for bound in sorted(new):
            await _bind(channel, channel.raw.queue_bind, wanted.exchange, bound)
        for bound in sorted(old - new):
            await _bind(channel, channel.raw.queue_unbind, wanted.exchange, bound)
        # Written anew even if it says the same: what is only given back would reach a queue's delivery limit some day.
        more, _ = await _read_record(channel, record, wait=not tags)
        await _write_record(confirmed, record, new, replaces=tags + more)

    async def _exists(self, queue: str) -> bool:
        channel = await self.link.channel()
        try:
            await channel.call(channel.raw.queue_declare, queue=queue, passive=True)
        except MissingError:
            return False
        finally:
            await channel.close()
        return True

    async def _lock(self, name: str) -> Channel:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.lock_timeout
        while True:
            channel = await self.link.channel()
            try:
                await channel.call(channel.raw.queue_declare, queue=name, exclusive=True)
            except TopologyBusyError:
                await channel.close()
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(random.uniform(0.05, 0.3))  # noqa: S311
            else:
                return channel


def _bound(queue: str, binding: Binding) -> Bound:
    return queue, tuple(sorted((amqp.header_name(name), value) for name, value in binding.attributes.items()))


async def _bind(channel: Channel, method: Any, exchange: str, bound: Bound) -> None:
    queue, headers = bound
    # `x-` headers are not compared under x-match; this one keeps bindings of different queues apart in listings.
    arguments = {**dict(headers), "x-match": "all", QUEUE_HEADER: queue}
    await channel.call(method, queue=queue, exchange=exchange, routing_key="", arguments=arguments)


async def _read_record(channel: Channel, record: str, *, wait: bool) -> tuple[list[int], set[Bound]]:
    """Everything that may be bound, with the delivery tags of the messages that say so.

    A record that exists is never empty, but the message of a process that was just killed comes back a moment later.
    """
    tags: list[int] = []
    found: set[Bound] = set()
    deadline = asyncio.get_running_loop().time() + (5.0 if wait else 0.0)
    while True:
        message = await _get(channel, record)
        if message is not None:
            tag, body = message
            tags.append(tag)
            found |= {(queue, tuple((name, value) for name, value in headers)) for queue, headers in json.loads(body)}
        elif tags or asyncio.get_running_loop().time() >= deadline:
            return tags, found
        else:
            await asyncio.sleep(0.05)


async def _write_record(confirmed: ConfirmChannel, record: str, bound: set[Bound], *, replaces: list[int]) -> None:
    """The old messages go only after the new one is safe: too much in the record is harmless, too little is not."""
    body = json.dumps(sorted(bound)).encode()
    async with asyncio.timeout(30):
        await confirmed.publish(amqp.Message(body), exchange="", routing_key=record)
    for tag in replaces:
        confirmed.channel.raw.basic_ack(tag)


async def _get(channel: Channel, queue: str) -> tuple[int, bytes] | None:
    """One message, unacknowledged; pika tells of an empty queue through another callback."""

    def get(*, callback: Any) -> None:
        def got(_channel: Any, method: Any, _properties: BasicProperties, body: bytes) -> None:
            callback((method.delivery_tag, body))

        channel.raw.add_callback(lambda _frame: callback(None), [spec.Basic.GetEmpty], True)
        channel.raw.basic_get(queue, got)

    answer: tuple[int, bytes] | None = await channel.call(get)
    return answer
