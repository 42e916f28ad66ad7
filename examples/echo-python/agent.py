"""An agent in plain Python without an SDK. It is called with CloudEvents.

A call arrives as a binary CloudEvent at POST /: the `ce-*` headers are its attributes, and the body is its data. The
body of the response is the answer. An agent posts its own events to $K_SINK; this one has none.

By default the server accepts calls from this machine only; in its container it listens on all addresses of the pod.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, b"ok", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        kind = self.headers.get("ce-type", "")
        if kind == "io.example.greeting":
            print(f"greeted by {self.headers['ce-source']}: {body.decode()}", flush=True)
            self.answer(202, b"", "text/plain")
            return
        said = json.loads(body)["text"] if body.startswith(b"{") else body.decode()
        self.answer(200, f"{os.environ.get('SYSTEM_PROMPT', '')} {said}".strip().encode(), "text/plain")

    def answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    # The first process of a container ignores SIGTERM unless it has a handler, and would then run until it is killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    ThreadingHTTPServer((host, int(os.environ.get("PORT", "8080"))), Agent).serve_forever()
