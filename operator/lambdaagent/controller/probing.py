"""Probes AI endpoints outside of reconciles, so that a slow endpoint never delays an agent.

Each endpoint is probed once per round, however many agents use it. Few probes run at once, and each has a deadline and
a limit on the size of the response. Agents are woken only if the result has changed.

Hazard: authors of LambdaAgents choose the addresses, and the operator may reach addresses that they may not. Only a
fixed path is requested by GET, redirects are not followed, nothing of a body is shown but names of models, and
link-local addresses (clouds serve credentials there) are refused after resolution.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import orjson
import structlog

from lambdaagent.children.base import AgentKey
from lambdaagent.controller.answers import AnswersOf
from lambdaagent.status.ai import Answer, Endpoint, shown
from lambdaagent.trust import SYSTEM, Trust
from lambdaagent.webhooks import address_check, failure_text

log = structlog.get_logger(__name__)

_DEADLINE = 5.0
_AT_ONCE = 8
_MOST_BYTES = 1024 * 1024


@dataclass
class Prober:
    interval: float
    # Called with each agent whose endpoint now gives another result.
    changed: Callable[[AgentKey], None]
    trust: Trust = SYSTEM
    _session: aiohttp.ClientSession = field(init=False, repr=False)  # while `run` is open
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    def __post_init__(self) -> None:
        self._answers = AnswersOf[Endpoint, Answer](
            self._follow, lambda endpoint: f"probe {shown(endpoint[1])}", self.changed
        )

    def answer(self, endpoint: Endpoint | None) -> Answer | None:
        return self._answers.get(endpoint) if endpoint else None

    def put(self, key: AgentKey, endpoint: Endpoint | None) -> None:
        """Set the endpoint that the agent uses; None if it uses none or no longer exists."""
        self._answers.put(key, frozenset([endpoint]) if endpoint else frozenset())

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Probe endpoints while the context is open."""
        async with address_check.session(address_check.not_metadata, seconds=_DEADLINE, trust=self.trust) as session:
            self._session = session
            async with self._answers.run():
                yield

    async def _follow(self, endpoint: Endpoint) -> None:
        while True:
            async with self._slots:
                answer = await ask(self._session, endpoint)
            if self._answers.take(endpoint, answer):
                log.info("ai_endpoint.probed", url=shown(endpoint[1]), status=answer.status, error=answer.problem)
            # Jittered, so that a thousand endpoints are not probed at the same moment.
            await asyncio.sleep(self.interval * random.uniform(0.8, 1.2))  # noqa: S311


async def ask(session: aiohttp.ClientSession, endpoint: Endpoint) -> Answer:
    """Probe an endpoint. Raises nothing for a failed request: the answer contains the problem."""
    provider, url = endpoint
    try:
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                return Answer(status=response.status)
            body = await _bounded(response)
    except (aiohttp.ClientError, OSError, ValueError) as problem:
        return Answer(problem=failure_text.why(problem, seconds=_DEADLINE))
    return Answer(status=200, models=_models(provider, body))


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError("answers with more than 1 MiB")
    return bytes(body)


def _models(provider: str, body: bytes) -> frozenset[str] | None:
    """Return the names of the models; None if the body does not list models, and only presence is known."""
    key, name = ("models", "name") if provider == "ollama" else ("data", "id")
    try:
        found: Iterable[object] = orjson.loads(body)[key]
        return frozenset(str(entry[name]) for entry in found if isinstance(entry, dict) and name in entry)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
