"""Keeps the exchanges, queues and bindings that the agents need on RabbitMQ, and consumes the queues; level-triggered.

Changes are collected for a moment, so that a thousand agents at the start are one pass. Each pass declares the
exchanges that differ from the last one, removes what no agent needs any more, and starts, replaces or ends consumers.
The broker makes again what was deleted, and what RabbitMQ refuses is retried with the next resync, not in a loop; the
agent's condition reports both, and also what a policy of RabbitMQ took out of the agent's queue.

Hazard: another dispatcher may have seen an agent, or a change of one, that this one has not seen yet. To unbind what
that dispatcher bound would lose events that other agents take too, and with its queue the events that wait there. So a
binding that this dispatcher never made stays for some seconds; this is decided while no process can bind in between.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

import structlog

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.backoff import Backoff
from lambdaagent.broker.bindings import Bound, ExchangeDeclaration, Keep
from lambdaagent.broker.errors import RefusedQueuesError, TopologyError
from lambdaagent.broker.protocol import Broker, Handler, Loss
from lambdaagent.cancellation import cancel
from lambdaagent.children.base import AgentKey
from lambdaagent.children.topology import Topology
from lambdaagent.clock import rfc3339
from lambdaagent.dispatcher import policies
from lambdaagent.dispatcher.condition_reasons import ConditionReason
from lambdaagent.dispatcher.desired_topology import DesiredTopology, is_watched, picture
from lambdaagent.errors import LambdaAgentError
from lambdaagent.httpclient.wire import Target
from lambdaagent.settings import Installation
from lambdaagent.status.readiness import Readiness

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """The parameters of a consumer: a different value needs a new consumer."""

    topology: Topology
    target: Target


@dataclass
class ConsumerManager:
    broker: Broker
    installation: Installation
    watched: Callable[[str], bool]
    """Returns whether all agents of a namespace are known: only then is anything unneeded removed there."""
    handler: Callable[[LambdaAgent, ConsumerSpec], Handler]
    say: Callable[[LambdaAgent, Readiness | None], None]
    failed: Callable[[str], None]
    gather: float = 0.1
    resync: float = 300.0
    look_every: float = 5.0
    patience: float = 30.0
    """Seconds for which RabbitMQ may be unavailable before every agent's condition reports it."""
    losses_said: float = 3600.0
    """Seconds for which the condition reports that a queue was deleted and made again, or that a policy took events."""
    grace: float = 10.0
    """Seconds for which a binding that this process does not know stays."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=30.0))
    standing: bool = field(default=False, init=False)
    """Whether everything that the agents need was declared at least once."""
    _agents: dict[AgentKey, tuple[LambdaAgent, Target | None]] = field(default_factory=dict, init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _unreadable: set[AgentKey] = field(default_factory=set, init=False)
    _declared: dict[str, ExchangeDeclaration] = field(default_factory=dict, init=False)
    _refused: dict[str, str] = field(default_factory=dict, init=False)  # RabbitMQ's reason, by exchange or queue
    _wanted: DesiredTopology | None = field(default=None, init=False)
    _consumers: dict[AgentKey, tuple[ConsumerSpec, asyncio.Task[None]]] = field(default_factory=dict, init=False)
    _ending: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _known_others: bool = field(default=False, init=False)
    # Queues of removed agents, until a pass removed them: another agent may get the same name.
    _gone: set[str] = field(default_factory=set, init=False)
    _made: dict[str, frozenset[Bound]] = field(default_factory=dict, init=False)  # by exchange, as last declared
    # By exchange: when a binding that this process does not know was first seen.
    _strangers: dict[str, dict[Bound, float]] = field(default_factory=dict, init=False)
    _again: dict[str, float] = field(default_factory=dict, init=False)  # by exchange, when unknown bindings may go
    _away: str = field(default="", init=False)  # why RabbitMQ is unavailable
    _lost: dict[str, Loss] = field(default_factory=dict, init=False)
    _died: policies.Recent = field(default_factory=dict, init=False)

    def upsert(self, agent: LambdaAgent, target: Target | None) -> None:
        """Add or update an agent. `target` is None while the agent has no address: its events wait."""
        self._agents[agent.namespace, agent.name] = agent, target
        self._gone.discard(naming.queue(agent.namespace, agent.name))
        self._unreadable.discard((agent.namespace, agent.name))
        self._changed.set()

    def unreadable(self, key: AgentKey) -> None:
        """Note an agent that cannot be read: its queue and bindings stay, because its needs are unknown.

        An agent that could be read before is served as it was then.
        """
        self._unreadable.add(key)

    def remove(self, key: AgentKey) -> None:
        self._agents.pop(key, None)
        self._gone.add(naming.queue(*key))
        if key in self._unreadable:
            self._unreadable.discard(key)
            self._declared.clear()  # so that the next pass removes its bindings, which this process did not declare
        self._changed.set()

    @property
    def consumers(self) -> int:
        return len(self._consumers)

    async def run(self) -> None:
        """Run until cancelled; then the consumers may finish what they began."""
        failures = 0
        looking = asyncio.create_task(self._look(), name="look after RabbitMQ")
        try:
            while True:
                self._changed.clear()
                try:
                    await self._pass()
                    failures = 0
                except LambdaAgentError as problem:
                    failures += 1
                    self.failed("topology")
                    log.warning("topology.declare_failed", error=str(problem))
                if failures:
                    await self._wait(self.backoff.delay(failures))
                elif self._again:
                    await self._wait(min(self.resync, self._until_again()), doubt=False)
                else:
                    await self._wait(self.resync)
        finally:
            await cancel(looking)
            for key in list(self._consumers):
                self._end(key)
            if self._ending:
                await asyncio.wait(self._ending)

    async def _look(self) -> None:
        """Report for all agents that RabbitMQ is unavailable, or lost or dead-lettered something, until that is over.

        A restart of RabbitMQ shorter than `patience` is not reported.
        """
        missed = 0.0
        while True:
            await self.sleep(self.look_every)
            missed = 0.0 if self.broker.ready else missed + self.look_every
            away = (self.broker.problem or "it accepts no events") if missed >= self.patience else ""
            if bool(away) is not bool(self._away):
                if away:
                    log.warning("rabbitmq.outage_started", agents=len(self._agents), error=away)
                else:
                    log.warning("rabbitmq.outage_ended", agents=len(self._agents))
            lost = self._recent_losses()
            died = policies.recent(self.broker.deaths, since=self.now() - self.losses_said)
            if (away, lost, died) != (self._away, self._lost, self._died):
                self._away, self._lost, self._died = away, lost, died
                self._say()

    def _recent_losses(self) -> dict[str, Loss]:
        since = self.now() - self.losses_said
        return {name: loss for name, loss in self.broker.losses.items() if loss.problem or loss.at >= since}

    async def _wait(self, seconds: float, *, doubt: bool = True) -> None:
        """Wait for a change. If none comes in time and `doubt` is set, make the next pass check everything again."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            if doubt:
                self.broker.doubt()
                self._declared.clear()
            return
        await asyncio.sleep(self.gather)

    def _until_again(self) -> float:
        return max(self.gather, min(self._again.values()) - self.monotonic())

    async def _pass(self) -> None:
        wanted, left = picture([agent for agent, _ in self._agents.values()], self.installation), set(self._gone)
        for exchange in [name for name, at in self._again.items() if at <= self.monotonic()]:
            del self._again[exchange]
            if exchange in wanted.exchanges:
                self._declared.pop(exchange, None)
        stale = await self._declare(wanted.exchanges)
        gone = self._declared.keys() - wanted.exchanges.keys()
        if not self._known_others:
            gone |= {name for name in await self.broker.exchanges() if is_watched(name, self.watched)}
        doubtful = {namespace for namespace, _ in self._unreadable - self._agents.keys()}
        all_judged = True
        for exchange in sorted(gone - wanted.exchanges.keys()):
            if naming.broker_of_exchange(exchange)[0] in doubtful:
                continue
            queues = await self.broker.remove_exchange(exchange, keep=self._keep(exchange))
            if queues is None:
                all_judged = False
                continue
            stale |= queues
            for known in (self._declared, self._made, self._strangers):
                known.pop(exchange, None)
        self._known_others = all_judged
        await self._consume(wanted)
        for queue in sorted(stale - wanted.queues - self._kept()):
            log.info("queue.removed", queue=queue)
            await self.broker.remove_queue(queue)
        self._gone -= left - wanted.queues
        self.standing = True
        self._wanted = wanted
        self._say()

    def _keep(self, exchange: str) -> Keep:
        made = self._made.get(exchange, frozenset())

        def keep(others: Collection[Bound]) -> set[Bound]:
            """Return those unneeded bindings whose agents this dispatcher does not know well enough."""
            unreadable, now, met = self._kept(), self.monotonic(), self._strangers.get(exchange, {})
            found = {each for each in others if each[0] in unreadable}
            strangers = {each for each in others if each not in made and each[0] not in self._gone} - found
            # A binding that vanished and came back counts as newly seen.
            self._strangers[exchange] = {each: met.get(each, now) for each in strangers}
            young = self._young(exchange)
            if young:
                self._again[exchange] = min(young.values()) + self.grace
            return found | young.keys()

        return keep

    def _young(self, exchange: str) -> dict[Bound, float]:
        now = self.monotonic()
        return {each: met for each, met in self._strangers.get(exchange, {}).items() if now < met + self.grace}

    def _say(self) -> None:
        if self._wanted is None:
            return
        for key, (agent, target) in self._agents.items():
            self.say(agent, self._readiness(key, self._wanted.agents.get(key), bound=target is not None))

    def _kept(self) -> frozenset[str]:
        return frozenset(naming.queue(*key) for key in self._unreadable - self._agents.keys())

    async def _declare(self, wanted: Mapping[str, ExchangeDeclaration]) -> set[str]:
        """Return the queues that lost their bindings. Raises TemporaryError; permanent refusals are noted."""
        stale: set[str] = set()
        for name, exchange in wanted.items():
            if self._declared.get(name) == exchange:
                continue
            for known in (name, *exchange.queues):
                self._refused.pop(known, None)
            try:
                stale |= await self.broker.declare(replace(exchange, keep=self._keep(name)))
            except RefusedQueuesError as problem:
                self._refused |= problem.refused
                stale |= problem.stale
            except TopologyError as problem:
                self._refused[name] = str(problem)
            self._declared[name] = exchange
            self._made[name] = exchange.bound()
            self._strangers[name] = self._young(name)  # the older ones were unbound
        return stale

    async def _consume(self, wanted: DesiredTopology) -> None:
        serve: dict[AgentKey, ConsumerSpec] = {}
        for key, topology in wanted.agents.items():
            target = self._agents[key][1]
            if target is not None and topology.queue not in self._refused and topology.exchange not in self._refused:
                serve[key] = ConsumerSpec(topology, target)
        ended = [key for key, (served, task) in self._consumers.items() if serve.get(key) != served or task.done()]
        for key in ended:
            self._end(key)
        for key, served in serve.items():
            if key not in self._consumers:
                agent = self._agents[key][0]
                task = asyncio.create_task(self._attend(agent, served), name=f"agent {agent.key}")
                self._consumers[key] = served, task

    async def _attend(self, agent: LambdaAgent, served: ConsumerSpec) -> None:
        topology = served.topology
        async with self.broker.consume(
            topology.queue,
            parallelism=topology.parallelism,
            handler=self.handler(agent, served),
            dead_letters=topology.dead_letters,
        ):
            await asyncio.Event().wait()

    def _end(self, key: AgentKey) -> None:
        """End a consumer without waiting: it may finish what it began while its successor stands by on the queue."""
        _, task = self._consumers.pop(key)
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _readiness(self, key: AgentKey, topology: Topology | None, *, bound: bool) -> Readiness | None:
        if topology is None:
            return None
        if self._away:
            return _readiness(ConditionReason.UNAVAILABLE, f"RabbitMQ cannot be used: {self._away}")
        for name in (topology.exchange, topology.queue):
            if (problem := self._refused.get(name)) is not None:
                return _readiness(ConditionReason.REFUSED, problem)
        of_it = (topology.exchange, topology.queue, topology.dead_letters)
        lost = {name: self._lost[name] for name in of_it if name in self._lost}
        for name, loss in lost.items():
            if loss.problem:
                return _readiness(ConditionReason.MISSING, f"{name} was deleted on RabbitMQ: {loss.problem}")
        waiting = "" if bound else "; its events wait there until the agent has an address"
        reason, said = ConditionReason.READY, [f"queue {topology.queue} has {len(topology.bindings)} bindings{waiting}"]
        if died := policies.said(topology, namespace=key[0], name=key[1], told=self._died):
            reason = ConditionReason.DEAD_LETTERED
            said.append(died)
        if lost:
            at = rfc3339(max(loss.at for loss in lost.values()))
            reason = ConditionReason.MADE_AGAIN
            said.append(
                f"{', '.join(lost)} was missing on RabbitMQ at {at} and is created again; its messages are lost"
            )
        return _readiness(reason, "; ".join(said))


def _readiness(reason: ConditionReason, message: str) -> Readiness:
    return Readiness("True" if reason.holds else "False", reason.value, message)
