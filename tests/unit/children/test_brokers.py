"""The RabbitMQ of a Broker, and its delivery settings."""

from typing import Any

import pytest

from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.children.base import AgentKey, Backends, Object, Observed
from lambdaagent.children.brokers import BrokerIdentity, broker_config, broker_of
from lambdaagent.children.plan import plan
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


def agents_of(*eventing: dict[str, Any] | None, namespace: str = "shop") -> dict[AgentKey, LambdaAgent]:
    """Returns agents; None makes one without eventing."""
    taking = {"subscriptions": [{"eventType": "a.b"}]}
    specs = [
        {"image": {"repository": "r"}} | ({"eventing": taking | each} if each is not None else {}) for each in eventing
    ]
    parsed = [
        parse({"metadata": {"name": f"a{number}", "namespace": namespace}, "spec": spec})
        for number, spec in enumerate(specs)
    ]
    return {(each.namespace, each.name): each for each in parsed}


def made(agent: LambdaAgent, kind: str, **observed: Any) -> list[Object]:
    planned = plan(agent, installation=Installation(), backends=Backends(), observed=Observed(**observed))
    return [child.obj["spec"] for child in planned.children if child.kind[1] == kind]


def dlq(attempts: int, **more: Any) -> dict[str, Any]:
    return {"dlq": {"retryMaxAttempts": attempts}} | more


FIVE, TWO = dlq(5), dlq(2)


@pytest.mark.parametrize(
    ("eventing", "said", "with_their_own"),
    [
        ([FIVE], 5, []),
        ([FIVE, TWO, FIVE], 5, [1]),
        ([FIVE, TWO], 2, [0]),  # as many: the smaller
        ([FIVE, FIVE, {}, {}], 3, [0, 1]),  # as many: the installation's
        ([FIVE, {"dlq": {"enabled": True}}, {}], 3, [0]),
        ([dlq(5, delivery={"retry": 2}), TWO, FIVE], 2, [2]),
        ([dlq(5, delivery={"backoffDelay": "PT9S"}), FIVE, FIVE, TWO], 5, [0, 3]),
        ([TWO, dlq(5, enabled=False), dlq(5, broker={"dedicated": True}), None], 2, [1]),
        # Who has a delivery in any case, or no Trigger, does not count.
        ([TWO, *[dlq(5, enabled=False)] * 2], 2, [1, 2]),
        ([TWO, *[dlq(5, delivery={"timeout": "PT9S"})] * 2], 2, [1, 2]),
        ([TWO, *[dlq(5, subscriptions=[])] * 2], 2, []),
        ([dlq(0), dlq(0), FIVE], 0, [2]),
    ],
)
def test_a_new_broker_says_the_attempts_that_most_of_its_agents_want(
    eventing: list[dict[str, Any] | None], said: int, with_their_own: list[int]
) -> None:
    agents = agents_of(*eventing)
    elsewhere = agents_of(*[dlq(50)] * 9, namespace="finance")
    for number, agent in enumerate(agents.values()):
        brokers = made(agent, "Broker", agents=agents | elsewhere)
        dedicated = "broker" in (eventing[number] or {})
        assert [each["delivery"]["retry"] for each in brokers] in ([], [5 if dedicated else said])
        own = ["delivery" in each for each in made(agent, "Trigger", agents=agents | elsewhere)]
        assert own in ([], [number in with_their_own])


def test_what_a_broker_says_already_is_what_counts() -> None:
    agents = agents_of(FIVE, FIVE, TWO)
    (new,) = made(agents["shop", "a0"], "Broker", agents=agents)
    identity = broker_of(agents["shop", "a0"], Installation())
    assert identity is not None
    for there, with_their_own in (
        (new["delivery"], ["a2"]),
        (new["delivery"] | {"retry": 2}, ["a0", "a1"]),
        (new["delivery"] | {"retry": 3}, ["a0", "a1", "a2"]),
        ({"retry": 5}, ["a0", "a1", "a2"]),  # and its dead letters went nowhere
        ({}, ["a0", "a1", "a2"]),
    ):
        observed = {"agents": agents, "broker_deliveries": {identity.key: there}}
        for agent in agents.values():
            (broker,) = made(agent, "Broker", **observed)
            assert broker.get("delivery", {}) == there
            (trigger,) = made(agent, "Trigger", **observed)
            assert ("delivery" in trigger) is (agent.name in with_their_own)
