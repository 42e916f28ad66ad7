"""A call of an async skill by way of a Knative Broker: the gateway's process, and a test in the place of Knative's.

The Broker's ingress only confirms; the test then posts what it got to the Trigger's subscriber, as the dispatcher does.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.gateway.test_process import AGENTS, Upstream, kubeconfig, launched
from tests.parts.dev import wait
from tests.parts.kubernetes import KubeApiserver

__all__ = ["kubeconfig"]
VERSION = {"A2A-Version": "1.0"}


@pytest.fixture
def container() -> Iterator[Upstream]:
    found = Upstream()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def broker() -> Iterator[Upstream]:
    found = Upstream()
    found.status = 202
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def gateway(kubeconfig: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    with launched(kubeconfig, LAMBDAAGENT_DATABASE=str(tmp_path / "tasks.db")) as client:
        yield client


@pytest.fixture
def agent(kube_apiserver: KubeApiserver, namespace: str, container: Upstream, broker: Upstream) -> str:
    path = f"{AGENTS.format(namespace)}/later"
    skill = {"id": "work", "name": "Work", "invoke": {"mode": "async"}}
    spec = {"image": {"repository": "r"}, "eventing": {}, "a2a": {"enabled": True, "skills": [skill]}}
    metadata = {"name": "later"}
    kube_apiserver.rest.apply(
        path, {"apiVersion": "lambda.knative.io/v1alpha1", "kind": "LambdaAgent", "metadata": metadata, "spec": spec}
    )
    status = {
        "serviceStatus": {"serviceName": "later", "url": container.url, "ready": True},
        "eventingStatus": {"brokerName": "lambdaagents", "brokerReady": True, "brokerUrl": broker.url},
    }
    kube_apiserver.rest.merge(f"{path}/status", {"status": status})
    return f"/agents/{namespace}/later/api/a2a"


def asked(gateway: httpx.Client, agent: str, broker: Upstream) -> tuple[str, dict[str, str], bytes]:
    """The task of a call, and the event that the Broker got for it."""
    before = len(broker.received)
    answer = wait(lambda: _accepted(gateway.post(f"{agent}/skills/work", content=b"hello")))
    wait(lambda: len(broker.received) > before)
    headers, body = broker.received[-1]
    return answer.json()["id"], {name: value for name, value in headers.items() if name.startswith("ce-")}, body


def state(gateway: httpx.Client, agent: str, task: str) -> Any:
    return gateway.get(f"{agent}/tasks/{task}", headers=VERSION).json()["status"]


def test_what_the_trigger_delivers_ends_the_task_once(
    gateway: httpx.Client, agent: str, namespace: str, container: Upstream, broker: Upstream
) -> None:
    task, event, body = asked(gateway, agent, broker)
    assert (event["ce-type"], event["ce-a2aagent"], event["ce-a2ataskid"]) == (
        "io.knative.lambda.invoke.async",
        "later",
        task,
    )
    assert state(gateway, agent, task)["state"] == "TASK_STATE_SUBMITTED"
    for _ in range(2):
        delivered = gateway.post(f"/events/{namespace}/to/later", headers=event, content=body)
        assert delivered.status_code == 202
    assert state(gateway, agent, task)["state"] == "TASK_STATE_COMPLETED"
    assert [got[0]["ce-id"] for got in container.received] == [f"{task}-1"]


def test_an_agent_that_fails_is_left_to_the_broker_s_patience_and_then_the_task_is_told(
    gateway: httpx.Client, agent: str, namespace: str, container: Upstream, broker: Upstream
) -> None:
    container.status = 503
    task, event, body = asked(gateway, agent, broker)
    refused = gateway.post(f"/events/{namespace}/to/later", headers=event, content=body)
    assert refused.status_code == 503
    assert state(gateway, agent, task)["state"] == "TASK_STATE_WORKING"
    dead = event | {"ce-knativeerrorcode": "503", "ce-knativeerrordest": f"http://gateway/events/{namespace}/to/later"}
    assert gateway.post(f"/events/{namespace}/dead-letters", headers=dead, content=body).status_code == 202
    told = state(gateway, agent, task)
    assert told["state"] == "TASK_STATE_FAILED"
    assert "could not be delivered" in told["message"]["parts"][0]["text"]


def _accepted(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code == 202 else None
