"""Agents on Knative Serving with their events on plain RabbitMQ: what stands while they sleep, and what wakes them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.parts import roles
from tests.parts.activator import Activator
from tests.parts.agents import Container, Got
from tests.parts.broker import connected
from tests.parts.cluster import Cluster, Start, until
from tests.parts.knative_controllers import KnativeControllers
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.running import Running, running

from lambdaagent.api import naming
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.events.cloudevents import Event
from lambdaagent.kube import rights

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"
BACKENDS = {"serving": "knative", "eventing": "rabbitmq"}
DELIVERED = 'lambdaagent_dispatcher_deliveries_total{outcome="delivered"}'


class Sleeper:
    """An agent that keeps what it receives while it is stopped and started, and refuses the event `late` twice."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.activator = Activator(lambda: Container(self._answer))

    def _answer(self, got: Got) -> tuple[int, dict[str, str], bytes]:
        self.came.append(got.id)
        return (503 if got.id == "late" and self.came.count("late") < 3 else 202), {}, b""


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    found = Sleeper()
    yield found
    found.activator.close()


@pytest.fixture
def dispatcher(cluster: Cluster, applied: str, rabbitmq: RabbitMQ, tmp_path: Path) -> Iterator[Running]:
    settings = {
        "KUBECONFIG": str(roles.kubeconfig(cluster.server, applied, rights.DISPATCHER)),
        "LAMBDAAGENT_AMQP_URL": rabbitmq.url,
        "LAMBDAAGENT_NAMESPACES": cluster.namespace,
        "LAMBDAAGENT_EVENTS_URL": "",
        "LAMBDAAGENT_DELIVERY_BACKOFF_DELAY": "PT0.1S",
    }
    with running("dispatcher", tmp_path, **settings) as found:
        yield found


@pytest.fixture
async def broker(rabbitmq: RabbitMQ) -> AsyncIterator[RabbitMQBroker]:
    """Yields a connection with which the test publishes."""
    async with connected(rabbitmq.url) as found:
        yield found


async def test_a_sleeping_agent_costs_no_pod_and_is_woken_in_order_by_its_events(
    cluster: Cluster,
    start: Start,
    knative: KnativeControllers,
    dispatcher: Running,
    broker: RabbitMQBroker,
    sleeper: Sleeper,
) -> None:
    async def send(*ids: str) -> None:
        for id_ in ids:
            event = Event(id=id_, source="/tests", type="io.test.woken", data=b"{}")
            assert await broker.publish(event, exchange=naming.exchange(cluster.namespace))

    activator = sleeper.activator
    knative.addresses[cluster.namespace, "sleeper"] = activator.url
    await start(**BACKENDS)
    eventing = {"subscriptions": [{"eventType": "io.test.woken"}], "delivery": {"retry": 4, "backoffDelay": "PT0.2S"}}
    await asyncio.to_thread(cluster.apply, "sleeper", {"eventing": eventing, "scaling": {"minReplicas": 0}})
    await until(lambda: cluster.status("sleeper").get("phase") == "Ready", within=60)
    assert (cluster.names(EVENTING, "brokers"), cluster.names(EVENTING, "triggers")) == ([], [])
    # The one of its Revision, which Knative keeps at no replicas while nobody calls.
    assert cluster.names("apps/v1", "deployments") == ["sleeper-00001-deployment"]
    assert activator.wakes == 0

    await send("one", "late", "two", "three")
    await until(lambda: sleeper.came[-1:] == ["three"], within=60)
    assert sleeper.came == ["one", "late", "late", "late", "two", "three"]
    assert activator.wakes == 1

    await until(lambda: dispatcher.metric(DELIVERED) == 4)
    await asyncio.to_thread(activator.sleep)
    await send("four")
    await until(lambda: sleeper.came[-1:] == ["four"], within=60)
    assert (activator.wakes, sleeper.came.count("four")) == (2, 1)
