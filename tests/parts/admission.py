"""The refusals of Knative's admission webhooks, as admission policies of the API server itself.

Upstream's schemas accept nearly everything; its webhooks do the refusing, and they do not run here. What they say about
the objects that our operator writes stands in `admission/` as CEL, for both sets of CRDs. A policy works only a moment
after it was stored, so install() asks with a dry run until the last one refuses.
"""

import time
from pathlib import Path
from typing import Any

import yaml
from tests.parts.process import PartFailedError
from tests.parts.rest import Rest, RestError

_PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
_REFUSED: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "/apis/serving.knative.dev/v1/namespaces/default/services",
        {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": {"name": "probe", "annotations": {"autoscaling.knative.dev/min-scale": "0"}},
            "spec": {"template": {"spec": {"containers": [{"image": "probe"}]}}},
        },
    ),
    (
        "/apis/eventing.knative.dev/v1/namespaces/default/brokers",
        {
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Broker",
            "metadata": {"name": "probe"},
            "spec": {"config": {"name": "probe"}},
        },
    ),
    (
        "/apis/eventing.knative.dev/v1/namespaces/default/triggers",
        {
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Trigger",
            "metadata": {"name": "probe"},
            "spec": {"broker": "", "subscriber": {"uri": "http://probe.invalid"}},
        },
    ),
    (
        "/apis/eventing.knative.dev/v1alpha1/namespaces/default/rabbitmqbrokerconfigs",
        {
            "apiVersion": "eventing.knative.dev/v1alpha1",
            "kind": "RabbitmqBrokerConfig",
            "metadata": {"name": "probe"},
            "spec": {"rabbitmqClusterReference": {}},
        },
    ),
)


def install(rest: Rest, *, within: float = 30) -> None:
    for path in sorted(Path(__file__).with_name("admission").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            plural = _PLURALS[document["kind"]]
            rest.apply(f"/apis/admissionregistration.k8s.io/v1/{plural}/{document['metadata']['name']}", document)
    deadline = time.monotonic() + within
    for address, refused in _REFUSED:
        while not _is_refused(rest, address, refused):
            if time.monotonic() > deadline:
                raise PartFailedError(f"the admission policies do not work after {within} s: {address}")
            time.sleep(0.05)


def _is_refused(rest: Rest, address: str, body: dict[str, Any]) -> bool:
    try:
        rest.post(address, body, dryRun="All")
    except RestError as error:
        if error.status == 422 and "ValidatingAdmissionPolicy" in str(error):
            return True
        raise
    return False
