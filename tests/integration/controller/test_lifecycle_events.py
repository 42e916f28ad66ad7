"""The operator on a real API server, and a real HTTP server where the gateway would be."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from tests.parts.cluster import Cluster, Start, until
from tests.parts.http_servers import serving
from tests.parts.knative import mark_all_ready, mark_failed

from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event

KNATIVE = "serving.knative.dev/v1"


@dataclass
class Gateway:
    """Keeps the events of its namespace; the operator also sends events about agents that earlier tests left."""

    namespace: str
    url: str = ""
    status: int = 202
    events: list[Event] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        events = http.read(request.headers, await request.read())
        if request.match_info["namespace"] == self.namespace:
            self.events += events
        return web.Response(status=self.status)

    def kinds(self, name: str) -> list[str]:
        return [each.type.rpartition(".")[2] for each in self.events if (each.subject or "").endswith(f"/{name}")]


@pytest.fixture
async def gateway(cluster: Cluster) -> AsyncIterator[Gateway]:
    found = Gateway(cluster.namespace)
    app = web.Application()
    app.router.add_post("/events/{namespace}", found.take)
    async with serving(app) as found.url:
        yield found


async def come_up(cluster: Cluster, name: str) -> None:
    await until(lambda: cluster.find(KNATIVE, "services", name))
    await asyncio.to_thread(mark_all_ready, cluster.rest, namespace=cluster.namespace)
    await until(lambda: cluster.has(name, "Ready", "True"))


async def test_an_agents_life_is_told(cluster: Cluster, start: Start, gateway: Gateway) -> None:
    await start(lifecycle_events=True, events_url=gateway.url)
    await asyncio.to_thread(cluster.apply, "told", {"env": [{"name": "A", "value": "1"}]})
    await come_up(cluster, "told")
    await until(lambda: gateway.kinds("told") == ["created", "ready"])

    await asyncio.to_thread(cluster.apply, "told", {"env": [{"name": "A", "value": "2"}]})
    await until(lambda: "updated" in gateway.kinds("told"))
    await come_up(cluster, "told")
    await until(lambda: gateway.kinds("told") == ["created", "ready", "updated", "ready"])

    broken = {"namespace": cluster.namespace, "name": "told", "reason": "RevisionFailed", "message": "no image"}
    await asyncio.to_thread(mark_failed, cluster.rest, "Service", **broken)
    await until(lambda: gateway.kinds("told")[4:] == ["degraded"])
    uid = cluster.agent("told")["metadata"]["uid"]
    await asyncio.to_thread(cluster.rest.delete, f"{cluster.agents}/told")
    await until(lambda: gateway.kinds("told")[5:] == ["deleted"])

    told: list[dict[str, Any]] = [json.loads(event.data) for event in gateway.events]
    assert {(each["namespace"], each["name"], each["uid"]) for each in told} == {(cluster.namespace, "told", uid)}
    assert [each["generation"] for each in told[:5]] == [1, 1, 2, 2, 2]
    assert told[1]["phase"] == "Ready"
    assert told[4]["reason"]
    assert len({event.id for event in gateway.events}) == 6
    assert {event.source for event in gateway.events} == {f"io.knative.lambda/operator/{cluster.namespace}/told"}


async def test_agents_that_were_there_are_no_news_to_the_next_operator(
    cluster: Cluster, start: Start, gateway: Gateway
) -> None:
    stop = await start(lifecycle_events=True, events_url=gateway.url)
    await asyncio.to_thread(cluster.apply, "old", {})
    await come_up(cluster, "old")
    await until(lambda: gateway.kinds("old") == ["created", "ready"])
    await stop()
    await start(lifecycle_events=True, events_url=gateway.url)
    await asyncio.to_thread(cluster.apply, "new", {})
    await until(lambda: "created" in gateway.kinds("new"))
    assert gateway.kinds("old") == ["created", "ready"]


async def test_a_gateway_that_fails_does_not_hold_up_agents(cluster: Cluster, start: Start, gateway: Gateway) -> None:
    gateway.status = 503
    await start(lifecycle_events=True, events_url=gateway.url)
    await asyncio.to_thread(cluster.apply, "quick", {})
    await come_up(cluster, "quick")


async def test_nothing_is_told_unless_asked_for(cluster: Cluster, start: Start, gateway: Gateway) -> None:
    await start(events_url=gateway.url)
    await asyncio.to_thread(cluster.apply, "quiet", {})
    await come_up(cluster, "quiet")
    assert gateway.events == []
