"""The gateway process in front of a real API server: what it serves follows the LambdaAgents there."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.parts.agents import AGENTS, Container
from tests.parts.gateway_process import answers, launched, make
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait
from tests.parts.process import free_port


@pytest.fixture
def upstream() -> Iterator[Container]:
    """Starts a server that is the container of the agent and the ingress of its Broker."""
    server = Container(lambda _: (200, {}, b"ok"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(gateway_account: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with launched(gateway_account, LAMBDAAGENT_DATABASE=str(tmp_path_factory.mktemp("gateway") / "tasks.db")) as client:
        yield client


def test_an_agent_is_served_from_its_resource_and_gone_with_it(
    gateway: httpx.Client, kube_apiserver: KubeApiserver, namespace: str, upstream: Container
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
    got = upstream.got[-1]
    assert (got.headers["ce-type"], got.headers["ce-subject"]) == ("io.knative.lambda.invoke.sync", "say")
    assert got.body == b"hello"
    kube_apiserver.rest.delete(f"{AGENTS.format(namespace)}/served")
    wait(lambda: gateway.get(f"{base}/.well-known/agent-card.json").status_code == 404)


def test_an_event_goes_to_the_address_that_the_broker_reported(
    gateway: httpx.Client, kube_apiserver: KubeApiserver, namespace: str, upstream: Container
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
    got = upstream.got[-1]
    assert (got.headers["ce-type"], got.body) == ("test.unwanted", b"data")


def test_an_event_that_the_broker_does_not_confirm_is_not_accepted(
    gateway: httpx.Client, kube_apiserver: KubeApiserver, namespace: str, upstream: Container
) -> None:
    upstream.answer = lambda _: (500, {}, b"no")
    make(kube_apiserver, namespace, "nack", upstream=upstream)
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a", "ce-source": "/tests"}
    answer = wait(lambda: _unless_404(gateway.post(f"/events/{namespace}", headers=headers)))
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_log_lines_name_the_request_its_trace_and_the_task(
    gateway_account: Path, kube_apiserver: KubeApiserver, namespace: str, upstream: Container, tmp_path: Path
) -> None:
    upstream.answer = lambda _: (500, {}, b"no")
    make(kube_apiserver, namespace, "logs", upstream=upstream)
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a", "ce-source": "/s", "ce-a2ataskid": "t-1"}
    headers |= {"x-request-id": "r-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    with (
        (tmp_path / "log").open("wb") as log,
        launched(gateway_account, log=log, LAMBDAAGENT_LOG_FORMAT="json") as client,
    ):
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


def test_the_probes_have_the_port_of_their_setting(gateway_account: Path) -> None:
    port = free_port()
    with launched(gateway_account, ready="/openapi.json", LAMBDAAGENT_METRICS_PORT=str(port)) as client:
        probes = f"http://127.0.0.1:{port}"
        wait(lambda: httpx.get(f"{probes}/readyz").status_code == 200)
        assert "lambdaagent_gateway_requests_total" in httpx.get(f"{probes}/metrics").text
        assert client.get("/metrics").status_code == 404
