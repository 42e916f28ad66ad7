"""Lists the agents now and then and compares, so that nothing which kopf missed stays missed.

kopf's watch may end without a word (nolar/kopf#1276), and nobody else can see how fresh it is. An agent whose deletion
fell into a gap would be counted and woken for ever, and one whose change did would never be looked at. So a ghost is
dropped, and a change that kopf has not told at a second look means that it is deaf: whoever leads begins anew.

Versions are compared, so news that comes while the list is read is never taken for a difference. A namespace that
cannot be listed is passed over: then nothing is known of it.
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

# What kopf has not told after so long, it does not know.
GRACE_SECONDS = 15.0
Versions = Mapping[AgentKey, int]


def ghosts(known: Versions, listed: Versions, *, at: int) -> Set[AgentKey]:
    """Known, and not listed at version `at`; what is known in a later version came after the list."""
    return {key for key, version in known.items() if key not in listed and version <= at}


def unheard(known: Versions, listed: Versions) -> Set[AgentKey]:
    """Listed in a version that nobody told us of."""
    return {key for key, version in listed.items() if known.get(key, -1) < version}


@dataclass(frozen=True)
class Auditor:
    client: KubeClient
    # The agents as kopf reported them (or as we wrote them since), each with its version.
    known: Callable[[], Versions]
    # Called with each agent that is known and gone.
    gone: Callable[[AgentKey], None]
    every: float
    # The only ones to look at; empty: all.
    namespaces: tuple[str, ...] = ()
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Until cancelled; raises EndedError if kopf is deaf."""
        while True:
            await self.sleep(self.every * random.uniform(0.8, 1.2))  # noqa: S311 -- so that not all ask at once
            for namespace in self.namespaces or (None,):
                try:
                    missed = await self._missed(namespace)
                except LambdaAgentError as problem:
                    log.warning("cannot audit the agents", problem=str(problem))
                    continue
                if missed:
                    first = "/".join(min(missed))
                    raise EndedError(f"kopf has not reported {len(missed)} changes, one of them of {first}")

    async def _missed(self, namespace: str | None) -> Set[AgentKey]:
        listed, at = await self._listed(namespace)
        known = {key: version for key, version in self.known().items() if namespace in (None, key[0])}
        for key in ghosts(known, listed, at=at):
            log.warning("an agent went and kopf did not say so", agent="/".join(key))
            self.gone(key)
        if not unheard(known, listed):
            return frozenset()
        await self.sleep(GRACE_SECONDS)
        missed = unheard(self.known(), listed)
        # One that came and went meanwhile is rightly not known.
        return missed & (await self._listed(namespace))[0].keys() if missed else missed

    async def _listed(self, namespace: str | None) -> tuple[Versions, int]:
        listing = await list_objects(self.client, LAMBDA_AGENT, namespace=namespace, metadata_only=True)
        return {key_of(item): ownership.version(item) for item in listing.items}, int(listing.resource_version)
