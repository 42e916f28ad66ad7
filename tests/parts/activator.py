"""What Knative puts before an agent: a call wakes it and is held until it listens, and without calls it sleeps again.

The agent is a server that somebody else makes, and it listens only while awake; `sleep` is the autoscaler's part.
One wake at a time, however many calls wait for it. A call of an agent that ends meanwhile is a 502, as from Envoy.
"""

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

_HOP_BY_HOP = frozenset(("connection", "keep-alive", "transfer-encoding"))
_ANSWER_SECONDS = 30


class Pod(Protocol):
    @property
    def port(self) -> int: ...
    def close(self) -> None: ...


class Activator(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, wake: Callable[[], Pod]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wakes = 0
        self._wake = wake
        self._pod: Pod | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def asleep(self) -> bool:
        return self._pod is None

    def awake(self) -> Pod:
        with self._lock:
            if self._pod is None:
                self._pod = self._wake()
                self.wakes += 1
            return self._pod

    def sleep(self) -> None:
        with self._lock:
            if self._pod is not None:
                self._pod.close()
                self._pod = None

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self.sleep()


class _Handler(BaseHTTPRequestHandler):
    server: Activator
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        onward = http.client.HTTPConnection("127.0.0.1", self.server.awake().port, timeout=_ANSWER_SECONDS)
        try:
            onward.request("POST", self.path, body, headers)
            answer = onward.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())
        except (OSError, http.client.HTTPException):
            self._answer(502, {}, b"")
        finally:
            onward.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
