"""Indexes which event types are subscribed to on each Broker, and which agents declare that they emit them.

An agent's status names the emitted types without a subscriber. These depend on other agents, so the agent must be
reconciled when they change, and only then: otherwise a thousand agents on a Broker would wake each other at each edit.
"""

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children.base import AgentKey
from lambdaagent.children.brokers import broker_of
from lambdaagent.children.triggers import bare, exact
from lambdaagent.settings import Installation

_NOBODY: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Part:
    broker: AgentKey
    taken: frozenset[str]
    emitted: frozenset[str]


@dataclass
class Subscribers:
    installation: Installation
    _parts: dict[AgentKey, _Part] = field(default_factory=dict, init=False)
    _taken: dict[AgentKey, Counter[str]] = field(default_factory=dict, init=False)
    _emitters: dict[tuple[AgentKey, str], set[AgentKey]] = field(default_factory=dict, init=False)

    def on(self, broker: AgentKey) -> AbstractSet[str]:
        """Return the types, in their bare form, that at least one agent on this Broker subscribes to."""
        found = self._taken.get(broker)
        return found.keys() if found else _NOBODY

    def put(self, key: AgentKey, agent: LambdaAgent | None) -> set[AgentKey]:
        """Store an agent's present state (None if it is gone or invalid); return the agents whose emitted types gained
        their first subscriber or lost their last."""
        before, after = self._parts.pop(key, None), self._part(agent)
        if after:
            self._parts[key] = after
        if before == after:
            return set()
        had = self._taken_by(before) - self._taken_by(after)
        has = self._taken_by(after) - self._taken_by(before)
        self._forget(key, before)
        self._learn(key, after)
        flipped = {each for each in had if each[1] not in self.on(each[0])}
        flipped |= {each for each in has if self._taken[each[0]][each[1]] == 1}
        return {emitter for each in flipped for emitter in self._emitters.get(each, ())} - {key}

    def _part(self, agent: LambdaAgent | None) -> _Part | None:
        eventing = agent.spec.eventing if agent else None
        broker = broker_of(agent, self.installation) if agent else None
        if broker is None or eventing is None:
            return None
        taken = frozenset(bare(subscription.event_type) for subscription in exact(eventing))
        return _Part(broker.key, taken, frozenset(map(bare, eventing.intents)))

    @staticmethod
    def _taken_by(part: _Part | None) -> set[tuple[AgentKey, str]]:
        return {(part.broker, kind) for kind in part.taken} if part else set()

    def _forget(self, key: AgentKey, part: _Part | None) -> None:
        if part is None:
            return
        if part.taken:
            self._taken[part.broker] -= Counter(part.taken)
            if not self._taken[part.broker]:
                del self._taken[part.broker]
        for kind in part.emitted:
            emitters = self._emitters[part.broker, kind]
            emitters.discard(key)
            if not emitters:
                del self._emitters[part.broker, kind]

    def _learn(self, key: AgentKey, part: _Part | None) -> None:
        if part is None:
            return
        if part.taken:
            self._taken.setdefault(part.broker, Counter()).update(part.taken)
        for kind in part.emitted:
            self._emitters.setdefault((part.broker, kind), set()).add(key)
