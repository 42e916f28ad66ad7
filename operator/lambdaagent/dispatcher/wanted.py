"""What RabbitMQ is to look like for a set of agents, and whose queues may be taken away. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.broker.protocol import Binding
from lambdaagent.children.base import AgentKey
from lambdaagent.children.topology import Topology, topology
from lambdaagent.settings import Installation


@dataclass(frozen=True, slots=True)
class Exchange:
    """One Broker's: the queues of its agents, and where its dead letters go."""

    dead_letters: str
    queues: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    agents: Mapping[AgentKey, Topology]
    exchanges: Mapping[str, Exchange]

    @property
    def queues(self) -> frozenset[str]:
        return frozenset(found.queue for found in self.agents.values())


def picture(agents: Iterable[LambdaAgent], installation: Installation) -> Picture:
    found = {
        (agent.namespace, agent.name): each for agent in agents if (each := topology(agent, installation)) is not None
    }
    exchanges: dict[str, dict[str, tuple[Binding, ...]]] = {}
    letters: dict[str, str] = {}
    for each in found.values():
        bindings = tuple(Binding(attributes) for attributes in each.bindings)
        exchanges.setdefault(each.exchange, {})[each.queue] = bindings
        letters[each.exchange] = each.dead_letters
    return Picture(found, {name: Exchange(letters[name], queues) for name, queues in exchanges.items()})


def is_watched(exchange: str, namespaces: tuple[str, ...]) -> bool:
    """Whether it would be in the picture if an agent used it: others declare exchanges, and see to other namespaces."""
    try:
        namespace, _ = naming.broker_of_exchange(exchange)
    except ValueError:
        return False
    return exchange.startswith("lambdaagent.") and (not namespaces or namespace in namespaces)
