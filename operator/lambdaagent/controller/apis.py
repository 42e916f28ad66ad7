"""Notices when the cluster begins or ceases to serve an API that decides what agents become (Knative, Prometheus)."""

import asyncio
from contextlib import aclosing

from lambdaagent.kube.client import Client
from lambdaagent.kube.discovery import served_versions
from lambdaagent.kube.resources import CRD
from lambdaagent.kube.watch import Watcher

_GROUPS = ("serving.knative.dev", "eventing.knative.dev", "monitoring.coreos.com")
_LOOKS, _PAUSE_SECONDS = 10, 0.5


async def other_than(client: Client, served: frozenset[str]) -> None:
    """Returns once the cluster serves something else of what matters here than `served`."""
    watcher = Watcher(client, CRD)
    async with aclosing(watcher.changes()) as changes:
        async for change in changes:
            if watcher.synced.is_set() and change.object["spec"]["group"] in _GROUPS:
                # Discovery follows the CRD a moment later.
                for _ in range(_LOOKS):
                    if _ours(await served_versions(client)) != _ours(served):
                        return
                    await asyncio.sleep(_PAUSE_SECONDS)


def _ours(versions: frozenset[str]) -> set[str]:
    return {version for version in versions if version.partition("/")[0] in _GROUPS}
