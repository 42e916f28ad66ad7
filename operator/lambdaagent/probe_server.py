"""A small HTTP server for the probes and metrics of a process that serves nothing else."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from lambdaagent.errors import UsageError
from lambdaagent.http_server import HeadLimits, ServerRunner, plain


@asynccontextmanager
async def listen(routes: Sequence[web.RouteDef], *, host: str, port: int) -> AsyncIterator[int]:
    """Listen while the context is open and yield the port; 0 takes a free port. Raises UsageError if that fails."""
    app = web.Application()
    app.add_routes(routes)
    runner = ServerRunner(app, limits=HeadLimits(), refusal=plain, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            hint = "set LAMBDAAGENT_PORT to another one"
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; {hint}") from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def probes(
    *,
    stale: Callable[[], str | None],
    ready: Callable[[], tuple[bool, str]],
    metrics: Callable[[], bytes],
    content_type: str,
) -> list[web.RouteDef]:
    """The routes `/healthz`, `/readyz` and `/metrics`.

    `stale` says why the process should be restarted, or None. `ready` says whether it is ready, and a word on that.
    """

    async def healthz(_: web.Request) -> web.Response:
        why = stale()
        return web.Response(status=503, text=f"{why}\n") if why else web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        is_ready, text = ready()
        return web.Response(status=200 if is_ready else 503, text=f"{text}\n")

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": content_type})

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", show)]
