"""The operator under the rights that `lambdaagent rbac` prints, on an API server that enforces them.

Two sides. What it needs it may: every test of this directory runs it as that account and counts what the API server
refuses (`witness`); here are whole lives of agents on both serving backends. And what it does not need it may not.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.parts import roles
from tests.parts.cluster import Cluster, Start, until
from tests.parts.documents import RICHEST
from tests.parts.knative import mark_all_ready
from tests.parts.kubernetes import KubeApiserver
from tests.parts.rest import Rest, RestError
from tests.parts.roles import LAMBDA, may, refusals

from lambdaagent.kube import rights

OTHER = "default"


@pytest.fixture
def operator(kube_apiserver: KubeApiserver, kubeconfig: Path) -> Rest:
    return roles.as_account(kube_apiserver, kubeconfig)


@pytest.fixture
def gateway(kube_apiserver: KubeApiserver, applied: str) -> Rest:
    return roles.as_account(kube_apiserver, roles.kubeconfig(kube_apiserver, applied, rights.GATEWAY))


def _ready_on_kubernetes(cluster: Cluster) -> None:
    for name in cluster.names("apps/v1", "deployments"):
        path = cluster.path("apps/v1", "deployments", name)
        generation = cluster.rest.get(path)["metadata"]["generation"]
        replicas = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
        available = {"type": "Available", "status": "True", "reason": "A", "message": ""}
        status = {"observedGeneration": generation, **replicas, "conditions": [available]}
        cluster.rest.merge(f"{path}/status", {"status": status})


SERVINGS = {
    "knative": ("serving.knative.dev/v1", "services"),
    "kubernetes": ("apps/v1", "deployments"),
}


@pytest.mark.parametrize("serving", SERVINGS)
async def test_an_agent_lives_from_apply_to_deletion_without_one_refusal(
    serving: str, cluster: Cluster, start: Start
) -> None:
    await start(serving=serving)
    spec: dict[str, Any] = yaml.safe_load(RICHEST.read_text())["spec"]
    await asyncio.to_thread(cluster.apply, "richest", spec)
    await until(lambda: cluster.find(*SERVINGS[serving], "richest"))
    await until(lambda: len(cluster.names("eventing.knative.dev/v1", "triggers")) == 3)
    await until(lambda: cluster.find("monitoring.coreos.com/v1", "servicemonitors", "richest"))
    if serving == "kubernetes":
        await until(lambda: cluster.find("autoscaling/v2", "horizontalpodautoscalers", "richest"))
        _ready_on_kubernetes(cluster)
    mark_all_ready(cluster.rest, namespace=cluster.namespace)
    await until(lambda: cluster.has("richest", "Ready", "True"))

    # Edited: no resources, so no autoscaler; no metrics, so no monitor; one subscription less, so one Trigger less.
    fewer = {key: value for key, value in spec.items() if key not in ("resources", "observability")}
    eventing = spec["eventing"] | {"subscriptions": spec["eventing"]["subscriptions"][:1]}
    await asyncio.to_thread(cluster.apply, "richest", fewer | {"eventing": eventing, "env": []})
    await until(lambda: len(cluster.names("eventing.knative.dev/v1", "triggers")) == 2)
    await until(lambda: cluster.names("monitoring.coreos.com/v1", "servicemonitors") == [])
    await until(lambda: cluster.names("autoscaling/v2", "horizontalpodautoscalers") == [])

    # A second agent joins the Broker, and leaves it again: the first agent's part in it stays.
    await asyncio.to_thread(cluster.apply, "second", {"eventing": {}})
    await until(lambda: len(_owners(cluster)) == 2)
    cluster.rest.delete(f"{cluster.agents}/second")
    await until(lambda: len(_owners(cluster)) == 1 and cluster.agent("second") is None)

    cluster.rest.delete(f"{cluster.agents}/richest")
    await until(lambda: cluster.agent("richest") is None)
    for child in rights.CHILDREN:
        assert cluster.names(child.api_version if child.group else child.version, child.plural) == [], child.label


def _owners(cluster: Cluster) -> list[Any]:
    broker = cluster.find("eventing.knative.dev/v1", "brokers", "lambdaagents") or {"metadata": {}}
    owners: list[Any] = broker["metadata"].get("ownerReferences", [])
    return owners


def test_a_secret_is_never_readable(kube_apiserver: KubeApiserver, operator: Rest, gateway: Rest, applied: str) -> None:
    secrets = f"/api/v1/namespaces/{applied}/secrets"
    kube_apiserver.rest.post(secrets, {"metadata": {"name": "model"}, "stringData": {"key": "private"}})
    before = refusals(kube_apiserver.rest)
    for process in (operator, gateway):
        for path in (f"{secrets}/model", secrets, "/api/v1/secrets"):
            with pytest.raises(RestError, match="403") as refused:
                process.get(path)
            assert refused.value.status == 403
    assert refusals(kube_apiserver.rest) != before, "the witness of the test above is blind"


@pytest.mark.parametrize(
    "action",
    [
        f"create lambdaagents.{LAMBDA}",
        f"update lambdaagents.{LAMBDA}",
        f"delete lambdaagents.{LAMBDA}",
        "update deployments.apps",
        "deletecollection deployments.apps",
        "create pods",
        "create pods/exec",
        "create configmaps",
        "get serviceaccounts",
        "create serviceaccounts/token",
        "list namespaces",
        "create namespaces",
        "patch customresourcedefinitions.apiextensions.k8s.io",
        "create roles.rbac.authorization.k8s.io",
        "create clusterrolebindings.rbac.authorization.k8s.io",
        "get leases.coordination.k8s.io somebody-elses",
        "delete leases.coordination.k8s.io lambdaagent-operator",
    ],
)
def test_the_operator_may_not(action: str, operator: Rest, applied: str) -> None:
    assert not may(operator, action, applied)


def test_the_lease_is_held_in_one_namespace_only(operator: Rest, applied: str) -> None:
    for verb in ("get", "update"):
        action = f"{verb} leases.coordination.k8s.io lambdaagent-operator"
        assert may(operator, action, applied)
        assert not may(operator, action, OTHER)


def test_a_pod_can_be_read_by_its_name_in_one_namespace_only(operator: Rest, applied: str) -> None:
    assert may(operator, "get pods", applied)
    assert not may(operator, "get pods", OTHER)


def test_the_gateway_only_follows_agents(gateway: Rest, applied: str) -> None:
    assert may(gateway, f"watch lambdaagents.{LAMBDA}", "")
    for action in (
        f"get lambdaagents.{LAMBDA}",
        f"patch lambdaagents.{LAMBDA}",
        f"patch lambdaagents/status.{LAMBDA}",
        "list services",
        "list pods",
        "create leases.coordination.k8s.io",
    ):
        assert not may(gateway, action, applied), action


@pytest.mark.parametrize(
    ("tier", "allowed", "refused"),
    [
        pytest.param("viewer", "get", "patch", id="a viewer reads"),
        pytest.param("editor", "delete", "escalate", id="an editor writes"),
        pytest.param("admin", "deletecollection", "", id="an admin does all"),
    ],
)
def test_people_get_their_tier(
    tier: str, allowed: str, refused: str, kube_apiserver: KubeApiserver, applied: str
) -> None:
    rest = kube_apiserver.rest
    kubeconfig = kube_apiserver.kubeconfig_for_service_account(namespace=applied, name=f"a-{tier}")
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{applied}/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"lambdaagent-{tier}"}
    subjects = [{"kind": "ServiceAccount", "name": f"a-{tier}", "namespace": applied}]
    rest.post(bindings, {"metadata": {"name": tier}, "roleRef": role, "subjects": subjects})
    person = roles.as_account(kube_apiserver, kubeconfig)
    assert any(may(person, f"{allowed} lambdaagents.{LAMBDA}", applied) for _ in range(200))
    assert not may(person, f"{allowed} lambdaagents.{LAMBDA}", OTHER)
    assert not refused or not may(person, f"{refused} lambdaagents.{LAMBDA}", applied)
    assert not may(person, f"patch lambdaagents/status.{LAMBDA}", applied)
