"""A small HTTP server for the probes and metrics of a process that serves nothing else."""

from collections.abc import AsyncIterator, Sequence
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
