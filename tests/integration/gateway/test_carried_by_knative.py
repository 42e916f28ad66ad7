"""Calls of async skills through a Knative Broker: the gateway is a process, and the test stands for the Broker.

The ingress of the Broker only confirms; the test posts its events to the subscriber of the Trigger, as Knative does.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.parts.agents import Agents, Container
from tests.parts.gateway_process import launched
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait

VERSION = {"A2A-Version": "1.0"}


@pytest.fixture
def container() -> Iterator[Container]:
    found = Container(lambda _: (200, {}, b"ok"))
    yield found
    found.close()


@pytest.fixture
def broker() -> Iterator[Container]:
    """Starts the ingress of the Broker, which confirms each event."""
    found = Container()
    yield found
    found.close()


@pytest.fixture
def gateway(gateway_account: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    with launched(gateway_account, LAMBDAAGENT_DATABASE=str(tmp_path / "tasks.db")) as client:
        yield client


@pytest.fixture
def agent(kube_apiserver: KubeApiserver, namespace: str, container: Container, broker: Container) -> str:
    skill = {"id": "work", "name": "Work", "invoke": {"mode": "async"}}
    agents = Agents(kube_apiserver, namespace)
    agents.make("later", url=container.url, a2a={"skills": [skill]}, broker_url=broker.url, enabled=True)
    return f"/agents/{namespace}/later/api/a2a"


def asked(gateway: httpx.Client, agent: str, broker: Container) -> tuple[str, dict[str, str], bytes]:
    """Calls the agent, and returns the id of the task and the event that the Broker got."""
    before = len(broker.got)
    answer = wait(lambda: _accepted(gateway.post(f"{agent}/skills/work", content=b"hello")))
    wait(lambda: len(broker.got) > before)
    got = broker.got[-1]
    return answer.json()["id"], {name: value for name, value in got.headers.items() if name.startswith("ce-")}, got.body


def state(gateway: httpx.Client, agent: str, task: str) -> Any:
    return gateway.get(f"{agent}/tasks/{task}", headers=VERSION).json()["status"]


def test_what_the_trigger_delivers_ends_the_task_once(
    gateway: httpx.Client, agent: str, namespace: str, container: Container, broker: Container
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
    assert container.ids == [f"{task}-1"]


def test_an_agent_that_fails_is_left_to_the_broker_s_patience_and_then_the_task_is_told(
    gateway: httpx.Client, agent: str, namespace: str, container: Container, broker: Container
) -> None:
    container.answer = lambda _: (503, {}, b"")
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
