"""Decides the condition AccessEnforced: whether only callers with a right reach the agent's container.

The gateway is one way to the container, and a pod of the cluster may have another one. So it is True only where the
agent's NetworkPolicy exists, and its message says on what that depends: the API server cannot tell whether a network
plugin enforces it.
"""

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children import sidecar
from lambdaagent.children.network_policy import NETWORK_POLICY, asked, callers
from lambdaagent.children.plan import Plan
from lambdaagent.settings import Installation
from lambdaagent.status.conditions import World
from lambdaagent.status.readiness import Readiness

_PAST_SIDECAR = (
    "the sidecar enforces access; a pod that reaches port {port} of the agent's pods calls the container past it: let "
    "the container listen on 127.0.0.1, or close the port with a NetworkPolicy where the cluster enforces these"
)
_OR = "a mesh, or let the container refuse requests without LambdaAgent-Identity (spec.a2a.access.identity: assertion)"


def access_enforced(agent: LambdaAgent, installation: Installation, plan: Plan, world: World) -> Readiness | None:
    """Return the condition; None for an agent that is not served over A2A."""
    a2a = agent.spec.a2a
    if a2a is None or not a2a.enabled or not installation.gateway_url:
        return None
    if installation.access == "off":
        message = "LAMBDAAGENT_ACCESS is off: whoever reaches the gateway may call the agent"
        return Readiness("False", "AccessOpen", message)
    if installation.access == "audit":
        message = "LAMBDAAGENT_ACCESS is audit: the gateway logs what it would refuse, and serves it"
        return Readiness("False", "AccessAudited", message)
    if a2a.access is not None and a2a.access.public:
        message = "the agent is public: everybody may call it, if the installation allows public agents"
        return Readiness("False", "Public", message)
    if agent.external is not None:
        message = (
            "the gateway enforces access; whoever reaches the external server itself calls it past the gateway: let it"
            " refuse requests without LambdaAgent-Identity (spec.a2a.access.identity: assertion)"
        )
        return Readiness("Unknown", "PastGateway", message)
    if asked(agent) and plan.backends.serving == "kubernetes":
        return _closed(agent, plan, world)
    if sidecar.asked(agent):
        return Readiness("Unknown", "PastSidecar", _PAST_SIDECAR.format(port=agent.spec.container_image.port))
    way = f"the gateway enforces access; a pod that reaches the Service {agent.name} calls the container past it"
    policy = "spec.a2a.access.networkPolicy or " if plan.backends.serving == "kubernetes" else ""
    return Readiness("Unknown", "PastGateway", f"{way}: close it with {policy}{_OR}")


def _closed(agent: LambdaAgent, plan: Plan, world: World) -> Readiness:
    key = (*NETWORK_POLICY, agent.name)
    if failure := world.failures.get(key):
        return Readiness("False", failure.reason, f"NetworkPolicy {agent.name}: {failure.message}")
    if key not in world.live:
        return Readiness("Unknown", "NotCreated", f"NetworkPolicy {agent.name} does not exist yet")
    if sidecar.asked(agent):
        message = (
            f"the sidecar enforces access, and NetworkPolicy {agent.name} lets nobody reach the container past it, if "
            "the cluster's network plugin enforces NetworkPolicies and no other policy opens the port"
        )
        return Readiness("True", "NetworkPolicy", message)
    brokers = plan.backends.eventing == "knative" and plan.broker is not None
    others = [*callers(agent)[1:], *(["the pods that deliver Triggers' events"] if brokers else [])]
    message = (
        f"the gateway enforces access, and NetworkPolicy {agent.name} lets only it, {', '.join(others)} reach the "
        "container, if the cluster's network plugin enforces NetworkPolicies and no other policy opens the port"
    )
    return Readiness("True", "NetworkPolicy", message)
