"""Accepts messages, delivers them, and hands out what is in mailboxes.

Invariant: a message is in the database before its sender learns that it was accepted, and its deliveries are attempted
until the receiver's response, a permanent failure or the end of its time to live. So a receiver may get a message more
than once, with the same id; messages of different senders have no order.

The replica that accepts a message delivers it at once. What it does not deliver, because it ended or its workers are
busy, any replica takes after the lease.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from lambdaagent.a2a import Json
from lambdaagent.backoff import Backoff, spread
from lambdaagent.cancellation import cancel
from lambdaagent.coordination.deliveries import Accepted, Addressed, Delivery, State
from lambdaagent.coordination.message import HOPS, Message, derived_id
from lambdaagent.coordination.refusals import LoopError, OtherMessageError, QueueFullError
from lambdaagent.errors import LambdaAgentError, PermanentError, TemporaryError
from lambdaagent.messaging.turns import Turns
from lambdaagent.store.coordination import messages as table
from lambdaagent.store.coordination.database import Database, Notice, Transaction
from lambdaagent.store.errors import UnfitError

log = structlog.get_logger(__name__)

_SWEEP = 2.0  # seconds between two looks for deliveries that nobody made, or that are too late
_AT_ONCE = 100
_PRUNED = 20  # times as many old messages are deleted in one sweep, at most
_RETENTION = 7 * 86_400.0
_WAIT = 60.0

Answered = Callable[[Message, str, Json], Awaitable[None]]
"""Is called with a message, its receiver and the receiver's answer."""


class Carrier(Protocol):
    """Sends one message to one receiver that has an address."""

    def via(self, agent_id: str) -> str:
        """Return how an agent, or a caller that is none, gets its messages."""
        ...

    def owner(self, agent_id: str) -> str:
        """Return whose agent it is: all agents of one owner share the workers that it may have."""
        ...

    async def carry(self, delivery: Delivery) -> Json | None:
        """Return the receiver's answer, if it gave one. Raises TemporaryError, PermanentError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLimits:
    queue: int = 1_000  # open deliveries of a receiver
    workers: int = 256  # deliveries of this replica at once
    of_receiver: int = 8  # of these: one that is slow keeps no worker from the others of its owner
    lease: float = 60.0  # seconds that a replica has for a delivery
    visibility: float = 30.0  # seconds until a message of a mailbox comes again, unless it was acknowledged
    subscriptions: int = 100  # of an agent
    of_topic: int = 500  # agents of one owner that subscribe to one topic; a message has 2,000 receivers at most


@dataclass(kw_only=True)
class Messages:
    database: Database
    carrier: Carrier
    told: Callable[[str, Message, str], None]  # of an event: its name, the message and a receiver
    limits: MessageLimits = field(default_factory=MessageLimits)
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=60.0))
    _answered: list[Answered] = field(default_factory=list, init=False)
    _turns: Turns = field(init=False)
    _waiting: dict[str, set[asyncio.Event]] = field(default_factory=lambda: defaultdict(set), init=False)

    def __post_init__(self) -> None:
        self._turns = Turns(workers=self.limits.workers, of_receiver=self.limits.of_receiver)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.database.on_notice(self._heard, missed=self._wake_all)
        tasks = [asyncio.create_task(self._work(), name="message-worker") for _ in range(self.limits.workers)]
        tasks.append(asyncio.create_task(self._sweep(), name="message-sweep"))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await cancel(*tasks)

    def on_answer(self, listener: Answered) -> None:
        """Call `listener` with each answer of a receiver, before the delivery is acknowledged."""
        self._answered.append(listener)

    async def send(self, message: Message, receivers: Sequence[Addressed], *, by: str) -> Accepted:
        """Return once the message is durable. `by` is the principal that sends it.

        Raises LoopError, OtherMessageError, QueueFullError, StoreError.
        """
        cause = message.causation or message.correlation
        hops = message.hops
        if cause:
            hops = max(hops, 1 + await self.database.read(lambda tx: table.hops(tx, cause)))
        if message.kind in ("response", "error") and message.correlation:
            await self._answer_of(message)
        if hops > HOPS:
            raise LoopError(f"the message follows from {hops} others in a row; the maximum is {HOPS}")
        known = replace(message, id=message.id or f"msg_{secrets.token_hex(16)}", hops=hops)
        return await self._accept(replace(known, session=known.session or known.id), receivers, by=by)

    async def _answer_of(self, message: Message) -> None:
        """Hand over what answers an earlier message, before it is accepted: a repetition hands it over again."""
        asked = await self.find(message.correlation)
        if asked is None or message.sender not in (receiver for receiver, _, _ in asked.deliveries):
            return
        data = message.content.get("data", message.content) if message.form == "003" else message.content
        answer = data if message.kind == "response" else {"error": data}
        for each in self._answered:
            await each(asked.message, message.sender, answer)

    def write(self, tx: Transaction, message: Message, receivers: Sequence[Addressed], *, by: str) -> Accepted:
        """Write a message in a transaction that writes what it is about; `written` must follow the commit.

        Raises OtherMessageError, QueueFullError, before anything is written.
        """
        return table.put(tx, message, receivers, by=by, most=self.limits.queue, lease=self.limits.lease)

    def written(self, accepted: Accepted, receivers: Sequence[Addressed], *, by: str) -> None:
        """Begin the deliveries of a message that was committed."""
        if accepted.again:
            return
        message, now = accepted.message, self.database.now()
        via = {each.agent_id: each.via for each in receivers}
        for receiver in accepted.receivers:
            self.told("message.sent", message, receiver)
            if via[receiver] != "mailbox":
                self._hand_over(Delivery(message, receiver, via[receiver], "queued", 1, now, now + message.ttl, by))

    async def _accept(self, known: Message, receivers: Sequence[Addressed], *, by: str) -> Accepted:
        accepted = await self.database.run(lambda tx: self.write(tx, known, receivers, by=by))
        self.written(accepted, receivers, by=by)
        return accepted

    async def fetch(self, receiver: str, *, limit: int, wait: float = 0.0) -> list[Delivery]:
        """Return what is in a mailbox; if it is empty, wait up to so many seconds for something."""
        until = asyncio.get_running_loop().time() + min(wait, _WAIT)
        some = asyncio.Event()
        self._waiting[receiver].add(some)
        try:
            while True:
                some.clear()
                found = await self.database.run(
                    lambda tx: table.fetch(tx, receiver, limit=limit, lease=self.limits.visibility)
                )
                left = until - asyncio.get_running_loop().time()
                if found or left <= 0:
                    break
                try:
                    async with asyncio.timeout(min(left, self.limits.visibility)):
                        await some.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting[receiver].discard(some)
            if not self._waiting[receiver]:
                del self._waiting[receiver]
        for each in found:
            if each.attempts == 1:
                self.told("message.received", each.message, receiver)
        return found

    async def acknowledge(self, message_id: str, receiver: str) -> bool:
        """Return False if there is no such open delivery."""
        return await self.database.run(lambda tx: table.settle(tx, message_id, receiver, "acknowledged"))

    async def find(self, message_id: str) -> State | None:
        return await self.database.read(lambda tx: table.find(tx, message_id))

    async def answers(self, correlation: str, *, sender: str, receiver: str) -> bool:
        return await self.database.read(lambda tx: table.answers(tx, correlation, sender=sender, receiver=receiver))

    async def depths(self) -> dict[str, int]:
        return await self.database.read(table.depths)

    async def subscribers(self, topic: str) -> list[str]:
        return await self.database.read(lambda tx: table.subscribers(tx, topic))

    async def subscribe(self, agent_id: str, topic: str, *, by: str) -> str | None:
        """Return the subscription's id; None if the agent, or its owner for this topic, has as many as it may have."""
        new, limits = f"sub_{secrets.token_hex(16)}", self.limits
        return await self.database.run(
            lambda tx: table.subscribe(
                tx, new, agent_id, topic, by=by, most=limits.subscriptions, of_owner=limits.of_topic
            )
        )

    async def subscribed(self, agent_ids: Sequence[str]) -> list[tuple[str, str, str, float]]:
        return await self.database.read(lambda tx: table.subscribed(tx, agent_ids=agent_ids))

    async def subscription(self, subscription_id: str) -> tuple[str, str] | None:
        return await self.database.read(lambda tx: table.subscription_of(tx, subscription_id))

    async def unsubscribe(self, subscription_id: str) -> bool:
        return await self.database.run(lambda tx: table.unsubscribe(tx, subscription_id))

    def _heard(self, notice: Notice) -> None:
        if notice.kind == table.MAIL:
            for some in self._waiting.get(notice.id, ()):
                some.set()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for some in waiting:
                some.set()

    def _hand_over(self, delivery: Delivery) -> None:
        """Queue a delivery. Without room for it, the sweep of some replica takes it after the lease."""
        self._turns.add(delivery, owner=self.carrier.owner(delivery.receiver))

    async def _work(self) -> None:
        while True:
            async with self._turns.turn() as delivery:
                try:
                    await self._deliver(delivery)
                except LambdaAgentError as error:  # of the database: the lease ends, and another attempt follows
                    log.warning("message.unsettled", message=delivery.message.id, error=str(error))
                except Exception:  # the root of this worker: one message must not end the delivery of others
                    log.exception("message.crashed", message=delivery.message.id)

    async def _deliver(self, delivery: Delivery) -> None:
        message, receiver = delivery.message, delivery.receiver
        try:
            async with asyncio.timeout(self.limits.lease):
                answer = await self.carrier.carry(delivery)
        except (TemporaryError, TimeoutError) as error:
            why = str(error) or f"it did not answer within {self.limits.lease:.0f} s"
            after = self.backoff.delay(min(delivery.attempts, 20))
            await self.database.run(lambda tx: table.retry(tx, message.id, receiver, after=after, error=why[:500]))
            log.info("message.retried", message=message.id, receiver=receiver, attempt=delivery.attempts, error=why)
            return
        except PermanentError as refusal:
            why = str(refusal)[:500]
            await self.database.run(lambda tx: table.settle(tx, message.id, receiver, "failed", error=why))
            log.warning("message.refused", message=message.id, receiver=receiver, error=why)
            return
        if answer is not None and (why := await self._answer(delivery, answer)):
            await self.database.run(lambda tx: table.settle(tx, message.id, receiver, "failed", error=why))
            log.warning("message.answer_unfit", message=message.id, receiver=receiver, error=why)
            return
        await self.database.run(lambda tx: table.settle(tx, message.id, receiver, "acknowledged"))
        self.told("message.received", message, receiver)

    async def _answer(self, delivery: Delivery, answer: Json) -> str:
        """Hand over and keep the answer. Return why it cannot be kept, which a repetition would not change."""
        try:
            for each in self._answered:
                await each(delivery.message, delivery.receiver, answer)
            await self._reply(delivery, answer)
        except UnfitError as error:
            return f"its answer cannot be kept: {error}"[:500]
        return ""

    async def _reply(self, delivery: Delivery, answer: Json) -> None:
        """Send the receiver's answer to the sender. Its id follows from the message's: a second delivery of
        the message gives no second answer.
        """
        message = delivery.message
        reply = Message(
            id=derived_id("reply", message.id, delivery.receiver),
            sender=delivery.receiver,
            to=(message.sender,),
            kind="response",
            content={"type": "response", "data": answer} if message.form == "003" else answer,
            session=message.session,
            form=message.form,
            priority=message.priority,
            ttl=message.ttl,
            correlation=message.id,
            hops=message.hops + 1,
            sequence=message.sequence + 1,
        )
        if reply.hops > HOPS:
            log.warning("message.loop_ended", message=message.id, receiver=delivery.receiver, hops=reply.hops)
            return
        to = Addressed(message.sender, self.carrier.via(message.sender))
        try:
            await self._accept(reply, [to], by=delivery.receiver)
        except OtherMessageError:
            return  # an earlier delivery was answered in other words; the first answer stands
        except QueueFullError:
            raise TemporaryError(f"the queue of {message.sender} is full, so its answer cannot be stored") from None

    async def _due(self) -> list[Delivery]:
        full, room = self._turns.full(), min(self._turns.room, _AT_ONCE)
        if room <= 0:
            return []
        return await self.database.run(lambda tx: table.claim(tx, limit=room, lease=self.limits.lease, without=full))

    async def _prune(self) -> None:
        for _ in range(_PRUNED):
            gone = await self.database.run(lambda tx: table.prune(tx, before=tx.now - _RETENTION, limit=_AT_ONCE))
            if gone < _AT_ONCE:
                return

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(spread(_SWEEP))
            try:
                for delivery in await self._due():
                    self._hand_over(delivery)
                await self.database.run(lambda tx: table.expire(tx, limit=_AT_ONCE))
                await self._prune()
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("message.sweep_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
