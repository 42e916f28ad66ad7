from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.parts import roles
from tests.parts.agents import Agents, Container
from tests.parts.broker import connected
from tests.parts.kubernetes import KubeApiserver
from tests.parts.rabbitmq import RabbitMQ
from tests.parts.running import Running, running

from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.kube import rights


@pytest.fixture(scope="module")
def system(kube_apiserver: KubeApiserver) -> Iterator[str]:
    """Creates the namespace of the processes."""
    with roles.home(kube_apiserver) as name:
        yield name


@pytest.fixture
def agents(kube_apiserver: KubeApiserver, namespace: str) -> Agents:
    return Agents(kube_apiserver, namespace)


@pytest.fixture
def container() -> Iterator[Container]:
    found = Container()
    yield found
    found.close()


@pytest.fixture
def settings(kube_apiserver: KubeApiserver, system: str, namespace: str, own_rabbitmq: RabbitMQ) -> dict[str, str]:
    """Returns the settings of the dispatcher, which serves only the namespace of the test."""
    return {
        "KUBECONFIG": str(roles.kubeconfig(kube_apiserver, system, rights.DISPATCHER)),
        "LAMBDAAGENT_AMQP_URL": own_rabbitmq.url,
        "LAMBDAAGENT_NAMESPACES": namespace,
        "LAMBDAAGENT_EVENTS_URL": "",
        "LAMBDAAGENT_DELIVERY_BACKOFF_DELAY": "PT0.1S",
    }


@pytest.fixture
def dispatcher(settings: dict[str, str], tmp_path: Path) -> Iterator[Running]:
    with running("dispatcher", tmp_path / "dispatcher", **settings) as found:
        yield found


@pytest.fixture
async def broker(own_rabbitmq: RabbitMQ) -> AsyncIterator[RabbitMQBroker]:
    """Yields a connection with which the test publishes."""
    async with connected(own_rabbitmq.url) as found:
        yield found
