"""RabbitMQ goes away for a while: what needs none goes on, and what does says so."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.parts.agents import Agents, Container
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.system import System, started

KIND = "io.test.outage"


@pytest.fixture
def system(kube_apiserver: KubeApiserver, own_rabbitmq: RabbitMQ, tmp_path: Path, home: str) -> Iterator[System]:
    namespace = f"outage-{secrets.token_hex(3)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    agents = Agents(kube_apiserver, namespace)
    with started(kube_apiserver, own_rabbitmq, "", tmp_path, system=home, agents=agents, replicas=1) as found:
        yield found
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{namespace}")


async def test_calls_are_answered_and_events_refused_until_it_is_back(
    system: System, own_rabbitmq: RabbitMQ, container: Container
) -> None:
    (gateway,), (dispatcher,), namespace = system.gateways, system.dispatchers, system.agents.namespace
    container.answer = lambda got: (200, {"content-type": "text/plain"}, b"said")
    skills = [{"id": "say", "name": "Say"}]
    system.agents.make("hears", url=container.url, subscriptions=[{"eventType": KIND}], a2a={"skills": skills})
    await system.agents.eventing_ready("hears")

    async def sent(id_: str) -> int:
        headers = {"ce-specversion": "1.0", "ce-id": id_, "ce-type": KIND, "ce-source": "/tests"}
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(f"{gateway.url}/events/{namespace}", content=b"{}", headers=headers)
        return answer.status_code

    assert await sent("before") == 202
    await eventually(lambda: container.ids == ["before"])
    own_rabbitmq.stop()
    try:
        await eventually(lambda: not dispatcher.ready(), within=30)
        assert gateway.ready()
        async with httpx.AsyncClient(timeout=30) as client:
            called = await client.post(f"{gateway.url}/agents/{namespace}/hears/api/a2a/skills/say", content=b"hi")
        assert (called.status_code, called.text) == (200, "said")
        assert await sent("meanwhile") == 503
    finally:
        own_rabbitmq.start()
    await eventually(dispatcher.ready, within=60)
    for _ in range(5):  # the gateway finds it again in its own time, and its senders repeat
        if (status := await sent("after")) != 503:
            break
    assert status == 202
    await eventually(lambda: "after" in container.ids)
