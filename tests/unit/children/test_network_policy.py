"""The policy of an agent: who reaches its port, by an evaluation of the policy and of the pods that it selects."""

from typing import Any

import pytest
from tests.parts.network_policies import Pod, admits

from lambdaagent.api import agent as agents
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children.base import Backends, Object, Observed
from lambdaagent.children.plan import Plan, plan
from lambdaagent.children.warning_reasons import WarningReason
from lambdaagent.controller.container_cards import is_wanted
from lambdaagent.settings import EventingBackend, Installation, ServingBackend

HOME = "home"
PART = {"app.kubernetes.io/name": "lambdaagent", "app.kubernetes.io/instance": "any"}


def of(component: str, namespace: str = HOME) -> Pod:
    return Pod(namespace, PART | {"app.kubernetes.io/component": component})


GATEWAY, DISPATCHER = of("gateway"), of("dispatcher")
OF_TRIGGER = Pod("shop", {"eventing.knative.dev/broker": "b", "eventing.knative.dev/brokerRole": "dispatcher"})
INGRESS_OF_BROKER = Pod("shop", {"eventing.knative.dev/brokerRole": "ingress"})
OTHERS = [
    of("operator"),
    of("migrate"),
    of("gateway", "shop"),
    of("dispatcher", "evil"),
    Pod(HOME, {"app.kubernetes.io/component": "gateway"}),
    Pod(HOME, {"app.kubernetes.io/name": "other", "app.kubernetes.io/component": "gateway"}),
    Pod("shop"),
    Pod("shop", {"lambda.knative.io/agent": "quote", "app.kubernetes.io/component": "agent"}),
    Pod("knative-serving", {"app": "activator"}),
    Pod("other", OF_TRIGGER.labels),
    INGRESS_OF_BROKER,
]


def parsed(*, asked: bool = True, mode: str = "gateway", protocol: str = "cloudevents", **spec: Any) -> LambdaAgent:
    a2a = {"enabled": True, "mode": mode, "protocol": protocol, "access": {"networkPolicy": asked}}
    body = {"image": {"repository": "r", "port": 9000}, "a2a": a2a, **spec}
    return agents.parse({"metadata": {"name": "quote", "namespace": "shop", "uid": "u"}, "spec": body})


def planned(agent: LambdaAgent, serving: ServingBackend = "kubernetes", eventing: EventingBackend = "rabbitmq") -> Plan:
    installation = Installation(POD_NAMESPACE=HOME, gateway_image="g")
    return plan(agent, installation=installation, backends=Backends(serving, eventing), observed=Observed())


def policies(found: Plan) -> list[Object]:
    return [child.obj for child in found.children if child.kind[1] == "NetworkPolicy"]


def pods(found: Plan) -> Pod:
    (deployment,) = [child.obj for child in found.children if child.kind[1] == "Deployment"]
    return Pod("shop", deployment["spec"]["template"]["metadata"]["labels"])


def test_everybody_reaches_a_sidecar_and_nobody_the_container_behind_it() -> None:
    found = planned(parsed(mode="sidecar", eventing={"enabled": True}))
    server = pods(found)
    for client in [GATEWAY, DISPATCHER, *OTHERS]:
        assert admits(policies(found), client=client, server=server, port=8090)
        for other in (22, 80, 8080, 9000):
            assert not admits(policies(found), client=client, server=server, port=other)


def test_only_the_gateway_and_the_dispatcher_of_the_installation_reach_the_port() -> None:
    port, found = 9000, planned(parsed(eventing={"enabled": True}))
    server = pods(found)
    (service,) = [child.obj for child in found.children if child.kind == ("v1", "Service") and child.name == "quote"]
    assert service["spec"]["ports"][0]["targetPort"] == port
    for client in (GATEWAY, DISPATCHER):
        assert admits(policies(found), client=client, server=server, port=port)
        for other in (22, 80, 8080, 9000 + 1):
            assert not admits(policies(found), client=client, server=server, port=other)
    for client in [*OTHERS, OF_TRIGGER]:
        assert not admits(policies(found), client=client, server=server, port=port), client


@pytest.mark.parametrize(
    ("protocol", "mode", "port", "reached"),
    [("a2a", "gateway", 9000, True), ("a2a", "sidecar", 9000, False), ("http", "gateway", 9000, False)],
)
def test_the_operator_reaches_a_container_whose_card_it_reads(
    protocol: str, mode: str, port: int, reached: bool
) -> None:
    agent = parsed(mode=mode, protocol=protocol)
    found = planned(agent)
    assert admits(policies(found), client=of("operator"), server=pods(found), port=port) is reached
    assert is_wanted(agent) is reached
    assert not admits(policies(found), client=of("operator", "evil"), server=pods(found), port=port)


@pytest.mark.parametrize(("spec", "reached"), [({"eventing": {"enabled": True}}, True), ({}, False)])
def test_on_knative_s_brokers_the_pods_of_triggers_deliver_the_events(spec: dict[str, Any], reached: bool) -> None:
    found = planned(parsed(**spec), eventing="knative")
    server = pods(found)
    assert admits(policies(found), client=OF_TRIGGER, server=server, port=9000) is reached
    for client in OTHERS:
        assert not admits(policies(found), client=client, server=server, port=9000), client


def test_other_agents_are_left_alone() -> None:
    found = planned(parsed())
    other = Pod("shop", pods(found).labels | {"lambda.knative.io/agent": "other"})
    elsewhere = Pod("bank", pods(found).labels)
    for server in (other, elsewhere):
        assert admits(policies(found), client=Pod("shop"), server=server, port=9000)


def test_it_belongs_to_the_agent_and_comes_before_its_pods() -> None:
    found = planned(parsed())
    (policy,) = policies(found)
    assert policy["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert policy["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "lambdaagent"
    kinds = [child.kind[1] for child in found.children]
    assert kinds.index("NetworkPolicy") < kinds.index("Deployment")


def test_there_is_none_unless_it_is_asked_for() -> None:
    assert policies(planned(parsed(asked=False))) == []
    off = agents.parse(
        {
            "metadata": {"name": "quote", "namespace": "shop"},
            "spec": {"image": {"repository": "r"}, "a2a": {"enabled": False, "access": {"networkPolicy": True}}},
        }
    )
    assert policies(planned(off)) == []


def test_on_knative_there_is_none_and_a_warning_says_why() -> None:
    found = planned(parsed(), serving="knative")
    assert policies(found) == []
    (warning,) = [each for each in found.warnings if each.field == "spec.a2a.access.networkPolicy"]
    assert warning.reason == WarningReason.KUBERNETES_ONLY
    assert "activator" in warning.message
    assert [each for each in planned(parsed()).warnings if each.field == "spec.a2a.access.networkPolicy"] == []


def test_metrics_that_it_closes_are_named() -> None:
    metrics = {"observability": {"metrics": {"enabled": True}}}
    for agent, warned in ((parsed(**metrics), True), (parsed(asked=False, **metrics), False), (parsed(), False)):
        found = planned(agent).warnings
        assert (WarningReason.METRICS_CLOSED in [each.reason for each in found]) is warned
