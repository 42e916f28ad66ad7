"""A few lines of synchronous Kubernetes client for fixtures and assertions, on the standard library alone.

Tests judge the adapters in `lambdaagent.kube`; what prepares and checks the cluster must not be the code under test.
"""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
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


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500]
