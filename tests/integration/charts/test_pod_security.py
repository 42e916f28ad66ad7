"""The chart's own pods, in the namespace that its manifests make: one that admits restricted pods only."""

import pytest
from tests.parts import pods
from tests.parts.chart import PROCESSES, find, on_rabbitmq, render
from tests.parts.kubernetes import KubeApiserver


@pytest.mark.parametrize("process", PROCESSES)
def test_the_processes_are_admitted(process: str, kube_apiserver: KubeApiserver, namespace: str) -> None:
    account = {"metadata": {"name": f"lambdaagent-{process}"}}
    kube_apiserver.rest.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    pods.enforce(kube_apiserver.rest, namespace)
    template = find(on_rabbitmq(), "Deployment", f"lambdaagent-{process}")["spec"]["template"]
    made = pods.create(kube_apiserver.rest, namespace, template)
    assert made["metadata"]["labels"]["app.kubernetes.io/component"] == process


@pytest.mark.parametrize("part", ["postgresql", "rabbitmq"])
def test_the_embedded_parts_are_admitted(part: str, kube_apiserver: KubeApiserver, namespace: str) -> None:
    pods.enforce(kube_apiserver.rest, namespace)
    made = find(render({part: {"embedded": True}}), "StatefulSet", f"lambdaagent-{part}")["spec"]
    made["template"]["spec"]["volumes"].append({"name": "data", "emptyDir": {}})
    pods.create(kube_apiserver.rest, namespace, made["template"])
