"""Follows the LambdaAgents with kopf and passes each change to the reconciler.

kopf runs in a thread and event loop of its own: when it ends, it cancels every task of its loop that did not exist when
it started. Its own state keeping (annotations, finalizer, Events for log lines) is off, so nothing is written here.

With a list of namespaces, kopf requests nothing outside of them. Requests for a namespace that does not exist are
refused, and kopf ends as a whole when its retries are used up. Retries are therefore unlimited, so that the other
namespaces are still followed.
"""

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import kopf

from lambdaagent.api import naming
from lambdaagent.api.base import GROUP, PLURAL, VERSION
from lambdaagent.cancellation import cancel
from lambdaagent.children.base import Object
from lambdaagent.controller import kopf_private
from lambdaagent.errors import TemporaryError, words

# Receives the event's type (None for an object that existed at the start) and the object.
Changed = Callable[[str | None, Object], None]
# kopf writes nothing, so a process that lost the Lease need not wait for it, and kopf can take too long for that.
_STOP_SECONDS = 2.0
_CLOSE_SECONDS = 0.25


class EndedError(TemporaryError):
    """kopf stopped following LambdaAgents, or has missed changes. The leader starts again."""


async def follow(changed: Changed, *, namespaces: Sequence[str] = (), ready: asyncio.Event | None = None) -> None:
    """Call `changed` in the caller's loop, in order, until cancelled. Raises EndedError if kopf ends on its own.

    Without namespaces, agents of all namespaces are followed.
    """
    loop = asyncio.get_running_loop()
    stop = threading.Event()
    ended: asyncio.Future[None] = loop.create_future()
    news: asyncio.Queue[tuple[str | None, Object]] = asyncio.Queue()
    registry = _registry(
        lambda kind, obj: _soon(loop, news.put_nowait, (kind, obj)), lambda: _soon(loop, ready.set) if ready else None
    )

    def work() -> None:
        problem: BaseException | None = None
        try:
            asyncio.run(_operate(registry, namespaces, stop))
        except BaseException as caught:  # handed over to the caller's loop
            problem = caught
        _soon(loop, _end, ended, problem)

    thread = threading.Thread(target=work, name="kopf", daemon=True)
    thread.start()
    telling = asyncio.create_task(_tell(news, changed), name="news of agents")
    try:
        await asyncio.wait([ended, telling], return_when=asyncio.FIRST_COMPLETED)
        await (telling if telling.done() else ended)
    finally:
        stop.set()
        ended.cancel()  # its result is no longer needed
        await cancel(telling)
        await asyncio.to_thread(thread.join, _STOP_SECONDS)


async def _tell(news: asyncio.Queue[tuple[str | None, Object]], changed: Changed) -> None:
    """Pass on one change at a time: 5,000 agents arrive at once, and the Lease must be renewed in between."""
    while True:
        changed(*await news.get())
        await asyncio.sleep(0)


async def _operate(registry: kopf.OperatorRegistry, namespaces: Sequence[str], stop: threading.Event) -> None:
    try:
        await kopf.operator(
            registry=registry,
            settings=_settings(namespaces),
            identity=kopf_private.identity(naming.MANAGER),
            clusterwide=not namespaces,
            namespaces=namespaces,
            standalone=True,
            stop_flag=stop,
        )
    finally:
        # A thread of kopf waits for the flag. Without this the loop could not end and the failure would go unnoticed.
        stop.set()
    # aiohttp closes TLS connections in later turns of the loop after its session was closed, and this loop ends now.
    await asyncio.sleep(_CLOSE_SECONDS)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, *arguments)


def _end(ended: asyncio.Future[None], problem: BaseException | None) -> None:
    if ended.done():
        return
    if problem is None:
        ended.set_exception(EndedError("kopf stopped following LambdaAgents"))
    else:
        ended.set_exception(EndedError(f"kopf stopped following LambdaAgents: {words(problem)}"))


def _registry(changed: Changed, ready: Callable[[], None]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        # kopf's piggybacking is not used: it depends on other client libraries and reads the same two places.
        if "KUBECONFIG" in os.environ:
            return kopf.login_with_kubeconfig(**kwargs)
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.startup(registry=registry)
    async def started(**_: Any) -> None:
        ready()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def event(event: Any, **_: Any) -> None:
        changed(event["type"], dict(event["object"]))

    return registry


class _ForEver:
    """Yield seconds between attempts without end. kopf accepts any iterable, and ends when the iterable ends."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 1, 2, 3, 5, 8, 13), itertools.repeat(30.0))


def _settings(namespaces: Sequence[str]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # A watch that ends silently receives no more changes (kopf #1276), so the duration of each is limited.
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 300
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    if namespaces:
        # Otherwise kopf lists namespaces and CRDs, which requires rights over the whole cluster.
        settings.scanning.disabled = True
        settings.networking.error_backoffs = _ForEver()
    return settings
