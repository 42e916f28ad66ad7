"""Reads the agent cards of containers that are A2A servers, and the tools of those that are MCP servers, once per
rollout and outside of reconciles.

After a rollout a pod is running, so reading the card then does not start one; a client's request never causes a read.
A container that returns no card is asked a few times and then not again until the next rollout. Status shows the
reason.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson
import structlog

from lambdaagent.a2a import Json
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.backoff import Backoff
from lambdaagent.cancellation import cancel
from lambdaagent.children.base import AgentKey, Object
from lambdaagent.containers import own_card
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BadTargetError, UpstreamError
from lambdaagent.trust import SYSTEM, Trust

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_ATTEMPTS = 5
_LONGEST_ERROR = 1024


@dataclass
class ContainerCards:
    # Called with each agent whose card was read, or could not be read.
    changed: Callable[[AgentKey], None]
    backoff: Callable[[], Backoff] = lambda: Backoff(first=1.0, cap=15.0)
    trust: Trust = SYSTEM
    _client: HttpClient | None = field(default=None, init=False)
    _found: dict[AgentKey, Json] = field(default_factory=dict, init=False)
    _reading: dict[AgentKey, tuple[str, asyncio.Task[None]]] = field(default_factory=dict, init=False)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Read cards while the context is open."""
        self._client = HttpClient(tls=self.trust.context)
        try:
            yield
        finally:
            tasks = [task for _, task in self._reading.values()]
            self._reading.clear()
            await cancel(*tasks)
            client, self._client = self._client, None
            await client.close()

    def card(self, agent: LambdaAgent, *, service: Json, revision: str, before: Json | None) -> Json | None:
        """Return the card for status: that of this revision or, while it is being read, the previous one.

        `service` is the agent's `serviceStatus`; `before` is the card that status shows now.
        """
        key = (agent.namespace, agent.name)
        if not is_wanted(agent):
            self.forget(key)
            return None
        if before is not None and before.get("revision") == revision:
            return before
        found = self._found.get(key)
        if found is not None and found["revision"] == revision:
            return found
        url = service.get("url")
        if revision and url and service.get("ready") and self._client is not None:
            self._read(key, agent, url, revision, self._client)
        return before

    def forget(self, key: AgentKey) -> None:
        self._found.pop(key, None)
        if reading := self._reading.pop(key, None):
            reading[1].cancel()

    def _read(self, key: AgentKey, agent: LambdaAgent, url: str, revision: str, client: HttpClient) -> None:
        reading = self._reading.get(key)
        if reading is not None and reading[0] == revision:
            return
        self.forget(key)
        task = asyncio.create_task(self._follow(key, agent, url, revision, client), name=f"card {agent.key}")
        self._reading[key] = (revision, task)

    async def _follow(self, key: AgentKey, agent: LambdaAgent, url: str, revision: str, client: HttpClient) -> None:
        backoff, problem = self.backoff(), ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(backoff.next())
            try:
                async with self._slots:
                    self._found[key] = await own_card.read(client, agent, url, revision=revision)
            except (UpstreamError, BadTargetError) as error:
                problem = str(error)[:_LONGEST_ERROR]
                continue
            break
        else:
            log.info("card.read_failed", agent=agent.key, revision=revision, error=problem)
            self._found[key] = {"revision": revision, "error": problem}
        self._reading.pop(key, None)
        self.changed(key)


def is_wanted(agent: LambdaAgent) -> bool:
    """Whether to read the card. Behind a sidecar the agent's address serves the sidecar's card, so it is not read.

    An external server has no rollouts; `external_agents` asks it.
    """
    a2a = agent.spec.a2a
    if a2a is None or not a2a.enabled or agent.external is not None:
        return False
    return a2a.protocol in own_card.PROTOCOLS and a2a.mode == "gateway"


def revision_of(live: Object | None, service: Json) -> str:
    """Return what identifies a rollout: Knative's ready Revision, or else a hash of the Deployment's pod template."""
    if service.get("latestRevision"):
        return str(service["latestRevision"])
    template: Any = ((live or {}).get("spec") or {}).get("template")
    return sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12] if template else ""
