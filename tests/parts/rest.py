"""A few lines of synchronous Kubernetes client for fixtures and assertions, on the standard library alone.

Tests judge the adapters in `lambdaagent.kube`; what prepares and checks the cluster must not be the code under test.
"""

import contextlib
import http.client
import json
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class RestError(RuntimeError):
    def __init__(self, status: int, method: str, path: str, message: str) -> None:
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status


class Rest:
    def __init__(self, *, url: str, token: str, ca: Path) -> None:
        self._url, self._token = url, token
        self._tls = ssl.create_default_context(cafile=str(ca))

    def get(self, path: str, **query: str) -> Any:
        return self._call("GET", path, None, "application/json", query)

    def find(self, path: str) -> Any | None:
        """The object, or None if there is none."""
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
        address = f"{self._url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(
            address,
            method=method,
            data=None if body is None else json.dumps(body, ensure_ascii=False).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
                raw = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            raise RestError(error.code, method, path, _message(text)) from None
        try:
            return json.loads(raw)
        except json.JSONDecodeError:
            return raw.decode()


class Watch:
    """Changes after a version, until the server ends it; raises OSError where the connection breaks."""

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
        """From another thread than the one that reads: a server that stops waits for its watches."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500]
