"""Knative's activator in front of one agent: a call starts the agent and waits until it listens.

The caller makes the server of the agent, which listens only while it is awake; `sleep` stops it, as the autoscaler
does. One call starts the agent, however many wait. A call whose agent ends meanwhile gets 502, as from Envoy.
"""

import http.client
import threading
from collections.abc import Callable
from typing import Protocol

from tests.parts.http_servers import Handler, ThreadedServer

_HOP_BY_HOP = frozenset(("connection", "keep-alive", "transfer-encoding"))
_DROPPED = _HOP_BY_HOP | {"content-length", "date", "server"}
_ANSWER_SECONDS = 30


class Pod(Protocol):
    @property
    def port(self) -> int: ...
    def close(self) -> None: ...


class Activator(ThreadedServer):
    def __init__(self, wake: Callable[[], Pod]) -> None:
        self.wakes = 0
        self._wake = wake
        self._pod: Pod | None = None
        self._lock = threading.Lock()
        super().__init__(_Handler)

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
        super().close()
        self.sleep()


class _Handler(Handler):
    server: Activator

    def do_POST(self) -> None:
        body = self.body()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        onward = http.client.HTTPConnection("127.0.0.1", self.server.awake().port, timeout=_ANSWER_SECONDS)
        try:
            onward.request("POST", self.path, body, headers)
            answer = onward.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _DROPPED}
            self.respond(answer.status, kept, answer.read())
        except (OSError, http.client.HTTPException):
            self.respond(502, {}, b"")
        finally:
            onward.close()
