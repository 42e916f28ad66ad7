"""`lambdaagent gateway --sidecar` as a process, configured by nothing but what the operator writes into the pod."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.parts.gateway_process import running
from tests.parts.polling import wait
from tests.parts.upstream import PlainAgent, Seen, plain_agent

from lambdaagent.api import agent as agents
from lambdaagent.children import sidecar
from lambdaagent.settings import Installation

A2A = {"enabled": True, "mode": "sidecar", "skills": [{"id": "ask", "name": "Ask"}]}


@dataclass
class Pod:
    client: httpx.Client
    container: PlainAgent
    behind: PlainAgent
    sink: str


@pytest.fixture
def pod() -> Iterator[Pod]:
    """Starts both containers of a pod, and the server that gets the agent's events."""
    with plain_agent() as container, plain_agent() as behind:
        behind.respond = lambda _: (202, {"LambdaAgent-Routed": "1"}, b"")
        image = {"repository": "r", "port": urlsplit(container.url).port}
        health = {"healthCheck": {"path": "/alive"}}
        spec = {"image": image, "a2a": A2A, "behavior": health, "env": [{"name": "TOKEN", "value": "hidden"}]}
        agent = agents.parse({"metadata": {"name": "beside", "namespace": "ai"}, "spec": spec})
        sink = f"{behind.url}/events/ai/from/beside/k1.mac"
        installation = Installation(gateway_image="example.com/lambdaagent:v1", access="off")
        unit, gateway = sidecar.containers(agent, installation, sink=sink, probes=False)
        assert "hidden" not in json.dumps(gateway)
        environment = {entry["name"]: entry["value"].replace("$$", "$") for entry in gateway["env"]}
        kept = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        local = {entry["name"]: entry.get("value") for entry in unit["env"]}["K_SINK"]
        with running(gateway["args"], kept | environment, ready=sidecar.ALIVE) as client:
            yield Pod(client, container, behind, sink=urlsplit(local).path)


def send(text: str) -> dict[str, Any]:
    message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": text}]}
    return {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}


def test_the_agent_is_found_and_called_on_its_own_host(pod: Pod) -> None:
    host = {"Host": "beside.ai.svc.cluster.local"}
    card = pod.client.get("/.well-known/agent-card.json", headers=host).json()
    assert card["supportedInterfaces"][0]["url"] == "http://beside.ai.svc.cluster.local/api/a2a"
    task = pod.client.post("/api/a2a", json=send("hello"), headers={"A2A-Version": "1.0"}).json()["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert pod.container.seen[-1].headers["ce-a2ataskid"] == task["id"]
    assert pod.client.post("/api/a2a/skills/ask", json={"text": "direct"}).json()["you_said"] == "direct"


def test_the_extension_of_the_card_is_answered_beside_the_container(pod: Pod) -> None:
    host = {"Host": "beside.ai.svc.cluster.local"}
    card = pod.client.get("/.well-known/agent-card.json", headers=host).json()
    (extension,) = card["capabilities"]["extensions"]
    assert extension["params"]["methods"] == ["agent.discover", "agent.negotiate"]
    described = pod.client.post("/api/a2a", json={"jsonrpc": "2.0", "id": 1, "method": "agent.discover"}, headers=host)
    assert "agent.register" not in described.json()["result"]["capabilities"]["methods"]
    for method in extension["params"]["methods"]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
        assert "result" in pod.client.post("/api/a2a", json=body, headers=host).json()
    assert pod.container.seen == []


def test_all_else_reaches_the_container_as_it_came(pod: Pod) -> None:
    event = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a.b", "ce-source": "/s", "content-type": "text/plain"}
    pod.container.respond = lambda _: (201, {"X-Own": "yes", "Content-Type": "text/plain"}, b"made")
    answer = pod.client.post("/?a=1&b=%20", content=b"body" * 50_000, headers=event)
    assert (answer.status_code, answer.headers["x-own"], answer.text) == (201, "yes", "made")
    seen = pod.container.seen[-1]
    assert (seen.path, seen.body, seen.headers["ce-type"]) == ("/?a=1&b=%20", b"body" * 50_000, "a.b")


def test_readiness_is_the_containers_own(pod: Pod) -> None:
    status = 200
    pod.container.respond = lambda _: (status, {}, b"")
    assert pod.client.get(sidecar.READY).status_code == 200
    assert pod.container.seen[-1].path == "/alive"
    status = 500
    problem = pod.client.get(sidecar.READY)
    assert problem.status_code == 503
    assert "GET /alive answers 500" in problem.json()["detail"]
    assert pod.client.get(sidecar.ALIVE).status_code == 200


def test_the_agents_events_advance_its_task_and_go_on(pod: Pod) -> None:
    """The container takes the call with 202 and answers later by event, as it would without a sidecar."""
    pod.container.respond = lambda _: (202, {}, b"")
    body = send("later")
    body["params"]["configuration"] = {"returnImmediately": True}
    task = pod.client.post("/api/a2a", json=body, headers={"A2A-Version": "1.0"}).json()["result"]["task"]
    wait(lambda: pod.container.seen)
    event = {
        "ce-specversion": "1.0",
        "ce-id": "answer",
        "ce-type": "io.knative.lambda.response.success",
        "ce-source": "/beside",
        "ce-a2ataskid": task["id"],
        "content-type": "text/plain",
    }
    taken = pod.client.post(pod.sink, content=b"done", headers=event)
    assert (taken.status_code, taken.headers["lambdaagent-routed"]) == (202, "1")
    get = {"jsonrpc": "2.0", "id": 2, "method": "GetTask", "params": {"id": task["id"]}}
    found = pod.client.post("/api/a2a", json=get, headers={"A2A-Version": "1.0"}).json()["result"]
    assert found["status"]["state"] == "TASK_STATE_COMPLETED"
    passed_on = pod.behind.seen[-1]
    assert (passed_on.path, passed_on.body) == ("/events/ai/from/beside/k1.mac", b"done")
    assert passed_on.headers["ce-id"] == "answer"


def test_events_are_taken_only_at_the_path_that_the_agent_was_told(pod: Pod) -> None:
    pod.container.respond = lambda _: (404, {}, b"")
    event = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a.b", "ce-source": "/s"}
    assert pod.client.post("/events/ai/from/beside/guessed", headers=event).status_code == 404
    assert pod.behind.seen == []


def test_an_event_that_is_not_taken_behind_is_not_confirmed(pod: Pod) -> None:
    pod.behind.respond = lambda _: (503, {}, b"")
    event = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a.b", "ce-source": "/s"}
    refused = pod.client.post(pod.sink, headers=event)
    assert refused.status_code == 503
    assert "retry-after" in refused.headers


def test_a_container_that_is_gone_is_told_as_such(pod: Pod) -> None:
    def drop(_: Seen) -> tuple[int, dict[str, str], bytes]:
        raise ConnectionResetError

    pod.container.respond = drop
    answer = pod.client.post("/", content=b"x")
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_an_odd_path_is_the_containers_matter_but_for_the_agents_endpoint(pod: Pod) -> None:
    assert pod.client.get("/files//a%2Fb").status_code == 200
    assert pod.container.seen[-1].path == "/files//a%2Fb"
    before = len(pod.container.seen)
    refused = pod.client.post("/api/a2a/skills/a%2Fb")
    assert (refused.status_code, refused.json()["type"]) == (400, "urn:lambdaagent:problem:bad-path")
    assert len(pod.container.seen) == before
