"""Serves the operator's probes and metrics over HTTP.

The process is alive if it does not lead, or if every watch has had a sign of life from the server within
`STALE_SECONDS`. An operator that receives no more changes looks healthy otherwise, so the liveness probe checks this.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from lambdaagent.controller.metrics import CONTENT_TYPE, OperatorMetrics
from lambdaagent.probe_server import listen

# The API server sends a bookmark every minute, and a watch that is silent for longer is restarted.
STALE_SECONDS = 300.0


@asynccontextmanager
async def serve(metrics: OperatorMetrics, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve while the context is open and yield the port; port 0 takes a free one. Raises UsageError if the port
    cannot be opened."""

    async def healthz(_: web.Request) -> web.Response:
        insight = metrics.insight
        if insight is not None and insight.age > STALE_SECONDS:
            text = f"no sign of life from a watch for {insight.age:.0f} s; see the log for which and why\n"
            return web.Response(status=503, text=text)
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="leading\n" if metrics.insight else "waiting for the lease\n")

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    routes = [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", show)]
    async with listen(routes, host=host, port=port) as found:
        yield found
