"""Agents as the API server has them, their containers as a server of the test's own, and RabbitMQ between."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.parts.kubernetes import KubeApiserver

AGENTS = "/apis/lambda.knative.io/v1alpha1/namespaces/{}/lambdaagents"
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Got:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["ce-id"]


class Container(ThreadingHTTPServer):
    """Remembers what was posted; `answer` says what it gets for it."""

    daemon_threads = True

    def __init__(self, answer: Callable[[Got], Answer] = lambda _: (202, {}, b"")) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[Got] = []
        self.answer = answer
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.got]

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Container
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        got = Got(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
        self.server.got.append(got)
        status, headers, body = self.server.answer(got)
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Agents:
    """LambdaAgents in one namespace; the operator's part of their status is written here."""

    server: KubeApiserver
    namespace: str
    made: set[str] = field(default_factory=set)

    def make(self, name: str, *, url: str | None, a2a: dict[str, Any] | None = None, **eventing: Any) -> None:
        spec: dict[str, Any] = {"image": {"repository": "r"}}
        if eventing:
            spec["eventing"] = eventing
        if a2a:
            spec["a2a"] = {"enabled": True} | a2a
        document = {
            "apiVersion": "lambda.knative.io/v1alpha1",
            "kind": "LambdaAgent",
            "metadata": {"name": name},
            "spec": spec,
        }
        self.server.rest.apply(self._path(name), document)
        self.made.add(name)
        if url is not None:
            status = {"serviceStatus": {"serviceName": name, "url": url, "ready": True}}
            if eventing:
                status["eventingStatus"] = {"brokerName": "lambdaagents", "brokerReady": True}
            self.server.rest.merge(f"{self._path(name)}/status", {"status": status})

    def remove(self, name: str) -> None:
        self.server.rest.delete(self._path(name))
        self.made.discard(name)

    def condition(self, name: str) -> dict[str, Any]:
        found = self.server.rest.get(self._path(name)).get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == "EventingReady"), {})

    def _path(self, name: str) -> str:
        return f"{AGENTS.format(self.namespace)}/{name}"
