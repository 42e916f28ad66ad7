"""An agent that fails at random: `agent.py PORT LOG MISCHIEF`. It logs each event before it responds.

Lines of the log: time, id, what it did. MISCHIEF is the part of calls that are not simply answered: with 503, late, by
closing the connection early, by hanging until the caller gives up, or with a second answer behind the first one.
"""

import os
import random
import socketserver
import sys
import threading
import time

PORT, LOG, MISCHIEF = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
OUT = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
OK = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 0\r\n\r\n"


def note(id_: str, what: str) -> None:
    os.write(OUT, f"{time.time():.4f} {id_} {what}\n".encode())


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self._head():
            self.rfile.read(int(head.get("content-length", 0)))
            id_ = head["ce-id"]
            what = random.choice(("busy", "late", "early", "hang", "twice")) if random.random() < MISCHIEF else "ok"
            if what in ("busy", "hang", "early"):
                note(id_, what)
            if what == "hang":
                time.sleep(4)
                return
            if what == "early":
                self.wfile.write(OK[:20])
                return
            if what == "late":
                time.sleep(random.uniform(0.05, 0.3))
            if what in ("ok", "late", "twice"):
                note(id_, "done")
            self.wfile.write(BUSY if what == "busy" else OK + OK if what == "twice" else OK)
            if what == "twice":
                return

    def _head(self) -> dict[str, str]:
        lines = []
        while (line := self.rfile.readline(65536).decode().strip()) or not lines:
            if not line:
                return {}
            lines.append(line)
        pairs = (line.partition(":") for line in lines[1:])
        return {name.lower(): value.strip() for name, _, value in pairs}


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        pass


threading.stack_size(256 * 1024)
with Server(("127.0.0.1", PORT), Handler) as server:
    server.serve_forever()
