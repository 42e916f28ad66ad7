"""Follows all objects of a kind: a list, then a watch from its version, without end.

A watch can fail silently: the connection stays open and nothing arrives, or the server forgets the version. Therefore
the server ends each watch after a while (and it is continued), a silence that is longer than the interval of bookmarks
is a failure, and after any failure all objects are listed again and compared with the known ones. An object that
disappeared in the gap is reported as DELETED. `fresh_at` is the time of the server's last sign of life, and a liveness
probe should check its age. A refusal (403) is a sign of life: it is the response for a namespace that does not exist
(yet), and a restart would not help.

The cache (`objects`) changes before the change is yielded, so a handler that reads the cache sees at least that change.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import orjson
import structlog

from lambdaagent.backoff import Backoff, spread
from lambdaagent.cancellation import cancel
from lambdaagent.children.base import Object
from lambdaagent.errors import LambdaAgentError
from lambdaagent.kube import errors
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.objects import list_objects
from lambdaagent.kube.resources import Resource

log = structlog.get_logger(__name__)

Key = tuple[str, str]
"""Namespace (empty for cluster-wide kinds) and name."""


class ChangeType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: ChangeType
    object: Object
    """The present object; for DELETED, its last known state."""
    old: Object | None = None

    @property
    def key(self) -> Key:
        return key_of(self.object)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    server_timeout: float = 240.0
    """After about this many seconds the server ends a watch, and it is continued."""
    silence: float = 100.0
    """Seconds without a byte after which a watch counts as broken; the API server sends a bookmark every minute."""
    steady: float = 10.0
    """A connection that breaks after this many seconds is no failure: proxies end quiet connections."""
    backoff_first: float = 0.5
    backoff_cap: float = 30.0


def key_of(document: Mapping[str, Any]) -> Key:
    metadata = document["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


@dataclass(eq=False)
class Watcher:
    """One consumer iterates `changes()`; any number of readers may use `objects`, `synced` and `fresh_at`."""

    client: KubeClient
    resource: Resource
    namespace: str | None = None
    labels: str = ""
    fields: str = ""
    settings: WatchSettings = field(default_factory=WatchSettings)
    keep: Callable[[Object], Object] = lambda document: document
    """Reduces an object for the cache and for changes; apiVersion, kind and the identity in metadata must stay."""
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    synced: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    settled: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set after the response to the first list, even if it was a refusal."""
    fresh_at: float = field(default=float("-inf"), init=False)
    error: LambdaAgentError | None = field(default=None, init=False)
    """Why the watch fails at present; None while it works."""
    _objects: dict[Key, Object] = field(default_factory=dict, init=False)
    _version: str = field(default="", init=False)
    _working_since: float | None = field(default=None, init=False)

    @property
    def objects(self) -> Mapping[Key, Object]:
        return MappingProxyType(self._objects)

    @property
    def target(self) -> str:
        """The watched collection's name in messages."""
        return self.resource.named(namespace=self.namespace)

    @property
    def age(self) -> float:
        """Seconds since the server's last sign of life; infinite before the first."""
        return self.monotonic() - self.fresh_at

    async def changes(self) -> AsyncGenerator[WatchEvent, None]:
        """Yield changes without end. API errors are not raised: they are logged, kept in `error`, and retried."""
        backoff = Backoff(first=self.settings.backoff_first, cap=self.settings.backoff_cap)
        while True:
            try:
                async with aclosing(self._list_and_watch(backoff)) as found:
                    async for change in found:
                        yield change
            except LambdaAgentError as problem:
                self._version = ""
                if isinstance(problem, errors.ForbiddenError):
                    self._is_fresh()
                    self.settled.set()
                if self._broke_quietly(problem):
                    log.debug("watch.interrupted", kind=self.target, error=str(problem))
                else:
                    if self.error is None or str(self.error) != str(problem):
                        log.warning("watch.failed", kind=self.target, error=str(problem))
                    self.error = problem
                self._working_since = None
                await self.sleep(backoff.next())

    def _broke_quietly(self, problem: LambdaAgentError) -> bool:
        since = self._working_since
        worked = since is not None and self.monotonic() - since >= self.settings.steady
        return worked and isinstance(problem, errors.UnavailableError)

    async def _list_and_watch(self, backoff: Backoff) -> AsyncGenerator[WatchEvent, None]:
        if not self._version:
            listing = await list_objects(
                self.client,
                self.resource,
                namespace=self.namespace,
                labels=self.labels,
                fields=self.fields,
                keep=self.keep,
            )
            self._is_fresh()
            self._version = listing.resource_version
            for change in self._differences(listing.items):
                yield change
            self.synced.set()
            self.settled.set()
        begun = self.monotonic()
        async with aclosing(self._watch()) as events:
            async for event in events:
                self._is_fresh()
                backoff.reset()
                if (taken := self._take(event)) is not None:
                    yield taken
        # The server ended the watch in time, which counts as a bookmark. A proxy that ends every watch at once must
        # not cause a tight loop of requests.
        self._is_fresh()
        if self.monotonic() - begun < min(1.0, self.settings.server_timeout / 2):
            await self.sleep(backoff.next())

    async def _watch(self) -> AsyncGenerator[Mapping[str, Any], None]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            # Jittered, so that replicas that started together do not reconnect together.
            "timeoutSeconds": str(max(1, round(spread(self.settings.server_timeout)))),
        }
        query |= {k: v for k, v in {"labelSelector": self.labels, "fieldSelector": self.fields}.items() if v}
        path = self.resource.path(namespace=self.namespace)
        async with self.client.lines(path, target=self.target, query=query, silence=self.settings.silence) as lines:
            if self.error is not None:
                log.info("watch.recovered", kind=self.target)
                self.error = None
            self._working_since = self.monotonic()
            async for line in lines:
                event = _parse(line, target=self.target)
                if event["type"] == "ERROR":
                    status = event["object"]
                    code = int(status.get("code") or 500)
                    refusal = errors.Refusal(code, str(status.get("reason", "")), str(status.get("message", "")))
                    raise errors.error(refusal, action="watch", target=self.target)
                yield event

    def _take(self, event: Mapping[str, Any]) -> WatchEvent | None:
        found: Object = event["object"]
        self._version = found["metadata"]["resourceVersion"]
        match event["type"]:
            case "BOOKMARK":
                return None
            case "DELETED":
                old = self._objects.pop(key_of(found), None)
                return None if old is None else WatchEvent(ChangeType.DELETED, self.keep(found), old)
            case _:
                return self._store(self.keep(found))

    def _store(self, found: Object) -> WatchEvent | None:
        old = self._objects.get(key_of(found))
        if old is not None and old["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]:
            return None
        self._objects[key_of(found)] = found
        return WatchEvent(ChangeType.ADDED if old is None else ChangeType.MODIFIED, found, old)

    def _differences(self, items: tuple[Object, ...]) -> Iterator[WatchEvent]:
        uids = {key_of(item): item["metadata"]["uid"] for item in items}
        for key, old in list(self._objects.items()):
            # Another object under a known name is two changes: a consumer that keeps state by UID needs both.
            if uids.get(key) != old["metadata"]["uid"]:
                del self._objects[key]
                yield WatchEvent(ChangeType.DELETED, old, old)
        for item in items:
            if (change := self._store(item)) is not None:
                yield change

    def _is_fresh(self) -> None:
        self.fresh_at = self.monotonic()


@asynccontextmanager
async def followed(watchers: Mapping[Watcher, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run each watcher's coroutine while the context is open. On entry each watcher has listed or was refused."""
    tasks = [asyncio.create_task(work, name=f"watch {watcher.target}") for watcher, work in watchers.items()]
    try:
        await asyncio.gather(*(watcher.settled.wait() for watcher in watchers))
        yield
    finally:
        await cancel(*tasks)


def most_silent(watchers: Iterable[Watcher]) -> float:
    """Return the seconds since the server's last sign of life on the watch that has been silent longest."""
    return max((watcher.age for watcher in watchers), default=0.0)


def _parse(line: bytes, *, target: str) -> Mapping[str, Any]:
    try:
        event: Mapping[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError as problem:
        # The line was cut off in the middle, by a proxy for example: treated as a lost connection.
        raise errors.unreachable(problem, action="watch", target=target) from problem
    return event
