"""Push notifications: the task's log is the outbox, and each receiver has a position in it.

Delivery is at least once and in order per task and receiver: the position advances after the receiver has acknowledged.
A receiver that fails is retried with growing pauses, also by another replica, and given up after some attempts; the
reason is then stored with it and in the dead letters. So is one whose owner may not get them any more: the right is
checked at each delivery. A slow receiver occupies one slot. Chunks of a streamed artifact
are not pushed; the end of the task is.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

import orjson
import structlog

from lambdaagent import log_context, media_types
from lambdaagent.a2a import Json, v03
from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.versions import Version
from lambdaagent.backoff import Backoff
from lambdaagent.cancellation import cancel
from lambdaagent.clock import Clock
from lambdaagent.errors import LambdaAgentError
from lambdaagent.store.errors import SealedValueError
from lambdaagent.store.records import DeadLetter, DeadLetterStore, DeliveryStore, Push, PushStore, TaskRecord, TaskStore
from lambdaagent.tasks import subscription
from lambdaagent.tasks.requests import StreamEvent
from lambdaagent.webhooks.push_request import PushNotifier, PushRefusedError

log = structlog.get_logger(__name__)
_RECEIVERS = 100  # of one task: one response lists them all


class EngineStore(TaskStore, PushStore, DeadLetterStore, DeliveryStore, Protocol):
    """The interfaces that every store implements together."""


class PushObserver(Protocol):
    def pushed(self, outcome: str) -> None: ...


@dataclass(frozen=True, slots=True)
class PushLimits:
    at_once: int = 32
    per_host: int = 8  # of these, to receivers on one host
    busy_pause: float = 1.0  # seconds after which a receiver on a busy host is tried again
    attempts: int = 12  # in a row; about an hour with the pauses below
    first_pause: float = 1.0
    longest_pause: float = 600.0
    claim: float = 60.0  # seconds for which this replica alone serves a claimed receiver
    look_every: float = 2.0  # seconds between looks for receivers that another replica left or that became due


Denied = Callable[[TaskRecord, str], Awaitable[str]]
"""Returns why the registrant of a receiver may not get the task's changes; empty: it may."""


class PushDelivery:
    def __init__(
        self,
        *,
        store: EngineStore,
        notifier: PushNotifier,
        clock: Clock,
        observer: PushObserver,
        limits: PushLimits | None = None,
        denied: Denied | None = None,
    ) -> None:
        """Without `denied`, every receiver gets what it was registered for."""
        self._store = store
        self._notifier = notifier
        self._clock = clock
        self._observer = observer
        self._denied = denied
        self._limits = limits or PushLimits()
        self._backoff = Backoff(first=self._limits.first_pause, cap=self._limits.longest_pause)
        self._news = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()
        self._hosts: Counter[str] = Counter()  # number of receivers being served, by host

    def require(self, config: PushConfig) -> None:
        """Check the receiver's URL. Raises A2AError if it is certain that it may not be called."""
        try:
            self._notifier.require(config.url)
        except PushRefusedError as error:
            raise invalid(Violation("url", f"cannot be posted to: {error}")) from None

    async def put(
        self, record: TaskRecord, config: PushConfig, *, wire: str, sent: int, registrant: str = ""
    ) -> PushConfig:
        """Store a configuration, with a new id if it has none; changes up to version `sent` are not pushed."""
        push = self.made(record, config, wire=wire, sent=sent, registrant=registrant)
        await self.keep(push)
        return config_of(push)

    def made(self, record: TaskRecord, config: PushConfig, *, wire: str, sent: int, registrant: str) -> Push:
        """Return the configuration as stored. Raises A2AError if it is certain that the receiver may not be called."""
        self.require(config)
        return Push(
            task_id=record.id,
            id=config.id or self._clock.new_id(),
            url=config.url,
            wire=wire,
            token=config.token,
            scheme=config.scheme,
            credentials=config.credentials,
            sent=sent,
            registrant=registrant,
        )

    async def keep(self, push: Push) -> None:
        """Store the receiver. Raises StoreError, or A2AError if the task has the maximum number of receivers."""
        known = await self._store.pushes(push.task_id)
        if len(known) >= _RECEIVERS and all(each.id != push.id for each in known):
            raise invalid(Violation("id", f"the task has {_RECEIVERS} push notification configurations; delete one"))
        await self._store.put_push(push)

    async def of(self, task_id: str) -> list[PushConfig]:
        """Raises SealedValueError if one of them cannot be decrypted: a list without it would be wrong."""
        return [_readable(push) for push in await self._store.pushes(task_id)]

    async def get(self, task_id: str, push_id: str) -> PushConfig | None:
        """Raises SealedValueError."""
        return next((_readable(push) for push in await self._store.pushes(task_id) if push.id == push_id), None)

    async def drop(self, task_id: str, push_id: str) -> None:
        """Delete a configuration; deleting an absent one is no error."""
        await self._store.drop_push(task_id, push_id)

    def wake(self) -> None:
        """Look at once for changes to push."""
        self._news.set()

    async def run(self) -> None:
        """Send notifications until cancelled."""
        try:
            while True:
                self._news.clear()
                free = self._limits.at_once - len(self._serving)
                for push in await self._claim(free) if free else []:
                    await self._begin(push)
                try:
                    async with asyncio.timeout(self._limits.look_every):
                        await self._news.wait()
                except TimeoutError:
                    pass
        finally:
            await cancel(*self._serving)

    async def _claim(self, limit: int) -> list[Push]:
        now = self._clock.now()
        try:
            return await self._store.claim_pushes(now=now, until=now + self._limits.claim, limit=limit)
        except LambdaAgentError as error:
            log.warning("push.store_failed", error=str(error))
            return []

    async def _begin(self, push: Push) -> None:
        """Serve the receiver in an asyncio task, or postpone it: one hanging host must not use all slots.

        A receiver that cannot be decrypted is postponed too, and not given up: its key may be configured again.
        """
        if push.unreadable:
            self._observer.pushed("unreadable")
            log.warning("push.unreadable", push=push.id, task=push.task_id, error=push.unreadable)
            await self._postpone(push, self._limits.longest_pause)
            return
        host = urlsplit(push.url).hostname or ""
        if self._hosts[host] >= self._limits.per_host:
            await self._postpone(push, self._limits.busy_pause)
            return
        self._hosts[host] += 1
        serving = asyncio.create_task(self._served(push), name="tasks-push-one")
        self._serving.add(serving)
        serving.add_done_callback(partial(self._done, host))

    async def _postpone(self, push: Push, seconds: float) -> None:
        try:
            await self._store.settle_push(replace(push, due=self._clock.now() + seconds))
        except LambdaAgentError as error:
            log.warning("push.store_failed", push=push.id, error=str(error))  # retried when its claim expires

    def _done(self, host: str, serving: "asyncio.Task[None]") -> None:
        self._serving.discard(serving)
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
        self.wake()  # Other receivers may be due for which no slot was free.

    async def _served(self, push: Push) -> None:
        """Serve one receiver as far as possible now. An error of it or its task does not affect other receivers."""
        log_context.task(push.task_id)
        try:
            try:
                await self._serve(push)
            except LambdaAgentError:
                raise
            except Exception as error:  # the outermost handler of this asyncio task
                log.exception("push.crashed", push=push.id)
                await self._failed(push, f"the gateway failed: {type(error).__name__}", final=False)
        except LambdaAgentError as error:
            log.warning("push.store_failed", push=push.id, error=str(error))  # retried when its claim expires

    async def _serve(self, push: Push) -> None:
        """Post the changes that are due. A failure of the receiver is stored and not raised."""
        sent = push.sent
        try:
            async with asyncio.timeout(self._limits.claim * 0.8):
                record = await self._store.get(push.task_id)
                if record is not None and self._denied is not None:
                    why = await self._denied(record, push.registrant)
                    if why:
                        # Not for good: the right may be given again, or could not be asked for.
                        raise PushRefusedError(f"its owner may not get them now: {why}", final=False)
                for change in await self._store.changes(push.task_id, after=push.sent) if record else []:
                    for event in subscription.events(record, change) if record else []:
                        if _worth(event):
                            await self._post(push, event)
                    sent = change.version
        except PushRefusedError as error:
            await self._failed(replace(push, sent=sent), str(error), final=error.final)
            return
        except TimeoutError:
            pass  # the position covers the delivered changes; the rest follows from there
        await self._store.settle_push(replace(push, sent=sent, attempts=0, due=0.0))

    async def _post(self, push: Push, event: StreamEvent) -> None:
        content_type, body = encode(event.event, wire=push.wire)
        await self._notifier.post(config_of(push), content_type=content_type, body=body)
        self._observer.pushed("delivered")

    async def _failed(self, push: Push, reason: str, *, final: bool) -> None:
        attempts = push.attempts + 1
        if not final and attempts < self._limits.attempts:
            self._observer.pushed("failed")
            due = self._clock.now() + self._backoff.delay(attempts)
            log.info("push.failed", push=push.id, attempts=attempts, error=reason)
            await self._store.settle_push(replace(push, attempts=attempts, due=due))
            return
        self._observer.pushed("given-up")
        log.warning("push.given_up", push=push.id, attempts=attempts, error=reason)
        record = await self._store.get(push.task_id)
        if record is not None:
            attributes: dict[str, str | int | bool] = {
                "source": f"/a2a/{record.namespace}/{record.agent}",
                "id": f"push {push.task_id} {push.id}",
                "type": "push-notification",
                "a2ataskid": push.task_id,
                "attempts": attempts,
            }
            letter = DeadLetter(
                record.namespace, record.agent, f"push receiver: {reason}", self._clock.now(), attributes
            )
            await self._store.add_dead_letter(letter)
        await self._store.settle_push(replace(push, attempts=attempts, dead=reason))


def _readable(push: Push) -> PushConfig:
    if push.unreadable:
        raise SealedValueError(push.unreadable)
    return config_of(push)


def config_of(push: Push) -> PushConfig:
    return PushConfig(
        url=push.url,
        id=push.id,
        task_id=push.task_id,
        token=push.token,
        scheme=push.scheme,
        credentials=push.credentials,
    )


def encode(event: Json, *, wire: str) -> tuple[str, bytes]:
    """Return content type and body in the receiver's version."""
    if wire == Version.V03:
        return media_types.JSON, orjson.dumps(v03.downgrade_event(event))
    return media_types.A2A_JSON, orjson.dumps(event)


def _worth(event: StreamEvent) -> bool:
    update = event.event.get("artifactUpdate")
    return update is None or (update.get("lastChunk") is not False and not update.get("append"))
