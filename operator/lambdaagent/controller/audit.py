"""Compares the cached agents with a list from the API server at intervals, so that no change stays missed.

kopf's watch may end silently (nolar/kopf#1276), and its freshness cannot be observed from outside. If a deletion is
missed, the agent would be counted and reconciled for ever; if a change is missed, it would never be reconciled. An
agent that no longer exists is therefore dropped. A change that kopf has not reported by a second comparison means that
kopf receives nothing more, and the leader starts again (EndedError).

Versions are compared, so a change during the listing is not taken for a difference. A namespace that cannot be listed
is skipped, because nothing is known about it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass

import structlog

from lambdaagent.children.base import AgentKey
from lambdaagent.controller import ownership
from lambdaagent.controller.kopf_watch import EndedError
from lambdaagent.errors import LambdaAgentError
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.objects import list_objects
from lambdaagent.kube.resources import LAMBDA_AGENT
from lambdaagent.kube.watch import key_of

log = structlog.get_logger(__name__)

# A change that kopf has not reported after this time counts as missed.
GRACE_SECONDS = 15.0
Versions = Mapping[AgentKey, int]


def ghosts(known: Versions, listed: Versions, *, at: int) -> Set[AgentKey]:
    """Return the known agents that are absent from a list at version `at`. Agents with a later version are newer than
    the list and do not count."""
    return {key for key, version in known.items() if key not in listed and version <= at}


def unheard(known: Versions, listed: Versions) -> Set[AgentKey]:
    """Return the listed agents whose version is newer than the known one."""
    return {key for key, version in listed.items() if known.get(key, -1) < version}


@dataclass(frozen=True)
class Auditor:
    client: KubeClient
    # The agents as kopf reported them, or as this process wrote them since, each with its version.
    known: Callable[[], Versions]
    # Called with each known agent that no longer exists.
    gone: Callable[[AgentKey], None]
    every: float
    # The namespaces to list; empty means all.
    namespaces: tuple[str, ...] = ()
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Run until cancelled. Raises EndedError if kopf has missed a change."""
        while True:
            await self.sleep(self.every * random.uniform(0.8, 1.2))  # noqa: S311 -- so that lists do not coincide
            for namespace in self.namespaces or (None,):
                try:
                    missed = await self._missed(namespace)
                except LambdaAgentError as problem:
                    log.warning("audit.failed", error=str(problem))
                    continue
                if missed:
                    first = "/".join(min(missed))
                    raise EndedError(f"kopf has not reported {len(missed)} changes, one of them of agent {first}")

    async def _missed(self, namespace: str | None) -> Set[AgentKey]:
        listed, at = await self._listed(namespace)
        known = {key: version for key, version in self.known().items() if namespace in (None, key[0])}
        for key in ghosts(known, listed, at=at):
            log.warning("agent.deletion_missed", agent="/".join(key))
            self.gone(key)
        if not unheard(known, listed):
            return frozenset()
        await self.sleep(GRACE_SECONDS)
        missed = unheard(self.known(), listed)
        # An agent that was created and deleted meanwhile is correctly unknown.
        return missed & (await self._listed(namespace))[0].keys() if missed else missed

    async def _listed(self, namespace: str | None) -> tuple[Versions, int]:
        listing = await list_objects(self.client, LAMBDA_AGENT, namespace=namespace, metadata_only=True)
        return {key_of(item): ownership.version(item) for item in listing.items}, int(listing.resource_version)
