"""Notices when the cluster begins or ceases to serve an API that decides what agents become (Knative, Prometheus).

With rights over the whole cluster by a watch of the CRDs, otherwise by asking for what is served now and then, which
everybody may. Then nothing else notices our own kind coming (kopf may not look), so that counts as well.
"""

import asyncio
import random
from contextlib import aclosing

import structlog

from lambdaagent.api.base import GROUP
from lambdaagent.backoff import Backoff
from lambdaagent.errors import TemporaryError
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.discovery import served_versions, serves
from lambdaagent.kube.resources import BROKER_CONFIG, CRD
from lambdaagent.kube.watch import Watcher

log = structlog.get_logger(__name__)

_GROUPS = ("serving.knative.dev", "eventing.knative.dev", "monitoring.coreos.com", "rabbitmq.com")
_BROKER_CONFIGS = BROKER_CONFIG.api_version
_LOOKS, _PAUSE_SECONDS = 10, 0.5
ASK_SECONDS = 30.0


async def served(client: KubeClient) -> frozenset[str]:
    """The served group/versions; that of RabbitmqBrokerConfig only if that kind is among it.

    Knative Eventing alone serves the version too, for other kinds, and a watch of a kind that is not there never lists.
    Asks until it is told: what cannot be asked now is not absent.
    """
    backoff = Backoff()
    while True:
        try:
            return await _served(client)
        except TemporaryError as problem:
            log.warning("cannot learn which APIs are served", problem=str(problem))
            await asyncio.sleep(backoff.next())


async def _served(client: KubeClient) -> frozenset[str]:
    versions = await served_versions(client)
    return versions if await serves(client, BROKER_CONFIG) else versions - {_BROKER_CONFIGS}


async def other_than(client: KubeClient, known: frozenset[str]) -> None:
    """Returns once the cluster serves something else of what matters here than `known`."""
    watcher = Watcher(client, CRD)
    async with aclosing(watcher.changes()) as changes:
        async for change in changes:
            if watcher.synced.is_set() and change.object["spec"]["group"] in _GROUPS:
                # Discovery follows the CRD a moment later.
                for _ in range(_LOOKS):
                    if _ours(await served(client)) != _ours(known):
                        return
                    await asyncio.sleep(_PAUSE_SECONDS)


async def asked_other_than(client: KubeClient, known: frozenset[str]) -> None:
    """The same without a right to CRDs, within about ASK_SECONDS."""
    while True:
        await asyncio.sleep(ASK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 -- replicas should not ask together
        if _ours(await served(client), GROUP) != _ours(known, GROUP):
            return


def _ours(versions: frozenset[str], *more: str) -> set[str]:
    return {version for version in versions if version.partition("/")[0] in (*_GROUPS, *more)}
