"""The agents of a `dev`: started, attended, replaced when their files change, stopped.

`apply` is level-triggered like the operator: it compares what runs with what is wanted, and an agent whose document did
not change is not touched. An agent's consumer lives as long as the agent is wanted; while its process is down,
deliveries wait instead of failing.
"""

import asyncio
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from lambdaagent.a2a import container_card
from lambdaagent.agents import endpoints
from lambdaagent.agents.callee import callee
from lambdaagent.agents.client import Client
from lambdaagent.agents.clock import Clock
from lambdaagent.agents.wire import Target
from lambdaagent.api import naming
from lambdaagent.api.agent import A2aStatus, AgentStatus, LambdaAgent
from lambdaagent.api.container_card import ContainerCard
from lambdaagent.backoff import Backoff
from lambdaagent.broker.protocol import Broker
from lambdaagent.children.base import AgentKey
from lambdaagent.children.topology import Topology, topology
from lambdaagent.dev import environment, starting
from lambdaagent.dev.process import keep_running
from lambdaagent.dispatcher.delivering import Deliverer, Observer, Reply
from lambdaagent.dispatcher.handling import router
from lambdaagent.dispatcher.seen import Seen
from lambdaagent.dispatcher.serving import Served
from lambdaagent.dispatcher.wanted import picture
from lambdaagent.errors import LambdaAgentError
from lambdaagent.gateway.directory import Directory
from lambdaagent.settings import Installation
from lambdaagent.store.records import DeliveryStore

log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Wanted:
    """An agent, the folder its command runs in, and the values that its references resolve to."""

    agent: LambdaAgent
    folder: Path
    known: environment.Sources


@dataclass
class Running:
    wanted: Wanted
    port: int
    up: asyncio.Event = field(default_factory=asyncio.Event)
    status: AgentStatus = field(default_factory=AgentStatus)
    task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Supervisor:
    installation: Installation
    directory: Directory
    broker: Broker
    client: Client
    clock: Clock
    store: DeliveryStore
    observer: Observer
    reply: Callable[[LambdaAgent], Reply]
    sink: Callable[[LambdaAgent], str]
    output: Callable[[str, str], None]
    own: Mapping[str, str]
    commands: Mapping[AgentKey, tuple[str, ...]]
    bound: bool = False
    """Whether every binding that the agents want stands."""
    _running: dict[AgentKey, Running] = field(default_factory=dict, init=False)
    _exchanges: set[str] = field(default_factory=set, init=False)

    async def apply(self, wanted: Sequence[Wanted]) -> None:
        """Raises TemporaryError where the broker cannot be asked; what could be done is done."""
        by_key = {(each.agent.namespace, each.agent.name): each for each in wanted}
        gone = [key for key, running in self._running.items() if by_key.get(key) != running.wanted]
        await asyncio.gather(*(self._stop(key) for key in gone))
        self.bound = False
        await self._declare([each.agent for each in wanted], gone=[key for key in gone if key not in by_key])
        self.bound = True
        for key, each in by_key.items():
            if key not in self._running:
                self._start(key, each)

    async def stop(self) -> None:
        await asyncio.gather(*(self._stop(key) for key in list(self._running)))

    @property
    def exchanges(self) -> frozenset[str]:
        return frozenset(self._exchanges)

    def _start(self, key: AgentKey, wanted: Wanted) -> None:
        running = self._running[key] = Running(wanted, _free_port())
        self._show(running)
        running.task = asyncio.create_task(self._attend(running), name=f"agent {wanted.agent.key}")

    async def _stop(self, key: AgentKey) -> None:
        running = self._running.pop(key)
        self.directory.remove(*key)
        if running.task:
            running.task.cancel()
            await asyncio.wait([running.task])

    async def _declare(self, agents: Sequence[LambdaAgent], *, gone: Sequence[AgentKey]) -> None:
        wanted = picture(agents, self.installation).exchanges
        for name, exchange in wanted.items():
            await self.broker.declare(
                exchange=name,
                queues=exchange.queues,
                forwards=exchange.forwards,
                dead_letters=exchange.dead_letters,
            )
        for gone_exchange in self._exchanges - wanted.keys():
            await self.broker.remove_exchange(gone_exchange)
        for namespace, name in gone:
            await self.broker.remove_queue(naming.queue(namespace, name))
        self._exchanges = set(wanted)

    async def _attend(self, running: Running) -> None:
        agent = running.wanted.agent
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._run(running))
                group.create_task(self._watch_port(running))
                if found := topology(agent, self.installation):
                    group.create_task(self._consume(running, found))
        except* LambdaAgentError as problems:
            for problem in problems.exceptions:
                log.error("agent cannot run", agent=agent.key, problem=str(problem))

    async def _run(self, running: Running) -> None:
        wanted, agent = running.wanted, running.wanted.agent
        variables, warnings = environment.local(
            agent, sink=self.sink(agent), port=running.port, own=self.own, known=wanted.known
        )
        for warning in warnings:
            log.warning("variable unset", agent=agent.key, problem=warning)
        start = starting.start(agent, chosen=self.commands, environment=variables, port=running.port, find=shutil.which)
        log.info("starting", agent=agent.key, command=start.command[0], port=running.port)
        await keep_running(
            agent.key,
            start.command,
            environment=start.environment,
            folder=wanted.folder,
            output=self.output,
            ended=lambda: self._down(running),
            backoff=Backoff(first=0.5, cap=30.0),
        )

    async def _watch_port(self, running: Running) -> None:
        """Up once the agent's port takes connections, as a Knative pod is by default."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if running.up.is_set():
                continue
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", running.port), 1.0)
            except (OSError, TimeoutError):
                continue
            writer.close()
            running.up.set()
            self._show(running)
            log.info("ready", agent=running.wanted.agent.key, url=running.url)
            await self._read_card(running)

    async def _read_card(self, running: Running) -> None:
        """Of a container that is an A2A server, as the operator reads it after each rollout."""
        agent, target = running.wanted.agent, Target.parse(running.url)
        if agent.spec.a2a is None or agent.spec.a2a.protocol != "a2a":
            return
        try:
            card = await endpoints.read_card(self.client, target, callee(agent, target=target))
        except LambdaAgentError as problem:
            log.warning("card not read", agent=agent.key, problem=str(problem))
            return
        kept = ContainerCard.model_validate(container_card.kept(card, revision=str(running.port)))
        running.status = AgentStatus(a2a_status=A2aStatus(container_card=kept))
        self._show(running)

    async def _consume(self, running: Running, found: Topology) -> None:
        agent = running.wanted.agent

        async def up() -> None:
            await running.up.wait()

        deliverer = Deliverer(
            agent=agent.key,
            policy=found.policy,
            client=self.client,
            clock=self.clock,
            reply=self.reply(agent),
            route=router(agent, Served(found, Target.parse(running.url)), self.installation),
            seen=Seen(self.store, agent.namespace, agent.name, self.clock),
            observer=self.observer,
            calls=found.calls,
            wants=found.wants,
            up=up,
            keep_dead=found.keep_dead,
        )
        async with self.broker.consume(
            found.queue, parallelism=found.parallelism, handler=deliverer.handle, dead_letters=found.dead_letters
        ):
            await asyncio.Event().wait()

    def _down(self, running: Running) -> None:
        running.up.clear()
        if self._running.get((running.wanted.agent.namespace, running.wanted.agent.name)) is running:
            self._show(running)

    def _show(self, running: Running) -> None:
        agent = running.wanted.agent.model_copy(update={"status": running.status})
        self.directory.upsert(agent, url=running.url, ready=running.up.is_set(), last_modified=datetime.now(UTC))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
