"""A container that logs what it gets before it answers: `callee.py PORT LOG`.

Lines of the log: the id of the event, and the text of the call or `-`. A call is answered with its text, a message with
nothing.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, LOG = int(sys.argv[1]), sys.argv[2]
OUT = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["content-length"]))).get("text", "-")
        os.write(OUT, f"{self.headers['ce-id']} {text}\n".encode())
        said = b"" if text == "-" else text.encode()
        self.send_response(200 if said else 204)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    server.daemon_threads = True
    server.serve_forever()
