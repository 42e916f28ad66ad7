"""kopf's part: it follows the LambdaAgents and hands each change to the reconciler.

kopf runs in a thread and loop of its own, because an ending kopf cancels every task of its loop that it did not see at
its start. Its state keeping (annotations, its finalizer, Events for log lines) is off: nothing is written from here.

Where it follows a list of namespaces, it asks for nothing outside of them. One of them that is not there is refused to
it, and a refusal that lasts ends kopf as a whole: so it asks again for ever, and the other namespaces go on.
"""

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import kopf
from kopf._core.engines.peering import Identity

from lambdaagent.api import naming
from lambdaagent.api.base import GROUP, PLURAL, VERSION
from lambdaagent.cancellation import cancel
from lambdaagent.children.base import Object
from lambdaagent.errors import TemporaryError, words

# The event's type (None for what was there at the start) and the object.
Changed = Callable[[str | None, Object], None]
# It writes nothing, so whoever lost the Lease need not wait for it; and may not, for as long as kopf can take.
_STOP_SECONDS = 2.0
_CLOSE_SECONDS = 0.25


class EndedError(TemporaryError):
    """It gives up after some refusals in a row; whoever leads begins anew."""


async def follow(changed: Changed, *, namespaces: Sequence[str] = (), ready: asyncio.Event | None = None) -> None:
    """Calls `changed` in the caller's loop, in order, until cancelled. Raises EndedError if kopf ended by itself.

    Without namespaces: for the agents of all of them.
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
        ended.cancel()  # nobody asks any more how it ended
        await cancel(telling)
        await asyncio.to_thread(thread.join, _STOP_SECONDS)


async def _tell(news: asyncio.Queue[tuple[str | None, Object]], changed: Changed) -> None:
    """One at a time: five thousand agents come at once, and the renewal of the Lease must come in between."""
    while True:
        changed(*await news.get())
        await asyncio.sleep(0)


async def _operate(registry: kopf.OperatorRegistry, namespaces: Sequence[str], stop: threading.Event) -> None:
    try:
        await kopf.operator(
            registry=registry,
            settings=_settings(namespaces),
            # Or kopf asks for the name of the user, and a container's need not have one.
            identity=Identity(naming.MANAGER),
            clusterwide=not namespaces,
            namespaces=namespaces,
            standalone=True,
            stop_flag=stop,
        )
    finally:
        # A thread of kopf's waits for it, and this loop could not end before that does: deaf, and nobody told.
        stop.set()
    # aiohttp ends TLS connections in the turns after its session was closed, and this loop ends with us.
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
        # Not kopf's piggybacking: it knows other client libraries, and reads the same two places.
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
    """Seconds between attempts. kopf takes any iterable, and one that ends is the end of kopf."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 1, 2, 3, 5, 8, 13), itertools.repeat(30.0))


def _settings(namespaces: Sequence[str]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # A watch that ends silently leaves an operator deaf (kopf #1276), so none lasts long.
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 300
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    if namespaces:
        # Else it lists namespaces and CRDs, which takes a right over the whole cluster.
        settings.scanning.disabled = True
        settings.networking.error_backoffs = _ForEver()
    return settings
