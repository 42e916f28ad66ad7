"""Counts the words of a text, in plain Python without an SDK.

The input of a job arrives as the data of a CloudEvent, {"text": "..."}; the body of the response is the result.
"""

import json
import os
import re
import signal
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer({"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        self.answer({"words": Counter(re.findall(r"\w+", body["text"].lower())), "agent": os.environ.get("NAME", "")})

    def answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
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
