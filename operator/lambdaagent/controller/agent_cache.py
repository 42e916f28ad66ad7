"""A cache of all agents in their last known state; a spec is parsed once per change.

Reconciles read agents from here and never from the API server. Of the object itself only identity and status are kept:
the parsed agent holds the spec, and the managed fields are as large as the rest of the object.
"""

from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, field

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.validation import SpecProblem, parse_valid
from lambdaagent.children.base import AgentKey, Object
from lambdaagent.controller import ownership
from lambdaagent.controller.own_writes import OwnWrites
from lambdaagent.controller.probing import Prober
from lambdaagent.controller.subscribers import Subscribers
from lambdaagent.status.ai import endpoint

# Metadata that a write of status or finalizers changes. A parsed agent does not contain it.
_PASSING = ("resourceVersion", "managedFields", "finalizers", "deletionTimestamp")


@dataclass
class AgentCache:
    prober: Prober
    # Called with each agent that is new, changed or gone (None), for the servers that it names.
    put_servers: Callable[[AgentKey, LambdaAgent | None], None]
    subscribers: Subscribers
    # Called with an agent that changed while it was being written.
    wake: Callable[[AgentKey], None]
    raw: dict[AgentKey, Object] = field(default_factory=dict)
    agents: dict[AgentKey, LambdaAgent] = field(default_factory=dict)
    # Agents that break the API's rules; they are not in `agents`.
    problems: dict[AgentKey, list[SpecProblem]] = field(default_factory=dict)
    # For each agent, which need not exist, the agents that forward to it.
    _forwarding: dict[AgentKey, set[AgentKey]] = field(default_factory=dict, init=False)
    _own_writes: OwnWrites = field(default_factory=OwnWrites, init=False)

    def seen(self, obj: Object) -> Set[AgentKey]:
        """Store the present state of an agent and return the agents that must be reconciled because of it."""
        key = key_of(obj)
        before = self.raw.get(key)
        if before is not None and not ownership.newer(obj, before):
            return frozenset()  # the result of our own write, or an event that our write has overtaken
        held = self._own_writes.holds(key, obj)
        return self._take(key, obj, before) - ({key} if held else set())

    def _take(self, key: AgentKey, obj: Object, before: Object | None) -> Set[AgentKey]:
        self.raw[key] = after = slim(obj)
        if before is not None and _lasting(before) == _lasting(after):
            return {key}
        self._parse(key, obj)
        # An agent that was created again under the same name begins with the same generation.
        if before is not None and all(
            before["metadata"].get(name) == after["metadata"].get(name) for name in ("uid", "generation")
        ):
            return {key}
        agent = self.agents.get(key)
        self.prober.put(key, endpoint(agent.spec.ai) if agent else None)
        self.put_servers(key, agent)
        return {key} | self._forwarding.get(key, frozenset()) | self.subscribers.put(key, agent)

    def gone(self, key: AgentKey) -> Set[AgentKey]:
        self.raw.pop(key, None)
        self._forget(key)
        self.prober.put(key, None)
        self.put_servers(key, None)
        return self._forwarding.get(key, frozenset()) | self.subscribers.put(key, None)

    async def write(self, key: AgentKey, writing: Awaitable[Object]) -> Object:
        """Await a write to the agent itself; the write does not wake the agent."""
        answer, _ = await self._own_writes.write(key, writing, news=lambda: self.wake(key))
        return answer

    def wrote(self, obj: Object) -> None:
        """Store the result of our own write, unless the agent has been deleted meanwhile."""
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
    """Return the object without its spec and with no managed fields but those of the dispatcher's status."""
    metadata = obj["metadata"]
    fields = [entry for entry in metadata.get("managedFields", []) if entry["manager"] == naming.STATUS_OF_DISPATCHER]
    kept = {name: value for name, value in obj.items() if name != "spec"}
    return kept | {"metadata": metadata | {"managedFields": fields}}


def _lasting(obj: Object) -> Object:
    return {name: value for name, value in obj["metadata"].items() if name not in _PASSING}
