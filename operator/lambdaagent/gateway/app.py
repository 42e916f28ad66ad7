"""The gateway's aiohttp application, built from parts that the process provides.

The application starts and stops the task engine and closes the client. The process owns the store, the publisher and
the directory's feed, which start before the application and end after it.
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
IDLE = 75.0  # seconds; longer than the minute after which proxies close an idle connection


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
    """`ready` returns why the gateway is not ready, or None. `keys` are the capability keys; without keys, event URLs
    carry no capability. `own_routes` replace the gateway's routes in a gateway that serves one agent.
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
    """Return the runner of the application. A request is cancelled when its client disconnects, which closes the
    connection to the container of a direct call; tasks continue.

    There is no access log: proxies write one, and the metrics count requests. `idle` (seconds) limits an idle
    connection and also the time in which the whole head of a request must arrive, from the start of the connection or
    from the last response.
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
