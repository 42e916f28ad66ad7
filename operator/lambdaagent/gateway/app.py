"""The gateway as one aiohttp application; a process gives it its parts and a socket.

The application starts and stops the task engine and closes the client. Store, publisher and the directory's feed
belong to the process: they begin before and end after it.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from aiohttp import web

from lambdaagent.a2a.errors import Edition
from lambdaagent.a2a.params import PARTS
from lambdaagent.a2a.signing import Signer
from lambdaagent.clock import Clock
from lambdaagent.events.http import MOST_EVENTS
from lambdaagent.gateway import agent_routes
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.http import middlewares, principals, refusals
from lambdaagent.gateway.http.bodies import PACE, Pace
from lambdaagent.gateway.http.sse import STREAMS, Streams
from lambdaagent.gateway.metrics import GatewayMetrics
from lambdaagent.gateway.routes import routes, takes_events
from lambdaagent.gateway.services import SERVICES, EventPublisher, Exchanges, Failed, Services, unheard
from lambdaagent.http_server import HeadLimits, ServerRunner
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.store.records import DeadLetterStore
from lambdaagent.tasks.engine import Engine

MAX_BODY = 10 * 1024 * 1024
IDLE = 75.0  # seconds; longer than the minute after which proxies give up a connection themselves


def create_app(
    *,
    directory: Directory,
    tasks: Engine,
    letters: DeadLetterStore,
    publisher: EventPublisher,
    exchanges: Exchanges,
    client: HttpClient,
    metrics: GatewayMetrics,
    clock: Clock,
    ready: Callable[[], str | None],
    keys: Mapping[str, bytes] | None = None,
    public_url: str = "",
    trust_forwarded: bool = False,
    max_body: int = MAX_BODY,
    max_parts: int = PARTS,
    max_batch: int = MOST_EVENTS,
    refuse_unrouted: bool = False,
    errors: Edition = Edition.LATEST,
    signer: Signer | None = None,
    streams: Streams | None = None,
    pace: Pace | None = None,
    stop_grace: float = 10.0,
    heads: HeadLimits | None = None,
    takes_events: Callable[[str], bool] = takes_events,
    own_routes: Sequence[web.RouteDef] | None = None,
    failed: Failed = unheard,
) -> web.Application:
    """`ready` says why not, or None. `keys` are the capability keys; none means that event URLs carry none.

    `own_routes` stand in place of the gateway's, where it serves one agent only.
    """
    layers = [middlewares.metrics, middlewares.errors, principals.principals]
    streams = streams or Streams()
    if own_routes is None:
        layers.append(middlewares.hosts)
    app = web.Application(middlewares=layers, client_max_size=max_body)
    app[STREAMS], app[PACE] = streams, pace or Pace()
    app[SERVICES] = Services(
        directory=directory,
        tasks=tasks,
        letters=letters,
        publisher=publisher,
        exchanges=exchanges,
        client=client,
        metrics=metrics,
        clock=clock,
        ready=ready,
        keys=dict(keys or {}),
        public_url=public_url.rstrip("/"),
        trust_forwarded=trust_forwarded,
        max_body=max_body,
        max_parts=max_parts,
        max_batch=max_batch,
        refuse_unrouted=refuse_unrouted,
        errors=errors,
        signer=signer,
        heads=heads or HeadLimits(),
        failed=failed,
        takes_events=takes_events,
    )

    async def stopping(_: web.Application) -> None:
        streams.stop()

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        await tasks.start()
        yield
        await tasks.stop(grace=stop_grace)
        await client.close()

    app.on_shutdown.append(stopping)
    app.cleanup_ctx.append(lifetime)
    if own_routes is None:
        app.router.register_resource(agent_routes.AgentPaths(agent_routes.by_path))
        app.add_routes(routes())
    else:
        app.add_routes(own_routes)
    return app


def make_runner(app: web.Application, *, shutdown_timeout: float = 15.0, idle: float = IDLE) -> web.AppRunner:
    """A request whose client went away is cancelled: that closes the connection to the container of a direct call.

    Tasks are not the request's and go on. Access logs are the proxy's business; the metrics count. `idle` is also how
    long a request's head may take: from the connection's beginning or the last answer, whatever has come of it.
    """
    return ServerRunner(
        app,
        limits=app[SERVICES].heads,
        refusal=refusals.problem(app),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=shutdown_timeout,
        keepalive_timeout=idle,
    )
