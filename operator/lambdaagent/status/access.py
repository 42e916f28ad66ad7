"""Decides the condition AccessEnforced: whether only callers with a right reach the agent's container.

It is never simply True: the gateway is one way to the container, and a pod of the cluster may have another one.
"""

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children import sidecar
from lambdaagent.settings import Installation
from lambdaagent.status.readiness import Readiness

_PAST_SIDECAR = (
    "the sidecar enforces access; a pod that reaches port {port} of the agent's pods calls the container past it: let "
    "the container listen on 127.0.0.1, or close the port with a NetworkPolicy where the cluster enforces these"
)
_CLOSED = (
    "close it with a NetworkPolicy where the cluster enforces these, or a mesh, or let the container refuse requests "
    "without LambdaAgent-Identity (spec.a2a.access.identity: assertion)"
)


def access_enforced(agent: LambdaAgent, installation: Installation) -> Readiness | None:
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
    if sidecar.asked(agent):
        return Readiness("Unknown", "PastSidecar", _PAST_SIDECAR.format(port=agent.spec.image.port))
    way = f"the gateway enforces access; a pod that reaches the Service {agent.name} calls the container past it"
    return Readiness("Unknown", "PastGateway", f"{way}: {_CLOSED}")
