"""Asks agents' MCP servers for their tools outside of reconciles, so that a slow server never delays an agent.

Each server is asked once per round, however many agents use it in the same way. Few are asked at once, and each has a
deadline. Agents are woken only if the answer has changed. A server that fails is asked again sooner, and one that says
for how long its list is fresh is asked after that time, within limits.

Hazard: authors of LambdaAgents choose the addresses (`tool_addresses`), and the servers what they answer
(`toolservers`). The value of a Secret is held only while its server is asked.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import structlog

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.backoff import Backoff
from lambdaagent.children.base import AgentKey
from lambdaagent.controller.answers import AnswersOf
from lambdaagent.kube.secrets import SecretNotReadableError, Secrets, SecretValueError
from lambdaagent.status.ai import shown
from lambdaagent.status.tools import Answers, ServerAnswer, ToolServer, tool_servers
from lambdaagent.toolservers.listing import ListError, listing
from lambdaagent.trust import SYSTEM, Trust
from lambdaagent.webhooks.address_check import CheckOf

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_LONGEST_FRESH = 3600.0  # seconds; a server cannot ask for a longer pause


@dataclass
class ToolDiscovery:
    interval: float  # seconds
    # Called with each agent that uses a server whose answer is another one now.
    changed: Callable[[AgentKey], None]
    secrets: Secrets
    check: CheckOf
    domain: str  # of the cluster
    trust: Trust = SYSTEM
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    def __post_init__(self) -> None:
        self._answers = AnswersOf[ToolServer, ServerAnswer](
            self._follow, lambda server: f"tools of {shown(server.url)}", self.changed
        )

    def answers(self, agent: LambdaAgent) -> Answers:
        found = ((server, self._answers.get(server)) for server in self._asked(agent))
        return {server: answer for server, answer in found if answer is not None}

    def put(self, key: AgentKey, agent: LambdaAgent | None) -> None:
        """Set the servers that the agent uses; None if it no longer exists or cannot be read."""
        self._answers.put(key, self._asked(agent) if agent else frozenset())

    def run(self) -> AbstractAsyncContextManager[None]:
        """Ask the servers while the context is open."""
        return self._answers.run()

    def _asked(self, agent: LambdaAgent) -> frozenset[ToolServer]:
        return frozenset(server for _, server in tool_servers(agent, domain=self.domain))

    async def _follow(self, server: ToolServer) -> None:
        backoff = Backoff(first=min(5.0, self.interval), cap=self.interval)
        while True:
            async with self._slots:
                answer, fresh = await self._ask(server)
            if self._answers.take(server, answer):
                error = answer.problem or answer.not_asked
                log.info("tools.listed", url=shown(server.url), tools=len(answer.tools), error=error)
            if answer.problem:
                pause = backoff.next()
            else:
                backoff.reset()
                # Jittered, so that a thousand servers are not asked at the same moment.
                pause = max(self.interval, min(fresh, _LONGEST_FRESH)) * random.uniform(0.8, 1.2)  # noqa: S311
            await asyncio.sleep(pause)

    async def _ask(self, server: ToolServer) -> tuple[ServerAnswer, float]:
        """Return the answer, and the seconds for which the server says that it is fresh."""
        try:
            async with asyncio.timeout(server.seconds):
                headers = await self.secrets.headers(server.namespace, server.headers)
        except SecretNotReadableError as error:
            return ServerAnswer(not_asked=str(error)), 0.0
        except SecretValueError as error:
            return ServerAnswer(problem=str(error)), 0.0
        except TimeoutError:
            return ServerAnswer(problem="the API server did not answer in time"), 0.0
        try:
            found = await listing(server.url, headers, seconds=server.seconds, check=self.check, trust=self.trust)
        except ListError as error:
            return ServerAnswer(problem=str(error)), 0.0
        tools = tuple(sorted((tool.name, tool.description) for tool in found.tools))
        return ServerAnswer(found.version, tools), found.ttl or 0.0
