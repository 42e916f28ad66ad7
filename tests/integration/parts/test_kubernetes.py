"""The API server of the tests is as strict as the clusters that users run."""

import copy
from typing import Any

import pytest
import yaml
from tests.parts import knative
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait
from tests.parts.rest import Rest, RestError

_EVENTING = "/apis/eventing.knative.dev/v1/namespaces/{namespace}/"
_SERVICES = "/apis/serving.knative.dev/v1/namespaces/{namespace}/services"

SERVICE: dict[str, Any] = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "a", "labels": {"networking.knative.dev/visibility": "cluster-local"}},
    "spec": {
        "template": {
            "metadata": {"annotations": {"autoscaling.knative.dev/min-scale": "0"}},
            "spec": {
                "timeoutSeconds": 300,
                "containers": [
                    {
                        "image": "x:1",
                        "env": [{"name": "A", "value": "1"}],
                        "ports": [{"containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}},
                        "resources": {"limits": {"cpu": "1", "memory": "64Mi"}},
                    }
                ],
            },
        },
        "traffic": [{"latestRevision": True, "percent": 100}],
    },
}
BROKER: dict[str, Any] = {
    "apiVersion": "eventing.knative.dev/v1",
    "kind": "Broker",
    "metadata": {"name": "b", "annotations": {"eventing.knative.dev/broker.class": "RabbitMQBroker"}},
    "spec": {
        "config": {
            "apiVersion": "eventing.knative.dev/v1alpha1",
            "kind": "RabbitmqBrokerConfig",
            "name": "b",
            "namespace": "default",
        },
        "delivery": {"retry": 3, "backoffDelay": "PT0.5S", "backoffPolicy": "exponential"},
    },
}
TRIGGER: dict[str, Any] = {
    "apiVersion": "eventing.knative.dev/v1",
    "kind": "Trigger",
    "metadata": {"name": "t", "annotations": {"rabbitmq.eventing.knative.dev/parallelism": "10"}},
    "spec": {
        "broker": "b",
        "filter": {"attributes": {"type": "x"}},
        "subscriber": {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "a"}},
    },
}
CONFIG: dict[str, Any] = {
    "apiVersion": "eventing.knative.dev/v1alpha1",
    "kind": "RabbitmqBrokerConfig",
    "metadata": {"name": "c"},
    "spec": {"rabbitmqClusterReference": {"name": "r", "namespace": "n"}, "queueType": "quorum"},
}
_COLLECTIONS = {
    "Service": _SERVICES,
    "Broker": f"{_EVENTING}brokers",
    "Trigger": f"{_EVENTING}triggers",
    "RabbitmqBrokerConfig": _EVENTING.replace("/v1/", "/v1alpha1/") + "rabbitmqbrokerconfigs",
}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(document)
    target: Any = document
    *parents, last = [int(key) if key.isdigit() else key.replace("~", ".") for key in path.split(".")]
    for key in parents:
        target = target[key] if isinstance(key, int) else target.setdefault(key, {})
    target[last] = value
    return document


def apply(rest: Rest, document: dict[str, Any], *, namespace: str) -> Any:
    collection = _COLLECTIONS[document["kind"]].format(namespace=namespace)
    return rest.apply(f"{collection}/{document['metadata']['name']}", document)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(SERVICE, id="service"),
        pytest.param(BROKER, id="broker"),
        pytest.param(TRIGGER, id="trigger"),
        pytest.param(CONFIG, id="broker config"),
    ],
)
def test_an_object_as_the_operator_writes_it_is_taken(
    kube_apiserver: KubeApiserver, namespace: str, document: dict[str, Any]
) -> None:
    first = apply(kube_apiserver.rest, document, namespace=namespace)
    second = apply(kube_apiserver.rest, document, namespace=namespace)
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


_CONTAINER = "spec.template.spec.containers.0"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        pytest.param(changed(SERVICE, "spec.template.spec.containrs", []), "not declared", id="a typo"),
        pytest.param(
            changed(SERVICE, "metadata.annotations.autoscaling~knative~dev/target", "1"), "must be put", id="p"
        ),
        pytest.param(changed(SERVICE, f"{_CONTAINER}.env", [{"name": "PORT"}]), "reserved env", id="reserved variable"),
        pytest.param(
            changed(SERVICE, f"{_CONTAINER}.ports", [{"containerPort": 9090}]), "reserved port", id="reserved port"
        ),
        pytest.param(
            changed(SERVICE, f"{_CONTAINER}.ports", [{"containerPort": 1}, {"containerPort": 2}]),
            "more than",
            id="2 ports",
        ),
        pytest.param(
            changed(SERVICE, f"{_CONTAINER}.readinessProbe.tcpSocket", {"port": 1}), "exactly one", id="probe"
        ),
        pytest.param(changed(SERVICE, "spec.template.spec.responseStartTimeoutSeconds", 301), "<= timeout", id="start"),
        pytest.param(changed(SERVICE, "spec.traffic.0.percent", 50), "sum to 100", id="traffic"),
        pytest.param(
            changed(SERVICE, "spec.template.metadata.annotations.autoscaling~knative~dev/window", "2h"),
            "1h",
            id="window",
        ),
        pytest.param(changed(SERVICE, "metadata.labels.networking~knative~dev/visibility", "x"), "invalid", id="label"),
        pytest.param(changed(BROKER, "spec.config.namespace", ""), "missing field", id="config without namespace"),
        pytest.param(changed(BROKER, "metadata.annotations", {}), "not a RabbitMQ", id="no class"),
        pytest.param(changed(BROKER, "spec.delivery.backoffDelay", "0.5s"), "backoffDelay", id="delay"),
        pytest.param(changed(TRIGGER, "spec.filter.attributes", {"type": ""}), "empty value", id="empty attribute"),
        pytest.param(changed(TRIGGER, "spec.filter.attributes", {"Ty-pe": "x"}), "attribute name", id="attribute name"),
        pytest.param(changed(TRIGGER, "spec.subscriber", {}), "expected at least one", id="no subscriber"),
        pytest.param(changed(TRIGGER, "spec.subscriber.uri", "http://x"), "relative", id="ref and absolute uri"),
        pytest.param(changed(CONFIG, "spec.rabbitmqClusterReference", {}), "exactly one", id="no cluster"),
    ],
)
def test_what_knative_refuses_is_refused_here(
    kube_apiserver: KubeApiserver, namespace: str, document: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RestError, match=reason):
        apply(kube_apiserver.rest, document, namespace=namespace)


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        pytest.param(BROKER, "spec.delivery.retry", 4, id="broker delivery"),
        pytest.param(CONFIG, "spec.queueType", "classic", id="config queue type"),
        pytest.param(TRIGGER, "spec.filter.attributes", {"type": "y"}, id="trigger filter"),
        pytest.param(TRIGGER, "spec.broker", "other", id="trigger broker"),
    ],
)
def test_what_is_immutable_in_knative_is_immutable_here(
    kube_apiserver: KubeApiserver, namespace: str, document: dict[str, Any], path: str, value: Any
) -> None:
    apply(kube_apiserver.rest, document, namespace=namespace)
    with pytest.raises(RestError, match="Immutable fields changed"):
        apply(kube_apiserver.rest, changed(document, path, value), namespace=namespace)
    apply(kube_apiserver.rest, changed(document, "metadata.labels.changes", "are-fine"), namespace=namespace)


def test_status_is_set_as_knative_sets_it(kube_apiserver: KubeApiserver, namespace: str) -> None:
    rest = kube_apiserver.rest
    for document in (SERVICE, BROKER, TRIGGER):
        apply(rest, document, namespace=namespace)
    assert knative.mark_all_ready(rest, namespace=namespace) == 3
    service = rest.get(f"{_SERVICES.format(namespace=namespace)}/a")
    assert service["status"]["address"]["url"] == f"http://a.{namespace}.svc.cluster.local"
    assert service["status"]["observedGeneration"] == service["metadata"]["generation"]
    failed = knative.mark_failed(
        rest, "Trigger", namespace=namespace, name="t", reason="BrokerMissing", message="none", condition="BrokerReady"
    )
    ready = {c["type"]: c["status"] for c in failed["status"]["conditions"]}
    assert (ready["Ready"], ready["BrokerReady"], ready["SubscriberResolved"]) == ("False", "False", "True")


def test_the_garbage_collector_removes_what_an_owner_left(kube_apiserver: KubeApiserver, namespace: str) -> None:
    rest = kube_apiserver.rest
    broker = apply(rest, BROKER, namespace=namespace)
    owner = {"apiVersion": broker["apiVersion"], "kind": "Broker", "name": "b", "uid": broker["metadata"]["uid"]}
    apply(rest, changed(TRIGGER, "metadata.ownerReferences", [owner]), namespace=namespace)
    rest.delete(f"{_COLLECTIONS['Broker'].format(namespace=namespace)}/b")
    wait(lambda: rest.find(f"{_COLLECTIONS['Trigger'].format(namespace=namespace)}/t") is None)


def test_a_service_account_may_do_only_what_is_bound_to_it(kube_apiserver: KubeApiserver, namespace: str) -> None:
    path = kube_apiserver.kubeconfig_for_service_account(namespace=namespace, name="weak")
    token = yaml.safe_load(path.read_text())["users"][0]["user"]["token"]
    weak = Rest(url=kube_apiserver.url, token=token, ca=kube_apiserver.ca)
    with pytest.raises(RestError, match="403"):
        weak.get(_SERVICES.format(namespace=namespace))
