"""The RabbitMQ topology that a set of agents needs, and whose exchanges may be removed. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.broker.bindings import Binding, ExchangeDeclaration
from lambdaagent.children.base import AgentKey, Observed
from lambdaagent.children.topology import Topology, forwarded, topology
from lambdaagent.settings import Installation


@dataclass(frozen=True, slots=True)
class DesiredTopology:
    agents: Mapping[AgentKey, Topology]
    exchanges: Mapping[str, ExchangeDeclaration]

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
    exchanges = {
        name: ExchangeDeclaration(name, queues[name], forwards[name], dead_letters=letters[name]) for name in queues
    }
    return DesiredTopology(found, exchanges)


def is_watched(exchange: str, watched: Callable[[str], bool]) -> bool:
    """Return whether this dispatcher would declare the exchange if an agent used it.

    Other programs declare exchanges too, and other dispatchers serve other namespaces.
    """
    try:
        namespace, _ = naming.broker_of_exchange(exchange)
    except ValueError:
        return False
    return exchange.startswith("lambdaagent.") and watched(namespace)
