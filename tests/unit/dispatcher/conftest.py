"""A consumer manager, and a deliverer to an agent on a real HTTP server."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.parts.consumers import World
from tests.parts.deliveries import Agent, Make, Observed

from lambdaagent import clock as clocks
from lambdaagent.children.async_calls import Calls
from lambdaagent.dispatcher.circuit import Circuit
from lambdaagent.dispatcher.deduplication import Deduplicator
from lambdaagent.dispatcher.delivery import AgentRoute, Deliverer
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.retry import Policy
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target
from lambdaagent.store.memory import MemoryStore


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World()
    running = asyncio.create_task(found.serving.run())
    yield found
    running.cancel()
    await asyncio.wait([running])


@pytest.fixture
async def agent() -> AsyncIterator[tuple[Agent, str]]:
    found = Agent()
    app = web.Application()
    app.router.add_post("/", found.handle)
    async with TestServer(app) as server:
        yield found, str(server.make_url("/"))


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient()
    yield made
    await made.close()


@pytest.fixture
def make(agent: tuple[Agent, str], client: HttpClient) -> Make:
    store = MemoryStore()

    def build(**options: Any) -> tuple[Deliverer, list[Event], Counter[str]]:
        replies: list[Event] = []
        observed = Observed()

        async def reply(events: Sequence[Event]) -> None:
            replies.extend(events)

        async def sleep(_: float) -> None:
            return

        parts = {
            "policy": Policy(retry=2, delay=1.0),
            "reply": reply,
            "sleep": sleep,
            "route": lambda _: AgentRoute(Target.parse(agent[1])),
            "calls": Calls("a", {}),
            "jitter": lambda: 1.0,
            "circuit": Circuit(sleep=sleep),
        } | options
        clock = clocks.system()
        seen = Deduplicator(store, "n", "a", clock)
        return (
            Deliverer(agent="n/a", client=client, clock=clock, seen=seen, observer=observed, **parts),
            replies,
            observed,
        )

    return build
