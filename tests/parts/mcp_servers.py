"""Servers of the official MCP SDK on free ports of this machine, each in a thread of its own.

The SDK serves both eras at one address. A server of an earlier release is the same one behind a check that refuses the
version of the newer era, as those releases do.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import uvicorn
from mcp.server.mcpserver import MCPServer

Era = Literal["modern", "stateless", "stateful"]
ERAS: tuple[Era, ...] = ("modern", "stateless", "stateful")
_HANDSHAKE = (b"2024-11-05", b"2025-03-26", b"2025-06-18", b"2025-11-25")


class Recorded:
    """The application, and what was asked of it: method, path and headers of each request."""

    def __init__(self, app: Any, era: Era) -> None:
        self.app, self.era = app, era
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
            self.seen.append((scope["method"], scope["path"], headers))
            version = dict(scope["headers"]).get(b"mcp-protocol-version")
            if self.era != "modern" and version is not None and version not in _HANDSHAKE:
                body = b"Bad Request: Unsupported protocol version"
                start = {"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"text/plain")]}
                await send(start)
                await send({"type": "http.response.body", "body": body})
                return
        await self.app(scope, receive, send)


@contextmanager
def mcp_server(server: MCPServer[Any], era: Era = "modern", *, path: str = "/mcp") -> Iterator[tuple[str, Recorded]]:
    """Serves it and yields the URL of its endpoint, and what it was asked."""
    app = server.streamable_http_app(streamable_http_path=path, stateless_http=era == "stateless")
    recorded = Recorded(app, era)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(recorded, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until = time.monotonic() + 20
        while not running.started and time.monotonic() < until:
            time.sleep(0.01)
        assert running.started
        try:
            yield f"http://127.0.0.1:{port}{path}", recorded
        finally:
            running.should_exit = True
            thread.join(20)
