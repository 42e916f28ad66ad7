"""Handlers for liveness, readiness and metrics."""

from aiohttp import web

from lambdaagent.gateway.http.problems import RETRY_AFTER, ProblemError
from lambdaagent.gateway.metrics import CONTENT_TYPE
from lambdaagent.gateway.services import SERVICES


async def healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    why_not = request.app[SERVICES].ready()
    if why_not is not None:
        raise ProblemError(503, "not-ready", f"The gateway is not ready: {why_not}.", headers=RETRY_AFTER)
    return web.Response(text="ok\n")


async def metrics(request: web.Request) -> web.Response:
    return web.Response(body=request.app[SERVICES].metrics.text(), headers={"Content-Type": CONTENT_TYPE})
