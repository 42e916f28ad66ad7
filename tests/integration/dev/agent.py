"""The agent of these tests: it prints what it receives, and fails on request."""

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(json.dumps(dict(os.environ)).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        kind = self.headers.get("ce-type", "")
        print(f"got {kind} {self.headers.get('ce-id')} {body}", flush=True)
        if body in ("crash", '"crash"'):
            os._exit(3)
        if body == "slow":
            time.sleep(5)
        if body == "environment":
            return self.answer(json.dumps(dict(os.environ)).encode())
        if body == '"later"':
            return self.answer(b"", 202)
        if kind.endswith("refused"):
            return self.answer(b"no", 422)
        return self.answer(f"{os.environ.get('ANSWER', '')}{body}".encode())

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    if "--with-child" in sys.argv:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        print(f"child {child.pid}", flush=True)
    print(f"pid {os.getpid()}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Agent).serve_forever()
