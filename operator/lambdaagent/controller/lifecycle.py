"""CloudEvents about agents' lives, told to the gateway's ingress, for whoever subscribed to them.

Telling is never waited for: a bounded queue, one at a time and so in order, a few attempts each, then it is logged and
counted. Ids follow from what happened, so that an event which is told twice (by another replica, after a lost answer)
is the same one. What is still waiting when the process ends gets a moment.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp
import orjson
import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.children.base import Object
from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event
from lambdaagent.kube.events import utc_now
from lambdaagent.status.lifecycle import Happening, Status, ready_condition
from lambdaagent.trust import SYSTEM, Trust

log = structlog.get_logger(__name__)

TYPE = "io.knative.lambda.lifecycle.agent"
_WAITING, _ATTEMPTS = 1000, 5
_LAST_SECONDS = 3.0
_AGAIN = frozenset((408, 425, 429))
Told = Callable[[str], None]
"""With what came of one event: published, unheard, refused, lost."""


def event_of(obj: Object, happening: Happening, status: Status, *, now: datetime) -> Event:
    """`status` is what was written; of a deleted agent the last one."""
    metadata, ready = obj["metadata"], ready_condition(status)
    key = f"{metadata['namespace']}/{metadata['name']}"
    since = str(ready.get("lastTransitionTime") or "")
    parts = [metadata["uid"], str(metadata.get("generation", 0)), str(happening)]
    if happening in (Happening.READY, Happening.DEGRADED):
        parts.append(since)  # one generation may come and go several times
    data = {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "generation": metadata.get("generation", 0),
        "phase": status.get("phase", ""),
        "reason": ready.get("reason", ""),
        "message": ready.get("message", ""),
    }
    return Event(
        id=".".join(parts),
        source=f"io.knative.lambda/operator/{key}",
        type=f"{TYPE}.{happening}",
        subject=key,
        time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        datacontenttype="application/json",
        data=orjson.dumps(data),
    )


@dataclass
class AgentLifecyclePublisher:
    events_url: str
    count: Told
    timeout: float = 10.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=8.0))
    now: Callable[[], datetime] = utc_now
    trust: Trust = SYSTEM
    _waiting: asyncio.Queue[tuple[str, Event]] = field(default_factory=lambda: asyncio.Queue(_WAITING), init=False)

    def tell(self, obj: Object, happening: Happening, status: Status) -> None:
        event = event_of(obj, happening, status, now=self.now())
        try:
            self._waiting.put_nowait((obj["metadata"]["namespace"], event))
        except asyncio.QueueFull:
            self._lost(event, f"{_WAITING} events wait already")

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._work(), name="lifecycle events")
        try:
            yield
        finally:
            rest = asyncio.create_task(self._waiting.join(), name="last lifecycle events")
            await asyncio.wait([rest, task], timeout=_LAST_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            rest.cancel()
            task.cancel()
            await asyncio.wait([rest, task])

    async def _work(self) -> None:
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        connector = aiohttp.TCPConnector(ssl=self.trust.context())
        async with aiohttp.ClientSession(
            timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), connector=connector
        ) as session:
            while True:
                namespace, event = await self._waiting.get()
                try:
                    await self._publish(session, f"{self.events_url}/events/{namespace}", event)
                except Exception:  # the root of this work: one event must not end the telling
                    log.exception("lifecycle event broke", event_id=event.id)
                    self.count("lost")
                finally:
                    self._waiting.task_done()

    async def _publish(self, session: aiohttp.ClientSession, url: str, event: Event) -> None:
        headers, body = http.binary(event)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with session.post(url, headers=headers, data=body, allow_redirects=False) as answer:
                    status, problem = answer.status, f"the gateway answered {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                status, problem = 0, f"the gateway did not answer: {type(error).__name__}"
            if 200 <= status < 300:
                self.count("published")
                return
            if status == 404:  # nobody subscribed, and the gateway is set to say so
                self.count("unheard")
                return
            if 0 < status < 500 and status not in _AGAIN:
                log.error("lifecycle event refused", event_id=event.id, type=event.type, problem=problem)
                self.count("refused")
                return
            if attempt < _ATTEMPTS:
                await asyncio.sleep(self.backoff.delay(attempt))
        self._lost(event, problem)

    def _lost(self, event: Event, problem: str) -> None:
        log.warning("lifecycle event lost", event_id=event.id, type=event.type, problem=problem)
        self.count("lost")
