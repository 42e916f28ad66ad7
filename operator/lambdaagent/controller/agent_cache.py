"""All agents as they were last seen: each parsed once per change of its spec, and what is kept of the object itself.

Reconciles read here and never ask the API server for an agent. Of the object only identity and status are kept: the
spec stands in the parsed agent, and the record of who wrote which field is as large as all the rest.
"""

from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, field

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.validation import Problem, parse_valid
from lambdaagent.children.base import AgentKey, Object
from lambdaagent.controller import ownership
from lambdaagent.controller.own_writes import OwnWrites
from lambdaagent.controller.probing import Prober
from lambdaagent.controller.subscribers import Subscribers
from lambdaagent.status.ai import endpoint

# What a write of status or finalizers changes; a parsed agent does not hold these.
_PASSING = ("resourceVersion", "managedFields", "finalizers", "deletionTimestamp")


@dataclass
class AgentCache:
    prober: Prober
    subscribers: Subscribers
    # Called with an agent that changed while it was being written.
    wake: Callable[[AgentKey], None]
    raw: dict[AgentKey, Object] = field(default_factory=dict)
    agents: dict[AgentKey, LambdaAgent] = field(default_factory=dict)
    # Those that break the API's rules are not in `agents`.
    problems: dict[AgentKey, list[Problem]] = field(default_factory=dict)
    # By an agent's key (which need not exist), those that forward to it.
    _forwarding: dict[AgentKey, set[AgentKey]] = field(default_factory=dict, init=False)
    _own_writes: OwnWrites = field(default_factory=OwnWrites, init=False)

    def seen(self, obj: Object) -> Set[AgentKey]:
        """Takes in an agent's present state; returns the agents to look at because of it."""
        key = key_of(obj)
        before = self.raw.get(key)
        if before is not None and not ownership.newer(obj, before):
            return frozenset()  # our own write comes back, or an event that it overtook
        held = self._own_writes.holds(key, obj)
        return self._take(key, obj, before) - ({key} if held else set())

    def _take(self, key: AgentKey, obj: Object, before: Object | None) -> Set[AgentKey]:
        self.raw[key] = after = slim(obj)
        if before is not None and _lasting(before) == _lasting(after):
            return {key}
        self._parse(key, obj)
        # One that was made anew under the same name begins with the same generation.
        if before is not None and all(
            before["metadata"].get(name) == after["metadata"].get(name) for name in ("uid", "generation")
        ):
            return {key}
        agent = self.agents.get(key)
        self.prober.put(key, endpoint(agent.spec.ai) if agent else None)
        return {key} | self._forwarding.get(key, frozenset()) | self.subscribers.put(key, agent)

    def gone(self, key: AgentKey) -> Set[AgentKey]:
        self.raw.pop(key, None)
        self._forget(key)
        self.prober.put(key, None)
        return self._forwarding.get(key, frozenset()) | self.subscribers.put(key, None)

    async def write(self, key: AgentKey, writing: Awaitable[Object]) -> Object:
        """Awaits a write to the agent itself, which is not woken by it."""
        answer, _ = await self._own_writes.write(key, writing, news=lambda: self.wake(key))
        return answer

    def wrote(self, obj: Object) -> None:
        """What a write of ours answered, which may come after the news that the object is gone."""
        if key_of(obj) in self.raw:
            self.seen(obj)

    def versions(self) -> dict[AgentKey, int]:
        return {key: ownership.version(obj) for key, obj in self.raw.items()}

    def _parse(self, key: AgentKey, obj: Object) -> None:
        self._forget(key)
        parsed = parse_valid(obj)
        if not isinstance(parsed, LambdaAgent):
            self.problems[key] = parsed
            return
        self.agents[key] = parsed
        for target in _targets(parsed):
            self._forwarding.setdefault(target, set()).add(key)

    def _forget(self, key: AgentKey) -> None:
        self.problems.pop(key, None)
        if (agent := self.agents.pop(key, None)) is None:
            return
        for target in _targets(agent):
            sources = self._forwarding[target]
            sources.discard(key)
            if not sources:
                del self._forwarding[target]


def _targets(agent: LambdaAgent) -> set[AgentKey]:
    forwards = agent.spec.eventing.forwards if agent.spec.eventing else ()
    return {(forward.target_namespace, forward.target_agent) for forward in forwards}


def key_of(obj: Object) -> AgentKey:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def slim(obj: Object) -> Object:
    """Without the spec, and of the managed fields only those that tell what the dispatcher said."""
    metadata = obj["metadata"]
    fields = [entry for entry in metadata.get("managedFields", []) if entry["manager"] == naming.STATUS_OF_DISPATCHER]
    kept = {name: value for name, value in obj.items() if name != "spec"}
    return kept | {"metadata": metadata | {"managedFields": fields}}


def _lasting(obj: Object) -> Object:
    return {name: value for name, value in obj["metadata"].items() if name not in _PASSING}
