"""Asks the servers of external agents what they are: an A2A server for its agent card, an MCP server for its tools.

It asks outside of reconciles, so that a slow server never delays an agent, with the bookkeeping of `answers`. A card is
asked for by its ETag. A server that fails is asked again sooner, and what it said before stays in status.

Hazard: authors of LambdaAgents choose the addresses (`tool_addresses`), and the servers what they answer (`external`,
`toolservers`). The value of a Secret is held only while its server is asked.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import structlog

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.backoff import Backoff, spread
from lambdaagent.children.base import AgentKey
from lambdaagent.controller.answers import AnswersOf
from lambdaagent.external import card_reader
from lambdaagent.external.card_reader import NoCardError, ReadCard
from lambdaagent.kube.secrets import SecretNotReadableError, Secrets, SecretValueError
from lambdaagent.status.ai import shown
from lambdaagent.status.external import ExternalAnswer, ExternalServer, server
from lambdaagent.toolservers.listing import ListError, skills
from lambdaagent.trust import SYSTEM, Trust
from lambdaagent.webhooks.address_check import CheckOf

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_SECONDS = 10.0  # for all requests to one server, and for its Secrets


@dataclass
class ExternalAgents:
    interval: float  # seconds
    # Called with each agent whose server's answer is another one now.
    changed: Callable[[AgentKey], None]
    secrets: Secrets
    check: CheckOf
    trust: Trust = SYSTEM
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    def __post_init__(self) -> None:
        self._answers = AnswersOf[ExternalServer, ExternalAnswer](
            self._follow, lambda asked: f"external agent {shown(asked.external.url)}", self.changed
        )

    def answer(self, agent: LambdaAgent) -> ExternalAnswer | None:
        asked = server(agent)
        return self._answers.get(asked) if asked is not None else None

    def put(self, key: AgentKey, agent: LambdaAgent | None) -> None:
        """Set the server that the agent is; None if it no longer exists or cannot be read."""
        asked = server(agent) if agent is not None else None
        self._answers.put(key, frozenset([asked]) if asked is not None else frozenset())

    def run(self) -> AbstractAsyncContextManager[None]:
        """Ask the servers while the context is open."""
        return self._answers.run()

    async def _follow(self, asked: ExternalServer) -> None:
        backoff, before = Backoff(first=min(5.0, self.interval), cap=self.interval), None
        while True:
            async with self._slots:
                answer, before = await self._ask(asked, before)
            if self._answers.take(asked, answer):
                count = len((answer.card or {}).get("skills", ()))
                log.info("external_agent.asked", url=shown(asked.external.url), skills=count, error=answer.problem)
            if answer.problem:
                pause = backoff.next()
            else:
                backoff.reset()
                # Jittered, so that a thousand servers are not asked at the same moment.
                pause = spread(self.interval)
            await asyncio.sleep(pause)

    async def _ask(self, asked: ExternalServer, before: ReadCard | None) -> tuple[ExternalAnswer, ReadCard | None]:
        """Return the answer, and the card with which the next one is asked for."""
        external = asked.external
        try:
            async with asyncio.timeout(_SECONDS):
                headers = await self.secrets.headers(asked.namespace, external.secret_headers)
        except SecretValueError as error:
            reason = "SecretNotReadable" if isinstance(error, SecretNotReadableError) else "SecretMissing"
            return ExternalAnswer(reason=reason, problem=str(error)), before
        except TimeoutError:
            problem = "the API server did not answer in time for a Secret; it is asked again"
            return ExternalAnswer(reason="SecretNotReadable", problem=problem), before
        try:
            if asked.protocol == "mcp":
                said = await skills(external, headers, seconds=_SECONDS, check=self.check, trust=self.trust)
                return ExternalAnswer(said.card, f"MCP {said.version}"), before
            read = await card_reader.read(
                external, headers, before=before, seconds=_SECONDS, check=self.check, trust=self.trust
            )
        except ListError as error:
            hint = "check the server and external; an address that is not public must be allowed"
            return ExternalAnswer(reason="ServerUnreachable", problem=f"{error}; {hint}"), before
        except NoCardError as error:
            return ExternalAnswer(reason=error.reason, problem=str(error)), before
        card = read.card
        version = f"A2A {card.kept['endpoint']['protocolVersion']}"
        return ExternalAnswer(card.kept, version, card.other_origin, card.notes), read
