"""An HTTP proxy in front of the API server, which can answer in its place, or late.

The operator sends plain HTTP with its own token, which the proxy passes on; watches are streamed.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from tests.parts.http_servers import serving

# Returns None for a request that goes through.
Judge = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
_DROPPED = ("host", "content-length", "transfer-encoding", "connection", "content-encoding")


async def _through(_: web.Request) -> None:
    return None


@dataclass
class Faulty:
    url: str = ""
    judge: Judge = _through
    # The number of requests that the proxy answered itself.
    refused: int = field(default=0)


def refusal(status: int, reason: str, *, retry_after: int | None = None) -> web.Response:
    """Returns a refusal in the form of the API server; `retry_after` is in seconds."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason}
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return web.json_response(body | {"message": f"injected {reason}"}, status=status, headers=headers)


@asynccontextmanager
async def faulty(target: str, *, context: ssl.SSLContext) -> AsyncIterator[Faulty]:
    """Starts a proxy to the API server at `target`; `url` of the result is its address."""
    found = Faulty()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0)) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            if (answer := await found.judge(request)) is not None:
                found.refused += 1
                return answer
            headers = {key: value for key, value in request.headers.items() if key.lower() not in _DROPPED}
            url = target + request.path_qs
            no_limit = aiohttp.ClientTimeout(total=None)
            async with session.request(
                request.method, url, headers=headers, data=await request.read() or None, timeout=no_limit
            ) as upstream:
                kept = {key: value for key, value in upstream.headers.items() if key.lower() not in _DROPPED}
                response = web.StreamResponse(status=upstream.status, headers=kept)
                await response.prepare(request)
                async for chunk in upstream.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response

        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.add_routes([web.route("*", "/{path:.*}", handle)])
        async with serving(app, handler_cancellation=True) as found.url:
            yield found
