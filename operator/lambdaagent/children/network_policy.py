"""The NetworkPolicy of an agent that asks for one: only the processes that call its container reach its port, or with a
sidecar, everybody reaches the sidecar and nobody the container.

It works on plain Kubernetes alone. On Knative, requests arrive through the activator, which passes on those of every
pod of the cluster, so a policy could not tell callers apart; a warning says so. Hazard: the API server stores a policy
also where no network plugin enforces it.
"""

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children import kubernetes, sidecar
from lambdaagent.children.base import Backends, Object, child
from lambdaagent.children.brokers import broker_of
from lambdaagent.settings import INSTALLED_IN, Installation

NETWORK_POLICY = ("networking.k8s.io/v1", "NetworkPolicy")
# Pods with these labels deliver events: the Deployments that Knative's RabbitMQ broker makes for each Trigger.
_OF_TRIGGERS = {"eventing.knative.dev/brokerRole": "dispatcher"}


def asked(agent: LambdaAgent) -> bool:
    access = agent.spec.a2a.access if agent.spec.a2a and agent.spec.a2a.enabled else None
    return access is not None and access.network_policy


def callers(agent: LambdaAgent) -> tuple[str, ...]:
    """Return the processes of the installation that call the agent's container."""
    a2a = agent.spec.a2a
    reads_card = a2a is not None and a2a.protocol in ("a2a", "mcp") and a2a.mode == "gateway"
    return ("gateway", "dispatcher", *(("operator",) if reads_card else ()))


def network_policy(agent: LambdaAgent, installation: Installation, backends: Backends) -> Object | None:
    """Return the policy; None if the agent asks for none, and on Knative. The node's own probes always pass."""
    if not asked(agent) or agent.external is not None or backends.serving != "kubernetes":
        return None
    port = {"protocol": "TCP", "port": kubernetes.port(agent, installation)}
    if sidecar.wanted(agent, installation):
        return _policy(agent, {"ports": [port]})
    processes: Object = {
        "matchLabels": {"app.kubernetes.io/name": "lambdaagent"},
        "matchExpressions": [{"key": naming.LABEL_COMPONENT, "operator": "In", "values": list(callers(agent))}],
    }
    peers: list[Object] = [
        {"namespaceSelector": _namespace(installation.pod_namespace or INSTALLED_IN), "podSelector": processes}
    ]
    if backends.eventing == "knative" and broker_of(agent, installation) is not None:
        peers.append({"podSelector": {"matchLabels": dict(_OF_TRIGGERS)}})  # they run in the namespace of the Broker
    return _policy(agent, {"from": peers, "ports": [port]})


def _policy(agent: LambdaAgent, admitted: Object) -> Object:
    spec: Object = {
        "podSelector": {"matchLabels": kubernetes.selector(agent)},
        "policyTypes": ["Ingress"],
        "ingress": [admitted],
    }
    return child(agent, *NETWORK_POLICY, agent.name, "agent", spec)


def _namespace(name: str) -> Object:
    return {"matchLabels": {"kubernetes.io/metadata.name": name}}
