"""An operator whose kopf misses something finds out by itself."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.parts.cluster import Cluster, Start, until
from tests.parts.process import free_port

from lambdaagent.controller import audit, kopf_watch

Changed = Callable[[str | None, Any], None]


async def test_an_agent_whose_deletion_was_missed_is_dropped(
    cluster: Cluster, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = kopf_watch.follow

    async def forgetful(changed: Changed, **options: Any) -> None:
        await follow(lambda kind, obj: None if kind == "DELETED" else changed(kind, obj), **options)

    monkeypatch.setattr(kopf_watch, "follow", forgetful)
    port = free_port()
    await start(port=port, resync_seconds=1, eventing="none")

    def counted() -> str:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        return "".join(line for line in text.splitlines() if line.startswith("lambdaagent_operator_agents{"))

    await asyncio.to_thread(cluster.apply, "ghost", {})
    await until(counted)
    cluster.rest.delete(f"{cluster.agents}/ghost")
    await until(lambda: cluster.agent("ghost") is None)
    await until(lambda: not counted())


async def test_a_kopf_that_hears_nothing_is_started_anew(
    cluster: Cluster, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow, deaf = kopf_watch.follow, True

    async def at_first_deaf(changed: Changed, *, ready: asyncio.Event, **options: Any) -> None:
        nonlocal deaf
        if not deaf:
            await follow(changed, ready=ready, **options)
        deaf = False
        ready.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(kopf_watch, "follow", at_first_deaf)
    monkeypatch.setattr(audit, "GRACE_SECONDS", 0.5)
    await start(resync_seconds=0.5)
    await asyncio.to_thread(cluster.apply, "unheard", {})
    await until(lambda: cluster.find("serving.knative.dev/v1", "services", "unheard"))
