"""Evaluates NetworkPolicies as a network plugin does: who may open a connection to which port of a pod.

Only ingress is evaluated, over TCP. The rules are those of the API's documentation: a pod that no policy selects takes
every connection; policies add up; an absent `from` or `ports` is everybody or every port; a peer without a namespace
selector is in the policy's own namespace; the parts of one peer must all match. A plugin lets the node's own probes
pass, which are not asked about here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)  # of its containers, by name

    @property
    def namespace_labels(self) -> dict[str, str]:
        """Returns the label that every namespace has."""
        return {"kubernetes.io/metadata.name": self.namespace}


def pod(template: Document, namespace: str) -> Pod:
    """Returns the pod of a Deployment's or Job's template."""
    ports = [port for container in template["spec"]["containers"] for port in container.get("ports", ())]
    named = {port["name"]: port["containerPort"] for port in ports if "name" in port}
    return Pod(namespace, template["metadata"]["labels"], named)


def admits(policies: Sequence[Document], *, client: Pod, server: Pod, port: int) -> bool:
    """Returns whether a pod may connect to a port of another one."""
    selecting = [each for each in policies if _is_about(each, server)]
    if not selecting:
        return True
    rules = [(each, rule) for each in selecting for rule in each["spec"].get("ingress") or ()]
    return any(_takes(policy, rule, client) and _opens(rule, server, port) for policy, rule in rules)


def _is_about(policy: Document, server: Pod) -> bool:
    spec = policy["spec"]
    assert spec["policyTypes"] == ["Ingress"], "egress is not evaluated"
    return policy["metadata"]["namespace"] == server.namespace and matches(spec["podSelector"], server.labels)


def _takes(policy: Document, rule: Document, client: Pod) -> bool:
    peers = rule.get("from")
    return not peers or any(_is(policy, peer, client) for peer in peers)


def _is(policy: Document, peer: Document, client: Pod) -> bool:
    assert peer.keys() <= {"namespaceSelector", "podSelector"}, "blocks of addresses are not evaluated"
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"], client.namespace_labels):
            return False
    elif client.namespace != policy["metadata"]["namespace"]:
        return False
    return "podSelector" not in peer or matches(peer["podSelector"], client.labels)


def _opens(rule: Document, server: Pod, port: int) -> bool:
    ports = rule.get("ports")
    if not ports:
        return True
    for each in ports:
        assert each.get("protocol", "TCP") == "TCP"
        said = each.get("port")
        if said is None or port == (said if isinstance(said, int) else server.ports.get(said)):
            return True
    return False


def matches(selector: Document, labels: Mapping[str, str]) -> bool:
    """Returns whether a label selector selects an object; an empty one selects every object."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(rule, labels) for rule in selector.get("matchExpressions") or ())


def _holds(rule: Document, labels: Mapping[str, str]) -> bool:
    key = rule["key"]
    match rule["operator"]:
        case "In":
            return labels.get(key) in rule["values"]
        case "NotIn":
            return labels.get(key) not in rule["values"]
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise AssertionError(rule["operator"])
