"""The gateway's aiohttp application, built from parts that the process provides.

The application starts and stops the task engine and closes the client. The process owns the store, the publisher and
the directory's feed, which start before the application and end after it.
"""

from collections.abc import AsyncIterator

from aiohttp import web

from lambdaagent.gateway.http import cors, middlewares, refusals
from lambdaagent.gateway.http.bodies import PACE, Pace
from lambdaagent.gateway.http.local_only import local_only
from lambdaagent.gateway.http.sse import STREAMS, Streams
from lambdaagent.gateway.routes import agent_routes
from lambdaagent.gateway.routes.route_types import RouteTable
from lambdaagent.gateway.services import SERVICES, Services
from lambdaagent.http_server import STALLED, HeadLimits, ServerRunner

IDLE = 75.0  # seconds; longer than the minute after which proxies close an idle connection
_TABLE = web.AppKey("route_table", RouteTable)


def create_app(
    services: Services, *, table: RouteTable, streams: Streams | None = None, pace: Pace | None = None
) -> web.Application:
    streams = streams or Streams()
    layers = [middlewares.metrics, middlewares.errors]
    if services.config.local_only:
        layers.append(local_only)
    if table.many_agents:
        layers += [cors.preflights, middlewares.hosts]
    app = web.Application(middlewares=layers, client_max_size=services.config.max_body)
    app[SERVICES], app[STREAMS], app[PACE], app[_TABLE] = services, streams, pace or Pace(), table

    async def stopping(_: web.Application) -> None:
        streams.stop()

    async def lifetime(_: web.Application) -> AsyncIterator[None]:
        await services.tasks.start()
        yield
        await services.tasks.stop(grace=services.config.stop_grace)
        await services.client.close()

    app.on_shutdown.append(stopping)
    app.cleanup_ctx.append(lifetime)
    if table.many_agents:
        app.on_response_prepare.append(cors.expose)
        app.router.register_resource(agent_routes.AgentPaths(agent_routes.by_path))
    app.add_routes(route.definition() for route in table.routes)
    return app


def create_probe_app(services: Services, *, table: RouteTable) -> web.Application:
    """Return the application of the port that serves the probes and metrics only."""
    app = web.Application(middlewares=[middlewares.metrics, middlewares.errors])
    app[SERVICES], app[_TABLE] = services, table
    app.add_routes(route.definition() for route in table.observed)
    return app


def make_runner(app: web.Application, *, idle: float = IDLE, stalled: float = STALLED) -> web.AppRunner:
    """Return the runner of the application. A request is cancelled when its client disconnects, which closes the
    connection to the container of a direct call; tasks continue.

    There is no access log: proxies write one, and the metrics count requests. `idle` (seconds) limits an idle
    connection and also the time in which the whole head of a request must arrive, from the start of the connection or
    from the last response. `stalled` (seconds) limits how long a client takes nearly nothing of its response.
    """
    config = app[SERVICES].config
    return ServerRunner(
        app,
        limits=HeadLimits(header=config.max_header),
        refusal=refusals.problem(app, app[_TABLE].takes_events),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=config.shutdown_timeout,
        stalled=stalled,
        keepalive_timeout=idle,
    )
