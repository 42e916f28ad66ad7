"""Exchanges, queues and bindings on RabbitMQ, made exactly as declared, also after a kill.

The record `<exchange>.bindings` lists what is bound, and is written ahead: first the record gets old and new, then the
new is bound, then the stale is unbound, then the record gets only the new. A process that is killed in between leaves a
record of at least everything that is bound, and the next process cleans up. A binding that is in both the old and the
new set is never missing. (Intermediate exchanges named by a hash, or queues with a version in their names, would need a
record of the old names as well.) A separate record lists the exchanges, so that a process which starts after its last
agent was deleted knows what to remove.

An exclusive queue is the lock: it belongs to one connection and vanishes with it.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from lambdaagent.broker.bindings import Bound, ExchangeDeclaration, Keep, exchange_of, keep_none, queues_of, read
from lambdaagent.broker.errors import RefusedQueuesError, TopologyBusyError, TopologyError
from lambdaagent.broker.rabbitmq import ordered_head, queues, shared_value
from lambdaagent.broker.rabbitmq.channel import Channel, MissingError
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection, RenewingChannel

QUEUE_HEADER = "x-lambdaagent-queue"
EXCHANGES = "lambdaagent.exchanges"
DETACH_SECONDS = 1.0
"""Time for the consumers of a deleted queue to detach before it is made again; `repair` says why."""


@dataclass(frozen=True, slots=True)
class QueueTopology:
    link: RabbitMQConnection
    queue_type: str = queues.QUORUM
    lock_timeout: float = 30.0

    async def declare(
        self, wanted: ExchangeDeclaration, *, before: ExchangeDeclaration | None = None
    ) -> frozenset[str]:
        """Declare, without what was declared `before` on this connection; return the queues that lost all bindings."""
        if before is None:
            await self._register(wanted.exchange)
        async with self._alone(f"{wanted.exchange}.bindings") as (confirmed, existed):
            return await self._declare(confirmed, wanted, before=before, existed=existed)

    async def mend(self, wanted: ExchangeDeclaration) -> dict[str, str]:
        """Make again what was deleted of the recorded objects. Raises TemporaryError, TopologyError.

        Returns what was missing by name, with RabbitMQ's refusal, or "" if it was made again. Nothing is unbound, and
        what another process has unbound since stays unbound: its knowledge may be newer. AMQP cannot report whether a
        binding exists, so all are bound again.
        """
        name = f"{wanted.exchange}.bindings"
        async with self._alone(name) as (confirmed, existed):
            channel = confirmed.channel
            tags, entries = await shared_value.read(channel, name, wait=existed) if existed else ([], [])
            exchanges = (wanted.exchange, *wanted.forwards)
            letters = [wanted.dead_letters] if wanted.dead_letters is not None else []
            made = {read(entry) for entry in entries} & wanted.bound()
            named = sorted(wanted.queues.keys() & queues_of(made)) if tags else sorted(wanted.queues)
            missing = await self._missing("exchange_declare", exchange=exchanges)
            gone, refused = await self._verify(named, dead_letters=wanted.dead_letters)
            gone |= await self._missing("queue_declare", queue=letters)
            if gone:
                await asyncio.sleep(DETACH_SECONDS)
            missing |= gone
            if not tags:
                await self._register(wanted.exchange)
                await self._declare(confirmed, wanted, before=None, existed=False)
                # If only the record is missing, it was not deleted with the exchange: a policy may have expired its
                # message.
                return dict.fromkeys({*missing, wanted.exchange} if missing else {name}, "")
            found = dict.fromkeys(missing, "")
            for exchange in exchanges:
                try:
                    await _exchange(channel, exchange)
                except TopologyError as problem:
                    return found | refused | {exchange: str(problem)}
            found |= refused | await self._ensure(gone & set(named), dead_letters=wanted.dead_letters)
            for name in letters:
                await queues.ensure_dead_letters(channel, name, queue_type=self.queue_type)
            await self._bind_present(wanted.exchange, made)
            return found

    async def exchanges(self) -> frozenset[str]:
        """Return the exchanges that any process declared and none removed."""
        async with self._alone(EXCHANGES) as (confirmed, existed):
            _, entries = await shared_value.read(confirmed.channel, EXCHANGES, wait=existed)
            return frozenset(entries)

    async def remove_queue(self, queue: str) -> None:
        channel = await self.link.channel()
        try:
            for name in (queue, ordered_head.record_of(queue)):
                await channel.call(channel.raw.queue_delete, queue=name)
        finally:
            await channel.close()

    async def remove_exchange(self, exchange: str, *, keep: Keep = keep_none) -> frozenset[str] | None:
        """Remove the exchange; return the queues that were bound to it. None: `keep` keeps some, nothing was done."""
        name = f"{exchange}.bindings"
        async with self._alone(name) as (confirmed, existed):
            channel = confirmed.channel
            _, entries = await shared_value.read(channel, name, wait=existed)
            found = frozenset(read(entry) for entry in entries)
            if keep(found):
                return None
            # The bindings are deleted with the exchange; the records last, so that a kill in between leaves one too
            # many.
            await channel.call(channel.raw.exchange_delete, exchange=exchange)
            await channel.call(channel.raw.queue_delete, queue=name)
        async with self._alone(EXCHANGES) as (confirmed, existed):
            tags, entries = await shared_value.read(confirmed.channel, EXCHANGES, wait=existed)
            await shared_value.write(confirmed, EXCHANGES, sorted(set(entries) - {exchange}), replaces=tags)
        return queues_of(found)

    async def _register(self, exchange: str) -> None:
        async with self._alone(EXCHANGES) as (confirmed, existed):
            tags, entries = await shared_value.read(confirmed.channel, EXCHANGES, wait=existed)
            if exchange not in entries or len(tags) != 1:
                await shared_value.write(confirmed, EXCHANGES, sorted({*entries, exchange}), replaces=tags)

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[tuple[ConfirmChannel, bool]]:
        """Lock the record against other processes; yield a channel and whether the record existed."""
        lock = await self._lock(f"{name}.lock")
        try:
            confirmed = await ConfirmChannel.open(self.link)
            try:
                existed = await self._exists(name)
                await queues.ensure(confirmed.channel, name)
                yield confirmed, existed
            finally:
                await confirmed.channel.close()
        finally:
            if lock.is_open:
                await lock.call(lock.raw.queue_delete, queue=f"{name}.lock")
            await lock.close()

    async def _declare(
        self,
        confirmed: ConfirmChannel,
        wanted: ExchangeDeclaration,
        *,
        before: ExchangeDeclaration | None,
        existed: bool,
    ) -> frozenset[str]:
        channel, name = confirmed.channel, f"{wanted.exchange}.bindings"
        standing = before.queues if before is not None else {}
        if before is None:
            await _exchange(channel, wanted.exchange)
            if wanted.dead_letters is not None:
                await queues.ensure_dead_letters(channel, wanted.dead_letters, queue_type=self.queue_type)
        for target in wanted.forwards:
            await _exchange(channel, target)
        refused = await self._ensure(wanted.queues.keys() - standing.keys(), dead_letters=wanted.dead_letters)

        tags, entries = await shared_value.read(channel, name, wait=existed)
        old = {read(entry) for entry in entries}
        named = wanted.bound(but=refused)
        # Called only now that no other process can change the record: it includes what others made meanwhile.
        kept = old.intersection(wanted.keep(old - named))
        new = named | kept
        stands = old & before.bound() if before is not None else set()
        if len(tags) != 1 or not new <= old:
            await shared_value.write(confirmed, name, sorted(old | new), replaces=tags)
            tags = []
        for bound in sorted(new - stands):
            await _bind(channel, wanted.exchange, bound)
        for bound in sorted(old - new):
            await _bind(channel, wanted.exchange, bound, undo=True)
        more: list[int] = []
        if not tags or old != new:
            more, _ = await shared_value.read(channel, name, wait=not tags)
            await shared_value.write(confirmed, name, sorted(new), replaces=tags + more)
        stale = queues_of(old) - wanted.queues.keys() - queues_of(kept)
        if refused:
            raise RefusedQueuesError(refused, stale=stale)
        return stale

    async def _verify(self, names: Iterable[str], *, dead_letters: str | None) -> tuple[set[str], dict[str, str]]:
        """Return the queues that are missing, and RabbitMQ's reason for each that has other properties.

        Only a declaration shows the properties. It follows at once: a queue that is deleted just before is made again,
        nobody notices, and its consumers stay detached until they are replaced.
        """
        missing, refused = set[str](), dict[str, str]()
        async with RenewingChannel(self.link) as renewed:
            for name in names:
                channel = await renewed.channel()
                try:
                    await channel.call(channel.raw.queue_declare, queue=name, passive=True)
                    await queues.ensure_agent(channel, name, queue_type=self.queue_type, dead_letters=dead_letters)
                except MissingError:
                    missing.add(name)
                except TopologyError as problem:
                    refused[name] = str(problem)
        return missing, refused

    async def _ensure(self, names: Iterable[str], *, dead_letters: str | None) -> dict[str, str]:
        """Make the queues that are missing; return RabbitMQ's reason for each that it refuses."""
        refused: dict[str, str] = {}
        async with RenewingChannel(self.link) as renewed:
            for name in names:
                channel = await renewed.channel()
                try:
                    await queues.ensure_agent(channel, name, queue_type=self.queue_type, dead_letters=dead_letters)
                except TopologyError as problem:
                    refused[name] = str(problem)
        return refused

    async def _bind_present(self, exchange: str, made: Iterable[Bound]) -> None:
        """Make the bindings, but those of a queue that was deleted meanwhile: the next check finds it missing."""
        async with RenewingChannel(self.link) as renewed:
            for bound in sorted(made):
                with contextlib.suppress(MissingError):
                    await _bind(await renewed.channel(), exchange, bound)

    async def _exists(self, queue: str) -> bool:
        return not await self._missing("queue_declare", queue=[queue])

    async def _missing(self, method: str, **named: Iterable[str]) -> set[str]:
        """Return the names that do not exist, by a declaring method and the parameter that takes the name."""
        ((parameter, names),) = named.items()
        missing: set[str] = set()
        async with RenewingChannel(self.link) as renewed:
            for name in names:
                channel = await renewed.channel()
                asked: dict[str, Any] = {parameter: name, "passive": True}
                try:
                    await channel.call(getattr(channel.raw, method), **asked)
                except MissingError:
                    missing.add(name)
        return missing

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


async def _exchange(channel: Channel, name: str) -> None:
    await channel.call(channel.raw.exchange_declare, exchange=name, exchange_type="headers", durable=True)


async def _bind(channel: Channel, exchange: str, bound: Bound, *, undo: bool = False) -> None:
    name, headers = bound
    # With `all`, `x-` headers are not compared; this one distinguishes the bindings of queues in listings.
    arguments = {**dict(headers), "x-match": "all", QUEUE_HEADER: name}
    ends: dict[str, Any]
    if (destination := exchange_of(name)) is not None:
        method = channel.raw.exchange_unbind if undo else channel.raw.exchange_bind
        ends = {"destination": destination, "source": exchange}
    else:
        method = channel.raw.queue_unbind if undo else channel.raw.queue_bind
        ends = {"queue": name, "exchange": exchange}
    await channel.call(method, **ends, routing_key="", arguments=arguments)
