"""What an agent needs on plain RabbitMQ (or the in-process broker): one queue, bound to its Broker's exchange."""

from dataclasses import dataclass

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children.brokers import broker_of
from lambdaagent.children.triggers import attributes, exact
from lambdaagent.settings import Installation


@dataclass(frozen=True, slots=True)
class Topology:
    exchange: str
    queue: str
    bindings: tuple[dict[str, str], ...]
    parallelism: int


def topology(agent: LambdaAgent, installation: Installation) -> Topology | None:
    """None: the agent takes no events."""
    identity, eventing = broker_of(agent, installation), agent.spec.eventing
    if identity is None or eventing is None:
        return None
    return Topology(
        exchange=naming.exchange(agent.namespace, identity.name),
        queue=naming.queue(agent.namespace, agent.name),
        bindings=tuple(attributes(subscription) for subscription in exact(eventing)),
        parallelism=eventing.parallelism,
    )
