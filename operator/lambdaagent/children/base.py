"""The inputs and common parts of the functions that build children.

A builder never reads from the cluster: what it needs to know of other objects is in `Observed`. Therefore `render`
(which observes nothing) and the operator use the same code.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.base import API_VERSION, KIND
from lambdaagent.settings import EventingBackend, Installation, ServingBackend

Object = dict[str, Any]  # a Kubernetes object, or a part of one
AgentKey = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True)
class Backends:
    serving: ServingBackend = "knative"
    eventing: EventingBackend = "knative"
    monitoring: bool = True  # whether the ServiceMonitor API is served


@dataclass(frozen=True, slots=True)
class Observed:
    """The state of the cluster that builders use; empty without a cluster."""

    agents: Mapping[AgentKey, LambdaAgent] = field(default_factory=dict)
    # Addresses of Brokers by namespace and name; one that is missing is not known (yet).
    broker_urls: Mapping[AgentKey, str] = field(default_factory=dict)
    # Event types, in their bare form, with a subscriber on the agent's Broker; None if not known.
    subscribed: AbstractSet[str] | None = None
    # `spec.delivery` of existing Brokers, by namespace and name; it cannot be changed.
    broker_deliveries: Mapping[AgentKey, Object] = field(default_factory=dict)


def backends(installation: Installation, served: frozenset[str] | None) -> Backends:
    """Resolve `auto`. `served` holds group/versions; None means no cluster to ask, and Knative is assumed.

    `auto` never chooses plain RabbitMQ, because the API server does not show whether there is one.
    """

    def has(*versions: str) -> bool:
        return served is None or served.issuperset(versions)

    serving: ServingBackend = "knative" if has("serving.knative.dev/v1") else "kubernetes"
    eventing: EventingBackend = "knative" if has("eventing.knative.dev/v1", "eventing.knative.dev/v1alpha1") else "none"
    return Backends(
        serving=serving if installation.serving == "auto" else installation.serving,
        eventing=eventing if installation.eventing == "auto" else installation.eventing,
        monitoring=has("monitoring.coreos.com/v1"),
    )


def labels(agent: LambdaAgent, component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": agent.name,
        "app.kubernetes.io/managed-by": naming.MANAGER,
        naming.LABEL_COMPONENT: component,
        naming.LABEL_AGENT: agent.name,
    }


def owner_reference(agent: LambdaAgent, *, controller: bool = True) -> Object:
    """Return the owner reference; for a shared object without `controller`, which only one owner may have."""
    reference: Object = {"apiVersion": API_VERSION, "kind": KIND, "name": agent.name, "uid": agent.uid}
    if controller:
        reference |= {"controller": True, "blockOwnerDeletion": True}
    return reference


def child(
    agent: LambdaAgent, api_version: str, kind: str, name: str, component: str, spec: Object, **metadata: Any
) -> Object:
    """Return an object that belongs to this agent alone; `metadata` adds labels and annotations."""
    meta: Object = {
        "name": name,
        "namespace": agent.namespace,
        "labels": labels(agent, component) | metadata.get("labels", {}),
    }
    if metadata.get("annotations"):
        meta["annotations"] = metadata["annotations"]
    if agent.uid:  # `render` has no UID
        meta["labels"][naming.LABEL_OWNER] = agent.uid
        meta["ownerReferences"] = [owner_reference(agent)]
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": spec}
