"""The condition EventingReady, which the dispatcher writes for each agent on plain RabbitMQ.

It is written when this process's own result or the agent's spec changes, and not when another process wrote a different
value: two dispatchers with different views would overwrite each other for ever.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.backoff import Backoff
from lambdaagent.children.base import AgentKey
from lambdaagent.clock import rfc3339
from lambdaagent.errors import LambdaAgentError
from lambdaagent.kube import errors
from lambdaagent.kube.apply import apply_status
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import LAMBDA_AGENT
from lambdaagent.status.readiness import Readiness

log = structlog.get_logger(__name__)
TYPE = "EventingReady"
_WRITERS = 4


@dataclass
class Conditions:
    api: KubeClient
    failed: Callable[[str], None]
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=30.0))
    # By agent: the readiness to write (None: remove it) with the spec's generation, and what was written last.
    _wanted: dict[AgentKey, tuple[Readiness | None, int]] = field(default_factory=dict, init=False)
    _said: dict[AgentKey, tuple[Readiness | None, int]] = field(default_factory=dict, init=False)
    _since: dict[AgentKey, tuple[str, str]] = field(default_factory=dict, init=False)
    _due: "asyncio.Queue[AgentKey]" = field(default_factory=asyncio.Queue, init=False)  # at most one entry per agent
    _queued: set[AgentKey] = field(default_factory=set, init=False)

    def say(self, agent: LambdaAgent, readiness: Readiness | None) -> None:
        key = agent.namespace, agent.name
        wanted = readiness, agent.metadata.generation
        self._since.setdefault(key, _stands(agent))
        if key not in self._said and readiness is None and not self._since[key][0]:
            return  # there never was a condition
        self._wanted[key] = wanted
        if self._said.get(key) != wanted and key not in self._queued:
            self._queued.add(key)
            self._due.put_nowait(key)

    def forget(self, key: AgentKey) -> None:
        for known in (self._wanted, self._said, self._since):
            known.pop(key, None)

    async def run(self) -> None:
        """Write conditions until cancelled."""
        async with asyncio.TaskGroup() as writers:
            for number in range(_WRITERS):
                writers.create_task(self._write(), name=f"conditions {number}")

    async def _write(self) -> None:
        attempts = 0
        while True:
            key = await self._due.get()
            self._queued.discard(key)
            if (wanted := self._wanted.get(key)) is None or self._said.get(key) == wanted:
                continue
            try:
                await self._apply(key, *wanted)
                self._said[key] = wanted
                attempts = 0
            except errors.NotFoundError:
                self.forget(key)
            except LambdaAgentError as problem:
                attempts += 1
                self.failed("condition")
                log.warning("condition.write_failed", agent="/".join(key), error=str(problem))
                await asyncio.sleep(self.backoff.delay(attempts))
                if key not in self._queued:
                    self._queued.add(key)
                    self._due.put_nowait(key)

    async def _apply(self, key: AgentKey, readiness: Readiness | None, generation: int) -> None:
        namespace, name = key
        status: Mapping[str, Any] = {}
        if readiness is not None:
            before, since = self._since.get(key, ("", ""))
            if before != readiness.status or not since:
                since = rfc3339(datetime.now(UTC))
                self._since[key] = readiness.status, since
            condition = {
                "type": TYPE,
                "status": readiness.status,
                "reason": readiness.reason,
                "message": readiness.message,
                "observedGeneration": generation,
                "lastTransitionTime": since,
            }
            status = {"conditions": [condition]}
        await apply_status(
            self.api,
            LAMBDA_AGENT,
            name=name,
            namespace=namespace,
            status=status,
            manager=naming.STATUS_OF_DISPATCHER,
        )


def _stands(agent: LambdaAgent) -> tuple[str, str]:
    """Return status and transition time of the stored condition; empty if there is none."""
    found = agent.status.condition(TYPE)
    return (found.status, found.last_transition_time or "") if found else ("", "")
