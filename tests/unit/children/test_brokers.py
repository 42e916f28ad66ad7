"""Which RabbitMQ a Broker is on."""

from typing import Any

import pytest

from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.children.brokers import BrokerIdentity, broker_config, broker_of
from lambdaagent.settings import Installation


def identity(rabbitmq: dict[str, Any]) -> tuple[LambdaAgent, BrokerIdentity]:
    spec = {"image": {"repository": "r"}, "eventing": {"enabled": True, "rabbitmq": rabbitmq}}
    agent = parse({"metadata": {"name": "a", "namespace": "shop"}, "spec": spec})
    found = broker_of(agent, Installation())
    assert found is not None
    return agent, found


@pytest.mark.parametrize(
    ("rabbitmq", "reference"),
    [
        ({"clusterName": "own", "namespace": "mq"}, {"name": "own", "namespace": "mq"}),
        (
            {"connectionSecret": "outside", "namespace": "mq"},
            {"connectionSecret": {"name": "outside"}, "namespace": "mq"},
        ),
        (
            {"clusterName": "own", "connectionSecret": "outside", "namespace": "mq"},
            {"connectionSecret": {"name": "outside"}, "namespace": "mq"},
        ),
    ],
)
def test_a_broker_is_on_the_cluster_or_on_what_the_secret_names(
    rabbitmq: dict[str, Any], reference: dict[str, Any]
) -> None:
    """Upstream takes a name or a Secret, and never both."""
    agent, found = identity(rabbitmq)
    assert broker_config(agent, found)["spec"]["rabbitmqClusterReference"] == reference


def test_a_cluster_and_a_secret_of_one_name_have_brokers_of_their_own() -> None:
    _, cluster = identity({"clusterName": "same", "namespace": "mq"})
    _, secret = identity({"connectionSecret": "same", "namespace": "mq"})
    _, elsewhere = identity({"connectionSecret": "same", "namespace": "other"})
    assert len({cluster.name, secret.name, elsewhere.name}) == 3
