"""A small synchronous Kubernetes client for fixtures and assertions, on the standard library.

It does not use `lambdaagent.kube`, because code under test must not check itself. It keeps connections, because tests
poll and a handshake costs more than a request.
"""

import contextlib
import http.client
import json
import socket
import ssl
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MOST_IDLE = 8


class RestError(RuntimeError):
    def __init__(self, status: int, method: str, path: str, message: str) -> None:
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status


class Rest:
    def __init__(self, *, url: str, token: str, ca: Path) -> None:
        self._idle: list[http.client.HTTPSConnection] = []
        self._url, self._token = url, token
        self._tls = ssl.create_default_context(cafile=str(ca))

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def __del__(self) -> None:
        self.close()

    def get(self, path: str, **query: str) -> Any:
        return self._call("GET", path, None, "application/json", query)

    def find(self, path: str) -> Any | None:
        """Returns the object, or None if there is none."""
        try:
            return self.get(path)
        except RestError as error:
            if error.status == 404:
                return None
            raise

    def post(self, path: str, body: Any, **query: str) -> Any:
        return self._call("POST", path, body, "application/json", query)

    def put(self, path: str, body: Any, **query: str) -> Any:
        return self._call("PUT", path, body, "application/json", query)

    def merge(self, path: str, body: Any, **query: str) -> Any:
        return self._call("PATCH", path, body, "application/merge-patch+json", query)

    def apply(self, path: str, body: Any, *, manager: str = "tests") -> Any:
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return self._call("PATCH", path, body, "application/apply-patch+yaml", query)

    def delete(self, path: str, **query: str) -> Any:
        return self._call("DELETE", path, None, "application/json", query)

    def watch(self, path: str, *, since: str) -> "Watch":
        return Watch(self._url, f"{path}?watch=true&resourceVersion={since}", self._token, self._tls)

    def _call(self, method: str, path: str, body: Any, content_type: str, query: dict[str, str]) -> Any:
        target = path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        status, raw = self._exchange(method, target, content, headers)
        if status >= 300:
            raise RestError(status, method, path, _message(raw.decode(errors="replace")))
        try:
            return json.loads(raw)
        except json.JSONDecodeError:
            return raw.decode()

    def _exchange(self, method: str, target: str, content: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        """Sends a request, and repeats it on a new connection if a kept connection has ended."""
        try:
            connection, kept = self._idle.pop(), True
        except IndexError:
            connection, kept = self._connection(), False
        try:
            connection.request(method, target, content, headers)
            answer = connection.getresponse()
            raw = answer.read()
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            if not kept or isinstance(error, TimeoutError):
                raise
            self.close()
            return self._exchange(method, target, content, headers)
        if answer.will_close or len(self._idle) >= _MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)
        return answer.status, raw

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(urllib.parse.urlsplit(self._url).netloc, timeout=30, context=self._tls)


class Watch:
    """Yields changes after a version until the server ends the watch; raises OSError if the connection breaks."""

    def __init__(self, url: str, path: str, token: str, tls: ssl.SSLContext) -> None:
        self._connection = http.client.HTTPSConnection(urllib.parse.urlsplit(url).netloc, context=tls)
        self._connection.connect()
        self._socket = self._connection.sock
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})

    def __iter__(self) -> Iterator[Any]:
        with contextlib.closing(self._connection), self._connection.getresponse() as answer:
            for line in answer:
                yield json.loads(line)

    def close(self) -> None:
        """Ends the watch from another thread than the one that reads; a server that stops waits for its watches."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500]
