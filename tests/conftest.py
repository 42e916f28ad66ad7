"""Fixtures of every test: the real parts, started when a test first asks and stopped by process id at the end."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.parts.kubernetes import KubeApiserver
from tests.parts.rabbitmq import ForeignRabbitMQ, RabbitMQ


@pytest.fixture(scope="session")
def kube_apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApiserver]:
    """A real API server with etcd, garbage collection, and the kinds of Knative, RabbitMQ and our own `crds/`."""
    server = KubeApiserver(tmp_path_factory.mktemp("kubernetes"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kubeconfig(kube_apiserver: KubeApiserver) -> Path:
    """The administrator's."""
    return kube_apiserver.kubeconfig


@pytest.fixture
def namespace(kube_apiserver: KubeApiserver) -> Iterator[str]:
    """A Kubernetes namespace of the test's own; what is in it goes with it."""
    name = f"test-{secrets.token_hex(4)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    kube_apiserver.rest.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def own_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A node that a test may kill and restart, whatever AMQP_URL says; tests leave it running."""
    node = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def rabbitmq(request: pytest.FixtureRequest) -> RabbitMQ | ForeignRabbitMQ:
    """The one that AMQP_URL names, else the node of the tests' own. Isolation is by names: see amqp_prefix."""
    url = os.environ.get("AMQP_URL")
    if url:
        return ForeignRabbitMQ(url)
    node: RabbitMQ = request.getfixturevalue("own_rabbitmq")
    return node


@pytest.fixture
def amqp_prefix() -> str:
    """Starts the names of a test's exchanges and queues, so that tests on one broker do not meet."""
    return f"test-{secrets.token_hex(4)}"
