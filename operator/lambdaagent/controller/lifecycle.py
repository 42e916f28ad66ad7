"""Publishes CloudEvents about the lifecycle of agents to the gateway's ingress, for agents that subscribe to them.

Reconciles do not wait for publishing. Events go into a bounded queue and are sent one at a time, in order, with a few
attempts each; an event that cannot be sent is logged and counted. An event's id is derived from what happened to which
agent, so an event that is sent twice (by another replica, or after a lost response) has the same id. At shutdown,
waiting events are still sent for up to `outbox.LAST_SECONDS`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import aiohttp
import orjson
import structlog

from lambdaagent import media_types
from lambdaagent.backoff import Backoff
from lambdaagent.children.base import Object
from lambdaagent.clock import rfc3339
from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event
from lambdaagent.kube.events import utc_now
from lambdaagent.outbox import SIZE, Outbox
from lambdaagent.status.lifecycle import Happening
from lambdaagent.status.readiness import condition
from lambdaagent.trust import SYSTEM, Trust, unreachable

log = structlog.get_logger(__name__)

TYPE = "io.knative.lambda.lifecycle.agent"
_ATTEMPTS = 5
_AGAIN = frozenset((408, 425, 429))
Told = Callable[[str], None]
"""Receives the outcome of one event: published, unheard, refused or lost."""


def event_of(obj: Object, happening: Happening, status: Object, *, now: datetime) -> Event:
    """Return the event. `status` is the status that was written; for a deleted agent, the last one."""
    metadata, ready = obj["metadata"], condition(status, "Ready") or {}
    key = f"{metadata['namespace']}/{metadata['name']}"
    since = str(ready.get("lastTransitionTime") or "")
    parts = [metadata["uid"], str(metadata.get("generation", 0)), str(happening)]
    if happening in (Happening.READY, Happening.DEGRADED):
        parts.append(since)  # an agent may become ready or degraded several times in one generation
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
        time=rfc3339(now),
        datacontenttype=media_types.JSON,
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
    token_file: str = ""
    _outbox: Outbox[tuple[str, Event]] = field(default_factory=lambda: Outbox("lifecycle events"), init=False)

    def tell(self, obj: Object, happening: Happening, status: Object) -> None:
        event = event_of(obj, happening, status, now=self.now())
        if not self._outbox.put((obj["metadata"]["namespace"], event)):
            self._lost(event, f"the queue of {SIZE} events is full")

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        connector = aiohttp.TCPConnector(ssl=self.trust.context())
        async with aiohttp.ClientSession(
            timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), connector=connector
        ) as session:

            async def send(item: tuple[str, Event]) -> None:
                namespace, event = item
                await self._publish(session, f"{self.events_url}/events/{namespace}", event)

            async with self._outbox.run(send, failed=lambda _item: self.count("lost")):
                yield

    async def _publish(self, session: aiohttp.ClientSession, url: str, event: Event) -> None:
        headers, body = http.binary(event)
        if self.token_file:
            headers.append(("Authorization", f"Bearer {await asyncio.to_thread(_token, self.token_file)}"))
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with session.post(url, headers=headers, data=body, allow_redirects=False) as answer:
                    status, problem = answer.status, f"the gateway answered {answer.status}"
            except (aiohttp.ClientError, TimeoutError) as error:
                status, problem = 0, f"the gateway did not answer: {unreachable(error)}"
            if 200 <= status < 300:
                self.count("published")
                return
            if status == 404:  # no agent subscribes, and the gateway is configured to report that
                self.count("unheard")
                return
            if 0 < status < 500 and status not in _AGAIN:
                log.error("lifecycle_event.refused", event_id=event.id, type=event.type, error=problem)
                self.count("refused")
                return
            if attempt < _ATTEMPTS:
                await asyncio.sleep(self.backoff.delay(attempt))
        self._lost(event, problem)

    def _lost(self, event: Event, problem: str) -> None:
        log.warning("lifecycle_event.lost", event_id=event.id, type=event.type, error=problem)
        self.count("lost")


def _token(path: str) -> str:
    """Return the token, or nothing if it cannot be read: the gateway's refusal is then logged."""
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
