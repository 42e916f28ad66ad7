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


def test_the_migration_is_admitted(kube_apiserver: KubeApiserver, namespace: str) -> None:
    pods.enforce(kube_apiserver.rest, namespace)
    values = {"gateway": {"secretSettings": {"database": {"name": "pg", "key": "url"}}}}
    template = find(render(values), "Job", "lambdaagent-migrate")["spec"]["template"]
    made = pods.create(kube_apiserver.rest, namespace, template)
    assert made["metadata"]["labels"]["app.kubernetes.io/component"] == "migrate"
