"""HTTP servers on free ports of this machine: an aiohttp application in the test's loop, and one in threads."""

import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiohttp import web

Response = tuple[int, dict[str, str], bytes]  # status, headers, body


@asynccontextmanager
async def serving(app: web.Application, *, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[str]:
    """Serves the application and yields its URL; `options` are those of aiohttp's AppRunner."""
    runner = web.AppRunner(app, **{"access_log": None, "shutdown_timeout": 0.2, **options})
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class ThreadedServer(ThreadingHTTPServer):
    """A server with a thread for each connection; it serves from its creation to `close`."""

    daemon_threads = True

    def __init__(self, handler: type["Handler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.close()  # the library's closes the socket alone, on which the thread would then turn without an end

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Reads bodies by their length and writes whole responses; it logs nothing."""

    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def lowered(self) -> dict[str, str]:
        """Returns the headers of the request, their names in lower case."""
        return {name.lower(): value for name, value in self.headers.items()}

    def respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
