"""The container of the agents that this suite calls: `container.py PORT LOG`, or a server of the test's own process.

The text of a call is `WHAT KEY [NUMBER]`, and WHAT says how the container behaves:

- say: answers after NUMBER milliseconds.
- count: streams NUMBER words, one each 100 ms.
- hang: streams comments until the connection is closed, for a minute at most.
- hold: answers when the test calls `release`.
- ask: asks for input until NUMBER is 0; takes a random while.

Streams are chunked, so that one whose container was killed is told from one that came to its end.

Every call is noted with the time, the process, what happened and its key, before the answer is sent.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEGUN, DONE, CLOSED, OVERRAN = "begun", "done", "closed", "overran"
WORD_SECONDS, HANG_SECONDS, ASK_SECONDS = 0.1, 60.0, 0.4


@dataclass(frozen=True)
class Note:
    at: float
    pid: int
    what: str
    key: str


class Container(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0, *, note: Callable[[Note], None] | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.notes: list[Note] = []
        self.note = note or self.notes.append
        self._released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self.release()
        self.shutdown()
        self.server_close()

    def release(self) -> None:
        self._released.set()

    def hold(self) -> None:
        self._released.wait(HANG_SECONDS)

    def keys(self, what: str) -> list[str]:
        return [note.key for note in self.notes if note.what == what]

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    server: Container
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        what, key, number = f"{body['text']} 0".split()[:3]
        self._note(BEGUN, key)
        self.close_connection = True
        if what == "ask":
            time.sleep(random.uniform(0, ASK_SECONDS))
        match what:
            case "count":
                self._count(key, int(number))
            case "hang":
                self._hang(key)
            case "ask" if int(number) > 0:
                message = {"messageId": f"{key}-{number}", "role": "ROLE_AGENT", "parts": [{"text": "and then?"}]}
                status = {"state": "TASK_STATE_INPUT_REQUIRED", "message": message}
                self._note(DONE, key)
                self._answer("application/a2a+json", json.dumps({"statusUpdate": {"status": status}}))
            case _:
                if what == "hold":
                    self.server.hold()
                if what == "say":
                    time.sleep(int(number) / 1000)
                self._note(DONE, key)
                self._answer("text/plain", f"done: {key}")

    def _count(self, key: str, words: int) -> None:
        self._begin_stream()
        try:
            for number in range(words):
                self._chunk(f"data: {number}\n\n")
                time.sleep(WORD_SECONDS)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self._note(CLOSED, key)
        else:
            self._note(DONE, key)

    def _hang(self, key: str) -> None:
        self._begin_stream()
        until = time.monotonic() + HANG_SECONDS
        try:
            while time.monotonic() < until:
                self._chunk(": still here\n\n")
                time.sleep(WORD_SECONDS)
        except OSError:
            self._note(CLOSED, key)
        else:
            self._note(OVERRAN, key)

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close")
        self.end_headers()

    def _chunk(self, text: str) -> None:
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())

    def _answer(self, content_type: str, text: str) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(text)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(text.encode())

    def _note(self, what: str, key: str) -> None:
        self.server.note(Note(time.time(), os.getpid(), what, key))

    def log_message(self, format: str, *args: object) -> None:
        pass


def notes(text: str) -> list[Note]:
    """Returns the notes in the log of a process."""
    found = []
    for line in text.splitlines():
        at, pid, what, key = line.split()
        found.append(Note(float(at), int(pid), what, key))
    return found


def main(port: int, log: str) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(each: Note) -> None:
        os.write(out, f"{each.at:.4f} {each.pid} {each.what} {each.key}\n".encode())

    with Container(port, note=note) as server:
        server.serve_forever()


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    main(int(sys.argv[1]), sys.argv[2])
