"""An agent without a framework or a key. One skill has arguments of its own, the other takes a text.

The gateway has checked the arguments of a tool's call by the skill's inputSchema; they are the JSON body.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(b"ok", "text/plain")

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        if self.headers.get("ce-a2askillid") == "forecast":
            degrees = [20 + day for day in range(given.get("days", 1))]
            self.answer(json.dumps({"city": given["city"], "degrees": degrees}).encode(), "application/json")
        else:
            self.answer(f"You asked: {given['text']} It will be sunny.".encode(), "text/plain")

    def answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    ThreadingHTTPServer((host, int(os.environ.get("PORT", "8080"))), Agent).serve_forever()
