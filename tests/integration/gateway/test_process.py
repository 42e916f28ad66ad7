"""The gateway process in front of a real API server: what it serves follows the LambdaAgents there."""

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from tests.parts import roles
from tests.parts.dev import wait
from tests.parts.kubernetes import KubeApiserver
from tests.parts.process import free_port

from lambdaagent.kube import rights

AGENTS = "/apis/lambda.knative.io/v1alpha1/namespaces/{}/lambdaagents"


class Upstream(ThreadingHTTPServer):
    """An agent's container and a Broker's ingress in one: it remembers what was posted and answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.received.append(({key.lower(): value for key, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def kubeconfig(kube_apiserver: KubeApiserver) -> Iterator[Path]:
    """The gateway's account, with the rights that `lambdaagent rbac` gives it; nothing is refused to it."""
    name = f"gateway-{secrets.token_hex(3)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    with roles.applied(kube_apiserver, name):
        found = roles.kubeconfig(kube_apiserver, name, rights.GATEWAY)
        before = roles.refusals(kube_apiserver.rest)
        yield found
        assert roles.refusals(kube_apiserver.rest) == before
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def gateway(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with launched(kubeconfig, LAMBDAAGENT_DATABASE=str(tmp_path_factory.mktemp("gateway") / "tasks.db")) as client:
        yield client


@contextmanager
def launched(kubeconfig: Path, *, log: IO[bytes] | None = None, **settings: str) -> Iterator[httpx.Client]:
    """The process, once it is ready; what is not said in `settings` has its default."""
    port = free_port()
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "LAMBDAAGENT_HOST": "127.0.0.1",
        "LAMBDAAGENT_PORT": str(port),
        "LAMBDAAGENT_LOG_FORMAT": "text",
    }
    command = [sys.executable, "-m", "lambdaagent", "gateway"]
    process = subprocess.Popen(command, env=environment | settings, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            wait(lambda: answers(client, "/readyz"))
            yield client
        process.terminate()
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)


def answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def make(server: KubeApiserver, namespace: str, name: str, *, upstream: Upstream | None = None) -> None:
    path = AGENTS.format(namespace)
    spec = {
        "image": {"repository": "r"},
        "eventing": {"subscriptions": [{"eventType": "test.wanted"}]},
        "a2a": {"enabled": True, "skills": [{"id": "say", "name": "Say"}]},
    }
    document: dict[str, Any] = {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": {"name": name},
        "spec": spec,
    }
    server.rest.apply(f"{path}/{name}", document)
    if upstream:
        status = {
            "phase": "Ready",
            "serviceStatus": {"serviceName": name, "url": upstream.url, "ready": True},
            "eventingStatus": {"brokerName": "lambdaagents", "brokerReady": True, "brokerUrl": upstream.url},
        }
        server.rest.merge(f"{path}/{name}/status", {"status": status})


def test_an_agent_is_served_from_its_resource_and_gone_with_it(
    gateway: httpx.Client, kube_apiserver: KubeApiserver, namespace: str, upstream: Upstream
) -> None:
    base = f"/agents/{namespace}/served"
    assert gateway.get(f"{base}/.well-known/agent-card.json").status_code == 404
    make(kube_apiserver, namespace, "served")
    wait(lambda: answers(gateway, f"{base}/.well-known/agent-card.json"))
    not_ready = gateway.post(f"{base}/api/a2a/skills/say", content="hello")
    assert not_ready.status_code == 503
    assert "retry-after" in not_ready.headers
    make(kube_apiserver, namespace, "served", upstream=upstream)
    wait(lambda: gateway.post(f"{base}/api/a2a/skills/say", content="hello").status_code == 200)
    headers, body = upstream.received[-1]
    assert (headers["ce-type"], headers["ce-subject"], body) == ("io.knative.lambda.invoke.sync", "say", b"hello")
    kube_apiserver.rest.delete(f"{AGENTS.format(namespace)}/served")
    wait(lambda: gateway.get(f"{base}/.well-known/agent-card.json").status_code == 404)


def test_an_event_goes_to_the_address_that_the_broker_reported(
    gateway: httpx.Client, kube_apiserver: KubeApiserver, namespace: str, upstream: Upstream
) -> None:
    def send(kind: str) -> httpx.Response:
        headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": kind, "ce-source": "/tests"}
        return gateway.post(f"/events/{namespace}", headers=headers, content=b"data")

    unknown = send("test.wanted")
    assert unknown.status_code == 404
    make(kube_apiserver, namespace, "hears", upstream=upstream)
    wait(lambda: send("test.wanted").status_code == 202)
    assert send("test.wanted").headers["lambdaagent-routed"] == "1"
    assert send("test.unwanted").headers["lambdaagent-routed"] == "0"
    headers, body = upstream.received[-1]
    assert (headers["ce-type"], body) == ("test.unwanted", b"data")


def test_an_event_that_the_broker_does_not_confirm_is_not_accepted(
    gateway: httpx.Client, kube_apiserver: KubeApiserver, namespace: str, upstream: Upstream
) -> None:
    upstream.status = 500
    make(kube_apiserver, namespace, "nack", upstream=upstream)
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a", "ce-source": "/tests"}
    answer = wait(lambda: _unless_404(gateway.post(f"/events/{namespace}", headers=headers)))
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_log_lines_name_the_request_its_trace_and_the_task(
    kubeconfig: Path, kube_apiserver: KubeApiserver, namespace: str, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.status = 500
    make(kube_apiserver, namespace, "logs", upstream=upstream)
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a", "ce-source": "/s", "ce-a2ataskid": "t-1"}
    headers |= {"x-request-id": "r-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    with (tmp_path / "log").open("wb") as log, launched(kubeconfig, log=log, LAMBDAAGENT_LOG_FORMAT="json") as client:
        path = f"/events/{namespace}/from/logs"
        wait(lambda: _unless_404(client.post(path, headers=headers, content=b"data")))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    dropped = next(line for line in lines if line["event"] == "task.event_dropped")
    assert (dropped["request"], dropped["trace"], dropped["task"]) == ("r-1", trace, "t-1")
    refused = next(line for line in lines if line["event"] == "request.failed")
    assert (refused["request"], refused["trace"]) == ("r-1", trace)
    assert "task" not in refused
    assert all("request" not in line for line in lines if line["event"] == "server.started")


def _unless_404(answer: httpx.Response) -> httpx.Response | None:
    return None if answer.status_code == 404 else answer
