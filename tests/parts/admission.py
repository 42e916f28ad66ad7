"""The refusals of Knative's admission webhooks, as admission policies of the API server.

The schemas upstream accept nearly everything; the webhooks refuse, and they do not run here. `admission/` holds their
rules for the objects that the operator writes as CEL, for both sets of CRDs. A policy takes effect a moment after it is
stored, so install() sends dry runs until each policy refuses.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.parts.documents import documents
from tests.parts.polling import wait
from tests.parts.process import PartFailedError
from tests.parts.rest import Rest, RestError

_PLURALS = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
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
        for document in documents(path.read_text()):
            plural = _PLURALS[document["kind"]]
            rest.apply(f"/apis/admissionregistration.k8s.io/v1/{plural}/{document['metadata']['name']}", document)
    deadline = time.monotonic() + within
    for address, refused in _REFUSED:
        while not _is_refused(rest, address, refused):
            if time.monotonic() > deadline:
                raise PartFailedError(f"the admission policies do not work after {within} s: {address}")
            time.sleep(0.05)


@contextlib.contextmanager
def policy(
    rest: Rest, namespace: str, resource: tuple[str, str, str], works: Callable[[], bool], **spec: Any
) -> Iterator[None]:
    """Keeps a policy for one resource (group, version, plural) in one namespace until the end of the block.

    The block begins when `works` returns true. A spec with `mutations` makes a MutatingAdmissionPolicy, another spec a
    ValidatingAdmissionPolicy.
    """
    kind, version = ("Mutating", "v1beta1") if "mutations" in spec else ("Validating", "v1")
    group, served, plural = resource
    name, root = f"{namespace}-{secrets.token_hex(4)}", f"/apis/admissionregistration.k8s.io/{version}"
    rule = {"apiGroups": [group], "apiVersions": [served], "operations": ["CREATE", "UPDATE"], "resources": [plural]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    constraints = {"resourceRules": [rule], "namespaceSelector": selector}
    also = {"reinvocationPolicy": "Never"} if kind == "Mutating" else {}
    binding = {"policyName": name} | ({} if kind == "Mutating" else {"validationActions": ["Deny"]})
    paths = []
    try:
        for suffix, body in (
            ("Policy", {"failurePolicy": "Fail", "matchConstraints": constraints, **also, **spec}),
            ("PolicyBinding", binding),
        ):
            document = {"kind": f"{kind}Admission{suffix}", "metadata": {"name": name}, "spec": body}
            paths.append(f"{root}/{_PLURALS[document['kind']]}")
            rest.post(paths[-1], {"apiVersion": root.removeprefix("/apis/"), **document})
        wait(works, within=30, what=f"the policy {name} in effect")
        yield
    finally:
        for path in reversed(paths):
            rest.delete(f"{path}/{name}")


def _is_refused(rest: Rest, address: str, body: dict[str, Any]) -> bool:
    try:
        rest.post(address, body, dryRun="All")
    except RestError as error:
        if error.status == 422 and "ValidatingAdmissionPolicy" in str(error):
            return True
        raise
    return False
