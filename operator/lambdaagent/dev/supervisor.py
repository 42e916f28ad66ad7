"""Supervises the agents of a `dev`: starts them, restarts them when their files change, and stops them.

`apply` is level-triggered like the operator: it compares the running agents with the wanted ones, and an agent whose
document did not change is not touched. An agent's consumer runs as long as the agent is wanted; while the agent's
process is down, deliveries and calls wait at its gate instead of failing.
"""

import asyncio
import shutil
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from lambdaagent.api import naming
from lambdaagent.api.agent import A2aStatus, AgentStatus, LambdaAgent
from lambdaagent.api.container_card import ContainerCard
from lambdaagent.api.external import External
from lambdaagent.backoff import Backoff
from lambdaagent.broker.protocol import Broker
from lambdaagent.cancellation import cancel
from lambdaagent.children.base import AgentKey
from lambdaagent.children.topology import Topology, topology
from lambdaagent.containers import own_card
from lambdaagent.dev import environment, external, starting
from lambdaagent.dev.code import Code, code
from lambdaagent.dev.listening import until_listening
from lambdaagent.dev.process import keep_running
from lambdaagent.dev.start_gate import Gate
from lambdaagent.dispatcher.agent_handlers import Handlers
from lambdaagent.dispatcher.consumers import ConsumerSpec
from lambdaagent.dispatcher.desired_topology import picture
from lambdaagent.errors import LambdaAgentError
from lambdaagent.gateway.directory import Directory
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target
from lambdaagent.settings import Installation
from lambdaagent.trust import Trust
from lambdaagent.webhooks.address_check import CheckOf

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 2.0  # between two checks for a missing command or engine


@dataclass(frozen=True, slots=True)
class LocalAgent:
    """An agent, the folder of its command, and the values of its references to Secrets and ConfigMaps."""

    agent: LambdaAgent
    folder: Path
    known: environment.Sources


@dataclass
class Running:
    wanted: LocalAgent
    port: int
    gate: Gate
    code: Code = field(default_factory=Code)
    edited: asyncio.Event = field(default_factory=asyncio.Event)
    served: bool = False  # whether the present process has accepted connections
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
    client: HttpClient
    handlers: Handlers
    sink: Callable[[LambdaAgent], str]
    output: Callable[[str, str], None]
    own: Mapping[str, str]
    commands: Mapping[AgentKey, tuple[str, ...]]
    gates: dict[Target, Gate]
    check: CheckOf
    trust: Trust
    bound: bool = False
    """Whether every binding of the agents exists."""
    _running: dict[AgentKey, Running] = field(default_factory=dict, init=False)
    _ports: dict[AgentKey, int] = field(default_factory=dict, init=False)
    _exchanges: set[str] = field(default_factory=set, init=False)
    _known: environment.Sources = field(default_factory=dict, init=False)

    async def apply(self, wanted: Sequence[LocalAgent]) -> None:
        """Replace the running agents. Raises TemporaryError if the broker is unavailable; removed and changed agents
        have been stopped by then."""
        self._known = wanted[0].known if wanted else {}  # all agents have the same
        by_key = {(each.agent.namespace, each.agent.name): each for each in wanted}
        old = [key for key, running in self._running.items() if by_key.get(key) != running.wanted]
        await asyncio.gather(*(self._stop(key, forget=key not in by_key) for key in old))
        self.bound = False
        await self._declare([each.agent for each in wanted], gone=[key for key in old if key not in by_key])
        self.bound = True
        for key, each in by_key.items():
            if key not in self._running:
                self._start(key, each)

    def edited(self, files: Collection[Path]) -> None:
        """Restart the agents whose code is among the files."""
        for running in self._running.values():
            changed = sorted(str(file) for file in files if running.code.concerns(file))
            if changed:
                log.info("code.changed", agent=running.wanted.agent.key, file=changed[0], files=len(changed))
                running.edited.set()

    async def stop(self) -> None:
        await asyncio.gather(*(self._stop(key, forget=True) for key in list(self._running)))

    @property
    def exchanges(self) -> frozenset[str]:
        return frozenset(self._exchanges)

    @property
    def folders(self) -> set[Path]:
        """The folders of the agents' code."""
        return {folder for running in self._running.values() for folder in running.code.folders}

    def _start(self, key: AgentKey, wanted: LocalAgent) -> None:
        # An agent keeps its port, and so do the calls that wait for it.
        port = self._ports.get(key) or self._ports.setdefault(key, _free_port())
        target = Target.parse(f"http://127.0.0.1:{port}")
        gate = self.gates.setdefault(target, Gate())
        gate.starting()
        running = self._running[key] = Running(wanted, port, gate)
        self._show(running)
        running.task = asyncio.create_task(self._attend(running), name=f"agent {wanted.agent.key}")

    async def _stop(self, key: AgentKey, *, forget: bool) -> None:
        """Stop an agent. `forget`: the agent was removed; otherwise it is started again."""
        running = self._running.pop(key)
        if forget:
            self.directory.remove(*key)
            running.gate.broken("it was removed")
            self._ports.pop(key)
            self.handlers.forget(key)
            self.gates.pop(Target.parse(running.url), None)
        else:
            running.gate.starting()
        if running.task:
            await cancel(running.task)

    async def _declare(self, agents: Sequence[LambdaAgent], *, gone: Sequence[AgentKey]) -> None:
        wanted = picture(agents, self.installation).exchanges
        for declaration in wanted.values():
            await self.broker.declare(declaration)
        for gone_exchange in self._exchanges - wanted.keys():
            await self.broker.remove_exchange(gone_exchange)
        for namespace, name in gone:
            await self.broker.remove_queue(naming.queue(namespace, name))
        self._exchanges = set(wanted)

    async def _attend(self, running: Running) -> None:
        agent = running.wanted.agent
        if agent.external is not None:
            await self._follow(running, agent.external)
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._run(running))
                if found := topology(agent, self.installation):
                    group.create_task(self._consume(running, found))
        except* LambdaAgentError as problems:
            for problem in _each(problems):
                log.error("agent.run_failed", agent=agent.key, error=str(problem))
                running.gate.broken(f"it cannot be run here: {problem}")
            self._show(running)

    async def secret_headers(self, namespace: str, wanted: external.Wanted) -> list[tuple[str, str]]:
        """Return the headers of requests to an external agent. Raises NoCredentialError."""
        return external.secret_headers(namespace, wanted, known=self._known, own=self.own)

    async def _follow(self, running: Running, server: External) -> None:
        """Serve an external agent. Once its server is known, a call finds out whether it answers."""

        def found(status: AgentStatus) -> None:
            running.status = status
            running.gate.opened()
            self._show(running)

        def failed(problem: str) -> None:
            if running.status.a2a_status is None:
                running.gate.broken(problem)
                self._show(running)

        agent, known = running.wanted.agent, running.wanted.known
        await external.follow(
            agent,
            server,
            headers=lambda wanted: external.secret_headers(agent.namespace, wanted, known=known, own=self.own),
            check=self.check,
            trust=self.trust,
            found=found,
            failed=failed,
        )

    async def _run(self, running: Running) -> None:
        """Run one process after another: a new one after each edit of the code."""
        while True:
            running.edited.clear()
            running.gate.starting()
            self._show(running)
            edit = asyncio.create_task(running.edited.wait())
            process = asyncio.create_task(self._run_until_edited(running))
            try:
                await asyncio.wait([edit, process], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await cancel(edit, process)
            if not process.cancelled():
                process.result()

    async def _run_until_edited(self, running: Running) -> None:
        wanted, agent = running.wanted, running.wanted.agent
        variables, warnings = environment.local(
            agent,
            sink=self.sink(agent),
            gateway=self.installation.gateway_url,
            port=running.port,
            own=self.own,
            known=wanted.known,
        )
        for warning in warnings:
            log.warning("variable.resolve_failed", agent=agent.key, error=warning)
        start = await self._startable(running, variables)
        log.info("agent.started", agent=agent.key, command=start.command[0], port=running.port)
        began = asyncio.Queue[int]()
        said: set[str] = set()

        def ended(code: int) -> None:
            if (remedy := starting.remedy(start, code)) and remedy not in said:
                said.add(remedy)
                log.error("agent.start_failed", agent=agent.key, error=remedy)
            self._ended(running, code)

        async with asyncio.TaskGroup() as group:
            group.create_task(
                keep_running(
                    agent.key,
                    start.command,
                    environment=start.environment,
                    folder=wanted.folder,
                    output=self.output,
                    started=began.put_nowait,
                    ended=ended,
                    backoff=Backoff(first=0.5, cap=30.0),
                )
            )
            group.create_task(self._watch_ports(running, began))

    async def _startable(self, running: Running, variables: Mapping[str, str]) -> starting.Start:
        """Wait until the agent can be started; what is missing is logged once."""
        wanted, agent, said = running.wanted, running.wanted.agent, ""
        while True:
            try:
                start = starting.start(
                    agent, chosen=self.commands, environment=variables, port=running.port, find=shutil.which
                )
                problem = starting.missing(start, agent, wanted.folder)
                running.code = code(agent, command=() if start.engine else start.command, folder=wanted.folder)
            except starting.NoCommandError as missing:
                problem = str(missing)
            if not problem:
                running.gate.starting()
                return start
            if problem != said:
                log.error("agent.start_failed", agent=agent.key, error=problem)
                said = problem
                running.gate.broken(problem)
                self._show(running)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _watch_ports(self, running: Running, began: "asyncio.Queue[int]") -> None:
        """Follow one process after another; each is up once its port accepts connections, Knative's default too."""
        process = await began.get()
        while True:
            running.gate.starting()
            self._show(running)
            watch = asyncio.create_task(self._watch_port(running, process))
            following = asyncio.create_task(began.get())
            try:
                await asyncio.wait([following])
            finally:
                await cancel(watch, following)
            process = following.result()

    async def _watch_port(self, running: Running, process: int) -> None:
        agent = running.wanted.agent
        await until_listening(running.port, process=process, agent=agent.key)
        running.gate.opened()
        running.served = True
        self._show(running)
        log.info("agent.became_ready", agent=agent.key, url=running.url)
        await self._read_card(running)

    async def _read_card(self, running: Running) -> None:
        """Read what a container that is an A2A or MCP server says of itself, as the operator does after a rollout."""
        agent = running.wanted.agent
        if agent.spec.a2a is None or agent.spec.a2a.protocol not in own_card.PROTOCOLS:
            return
        try:
            found = await own_card.read(self.client, agent, running.url, revision=str(running.port))
        except LambdaAgentError as problem:
            log.warning("card.read_failed", agent=agent.key, error=str(problem))
            return
        kept = ContainerCard.model_validate(found)
        running.status = AgentStatus(a2a_status=A2aStatus(container_card=kept))
        self._show(running)

    async def _consume(self, running: Running, found: Topology) -> None:
        agent = running.wanted.agent
        handler = self.handlers.of(agent, ConsumerSpec(found, Target.parse(running.url)), up=running.gate.up)
        async with self.broker.consume(
            found.queue, parallelism=found.parallelism, handler=handler, dead_letters=found.dead_letters
        ):
            await asyncio.Event().wait()

    def _ended(self, running: Running, code: int) -> None:
        if running.served:
            # The process worked and is restarted after a short wait.
            running.served = False
            running.gate.starting()
        else:
            ended = f"its process ended with exit code {code}"
            running.gate.broken(f"{ended} before it accepted connections; see its output")
        self._show(running)

    def _show(self, running: Running) -> None:
        agent = running.wanted.agent.model_copy(update={"status": running.status})
        gate = running.gate
        # Also ready while it starts: calls wait for it, as for a Knative Service that is scaled to zero.
        self.directory.upsert(
            agent, url=running.url, ready=not gate.problem, last_modified=datetime.now(UTC), problem=gate.problem
        )


def _each(group: BaseExceptionGroup[LambdaAgentError]) -> Iterator[LambdaAgentError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _each(error)
        else:
            yield error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
