"""Detects that the cluster begins or ceases to serve an API on which children depend (Knative, Prometheus).

With rights over the whole cluster the CRDs are watched. Otherwise the served APIs are requested at intervals, which
every account may do. In that case nothing else detects that the LambdaAgent kind appears (kopf may not scan), so its
group counts as well.
"""

import asyncio
from contextlib import aclosing, suppress

import structlog

from lambdaagent.api.base import GROUP
from lambdaagent.backoff import Backoff, spread
from lambdaagent.cancellation import cancel
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
    """Return the served group/versions; that of RabbitmqBrokerConfig only if that kind is among its kinds.

    Knative Eventing alone serves that version too, for other kinds, and a watch of a missing kind never lists. Retries
    until the server answers: a failed request does not mean that an API is absent.
    """
    backoff = Backoff()
    while True:
        try:
            return await _served(client)
        except TemporaryError as problem:
            log.warning("served_apis.read_failed", error=str(problem))
            await asyncio.sleep(backoff.next())


async def _served(client: KubeClient) -> frozenset[str]:
    versions = await served_versions(client)
    return versions if await serves(client, BROKER_CONFIG) else versions - {_BROKER_CONFIGS}


async def other_than(client: KubeClient, known: frozenset[str]) -> None:
    """Return once the relevant APIs that the cluster serves differ from `known`.

    A change of a CRD says only when to look: discovery may show it much later, or it came before the watch began.
    Therefore the served APIs are requested at intervals too.
    """
    changed = asyncio.Event()
    hearing = asyncio.create_task(_hear(client, changed), name="CRDs")
    try:
        while _ours(await served(client)) == _ours(known):
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), _interval())
                changed.clear()
                for _ in range(_LOOKS):
                    if _ours(await served(client)) != _ours(known):
                        return
                    await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        await cancel(hearing)


async def _hear(client: KubeClient, changed: asyncio.Event) -> None:
    """Set `changed` at each change of a relevant CRD."""
    async with aclosing(Watcher(client, CRD).changes()) as changes:
        async for change in changes:
            if change.object["spec"]["group"] in _GROUPS:
                changed.set()


async def asked_other_than(client: KubeClient, known: frozenset[str]) -> None:
    """Return as `other_than` does, without rights on CRDs and within about ASK_SECONDS."""
    while True:
        await asyncio.sleep(_interval())
        if _ours(await served(client), GROUP) != _ours(known, GROUP):
            return


def _interval() -> float:
    return spread(ASK_SECONDS)


def _ours(versions: frozenset[str], *more: str) -> set[str]:
    return {version for version in versions if version.partition("/")[0] in (*_GROUPS, *more)}
