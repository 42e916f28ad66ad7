"""The RabbitMQ topology that a set of agents needs, and whose exchanges may be removed. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.broker.bindings import Binding, Bound, all_bound
from lambdaagent.children.base import AgentKey, Observed
from lambdaagent.children.topology import Topology, forwarded, topology
from lambdaagent.settings import Installation


@dataclass(frozen=True, slots=True)
class Exchange:
    """The exchange of one Broker: the queues of its agents, and its queue of dead letters."""

    dead_letters: str
    queues: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)
    forwards: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)

    def bound(self) -> frozenset[Bound]:
        return all_bound(self.queues, self.forwards)


@dataclass(frozen=True, slots=True)
class DesiredTopology:
    agents: Mapping[AgentKey, Topology]
    exchanges: Mapping[str, Exchange]

    @property
    def queues(self) -> frozenset[str]:
        return frozenset(found.queue for found in self.agents.values())


def picture(agents: Iterable[LambdaAgent], installation: Installation) -> DesiredTopology:
    known = {(agent.namespace, agent.name): agent for agent in agents}
    found = {key: each for key, agent in known.items() if (each := topology(agent, installation)) is not None}
    queues: dict[str, dict[str, tuple[Binding, ...]]] = {}
    forwards: dict[str, dict[str, tuple[Binding, ...]]] = {}
    letters: dict[str, str] = {}
    observed = Observed(agents=known)
    for key, each in found.items():
        bindings = tuple(Binding(attributes) for attributes in each.bindings)
        queues.setdefault(each.exchange, {})[each.queue] = bindings
        letters[each.exchange] = each.dead_letters
        targets = forwards.setdefault(each.exchange, {})
        for target, kinds in forwarded(known[key], installation, observed).items():
            kept = targets.get(target, ())
            more = [binding for kind in kinds if (binding := Binding({"type": kind})) not in kept]
            targets[target] = (*kept, *more)
    return DesiredTopology(found, {name: Exchange(letters[name], queues[name], forwards[name]) for name in queues})


def is_watched(exchange: str, watched: Callable[[str], bool]) -> bool:
    """Return whether this dispatcher would declare the exchange if an agent used it.

    Other programs declare exchanges too, and other dispatchers serve other namespaces.
    """
    try:
        namespace, _ = naming.broker_of_exchange(exchange)
    except ValueError:
        return False
    return exchange.startswith("lambdaagent.") and watched(namespace)
