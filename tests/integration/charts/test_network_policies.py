"""`networkPolicy`: who may reach which pod of the installation, by an evaluation of the rendered policies."""

from typing import Any

import pytest
from charts import generate
from tests.parts.chart import SECRET, helm, on_rabbitmq, render
from tests.parts.kubernetes import KubeApiserver
from tests.parts.network_policies import Pod, admits, pod

HOME = "somewhere"  # where `render` installs the chart
ON: dict[str, Any] = {"networkPolicy": {"enabled": True}}
DATABASE = {"gateway": {"secretSettings": {"database": SECRET}}}
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
FRONT = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}},
    "podSelector": {"matchLabels": {"app": "nginx"}},
}
STRANGER, PROMETHEUS = Pod("shop", {"app": "any"}), Pod("monitoring", {"app": "prometheus"})
NGINX, NEIGHBOUR = Pod("ingress", {"app": "nginx"}), Pod("ingress", {"app": "other"})
OF_METRICS = {"gateway": 9090, "operator": 8080, "dispatcher": 8080}


def world(values: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Pod]]:
    """Returns the policies and the pods of the chart."""
    documents = on_rabbitmq(values)
    pods = {
        each["metadata"]["name"].removeprefix("lambdaagent-"): pod(each["spec"]["template"], HOME)
        for each in documents
        if each["kind"] in ("Deployment", "StatefulSet")
    }
    return [each for each in documents if each["kind"] == "NetworkPolicy"], pods


def test_there_are_none_unless_they_are_asked_for() -> None:
    assert world(DATABASE)[0] == []


@pytest.mark.parametrize("lists", [{}, {"gateway": {"from": [FRONT]}, "metricsFrom": [MONITORING]}], ids=["few", "all"])
def test_every_pod_of_the_chart_is_selected_by_one(lists: dict[str, Any], kube_apiserver: KubeApiserver) -> None:
    policies, pods = world({"networkPolicy": {"enabled": True, **lists}} | DATABASE)
    assert sorted(pods) == ["dispatcher", "gateway", "operator"]
    assert len(policies) == len(pods)
    for name, server in pods.items():
        assert not admits(policies, client=STRANGER, server=server, port=1), name
    for policy in policies:
        rest, name = kube_apiserver.rest, policy["metadata"]["name"]
        policy = policy | {"metadata": policy["metadata"] | {"namespace": "default"}}
        path = f"/apis/networking.k8s.io/v1/namespaces/default/networkpolicies/{name}"
        rest.apply(path, policy)
        rest.delete(path)


@pytest.mark.parametrize(
    ("policy", "client", "public", "metrics"),
    [
        ({}, STRANGER, True, False),
        ({}, PROMETHEUS, True, False),
        ({"metricsFrom": [MONITORING]}, PROMETHEUS, True, True),
        ({"metricsFrom": [MONITORING]}, STRANGER, True, False),
        ({"gateway": {"from": [FRONT]}}, STRANGER, False, False),
        ({"gateway": {"from": [FRONT]}}, NGINX, True, False),
        ({"gateway": {"from": [FRONT]}}, NEIGHBOUR, False, False),
        ({"gateway": {"from": [FRONT]}, "metricsFrom": [MONITORING]}, PROMETHEUS, False, True),
    ],
)
@pytest.mark.parametrize("tls", ["", "cert"])
def test_who_reaches_what(policy: dict[str, Any], client: Pod, public: bool, metrics: bool, tls: str) -> None:
    own = DATABASE["gateway"] | {"tls": {"existingSecret": tls}}
    policies, pods = world({"networkPolicy": {"enabled": True, **policy}, "gateway": own})
    ports = {"http": 8080, "https": 8443} if tls else {"http": 8080}
    assert pods["gateway"].ports == ports | {"metrics": 9090}
    for port in ports.values():
        assert admits(policies, client=client, server=pods["gateway"], port=port) is public
        for own in ("operator", "dispatcher", "gateway"):  # they send events, which clients may not keep out
            assert admits(policies, client=pods[own], server=pods["gateway"], port=port)
        same_labels_elsewhere = Pod("shop", pods["operator"].labels)
        if policy.get("gateway"):
            assert not admits(policies, client=same_labels_elsewhere, server=pods["gateway"], port=port)
    for process, port in OF_METRICS.items():
        assert admits(policies, client=client, server=pods[process], port=port) is metrics, process


def test_embedded_parts_are_for_those_who_use_them() -> None:
    policies, pods = world(ON | {"postgresql": {"embedded": True}})
    for client, reaches in (("gateway", True), ("dispatcher", True), ("operator", False)):
        assert admits(policies, client=pods[client], server=pods["postgresql"], port=5432) is reaches, client
    assert not admits(policies, client=STRANGER, server=pods["postgresql"], port=5432)


def test_pods_of_others_in_the_namespace_are_left_alone() -> None:
    policies, _ = world(ON)
    other = Pod(HOME, {"app.kubernetes.io/name": "lambdaagent", "app.kubernetes.io/component": "agent"})
    assert admits(policies, client=STRANGER, server=other, port=8080)


def test_without_a_dispatcher_and_a_database_they_have_none() -> None:
    found = [each["metadata"]["name"] for each in render(ON) if each["kind"] == "NetworkPolicy"]
    assert sorted(found) == ["lambdaagent-gateway", "lambdaagent-operator"]


def test_a_wrong_value_is_refused_by_its_place() -> None:
    for values in ({"enabeld": True}, {"gateway": {"form": []}}, {"metricsFrom": {}}):
        done = helm("template", "x", str(generate.CHART), values={"networkPolicy": values})
        assert done.returncode != 0
        assert next(iter(values)) in done.stderr
