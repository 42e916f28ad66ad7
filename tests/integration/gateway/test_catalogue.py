"""Following the list of agents: what there is, then what changes, and nothing that does not show."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.integration.gateway.streaming import Event, events
from tests.parts.gateway import World, skill, world
from tests.parts.polling import eventually

from lambdaagent.gateway.http.sse import Streams


@asynccontextmanager
async def following(gateway: World, query: str = "") -> AsyncIterator[AsyncIterator[Event]]:
    url = f"{gateway.url}/agents{query}"
    async with gateway.session.get(url, headers={"Accept": "text/event-stream"}) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        async with asyncio.timeout(20):
            yield events(response)


def named(event: Event) -> tuple[str, str]:
    return event.event, f"{event.data['namespace']}/{event.data['name']}"


async def test_it_begins_with_everything_and_goes_on_with_what_changes(gateway: World) -> None:
    gateway.agent("a", url="http://x")
    async with following(gateway) as stream:
        first = await anext(stream)
        assert (first.event, first.data["last"], [agent["name"] for agent in first.data["agents"]]) == (
            "snapshot",
            True,
            ["a"],
        )
        listed: Any = await (await gateway.request("GET", "/agents")).json()
        assert first.data["agents"] == listed["agents"]
        gateway.agent("b", url=None)
        assert named(await anext(stream)) == ("upsert", "shop/b")
        gateway.agent("b", url="http://x")
        changed = await anext(stream)
        assert (named(changed), changed.data["ready"]) == (("upsert", "shop/b"), True)
        gateway.agent("b", url="http://x")  # nothing that shows
        gateway.directory.remove("shop", "a")
        assert named(await anext(stream)) == ("remove", "shop/a")
        gateway.agent("b", url="http://x", endpoint={"discoveryEnabled": False})
        assert named(await anext(stream)) == ("remove", "shop/b")


async def test_it_is_filtered_like_the_list(gateway: World) -> None:
    async with following(gateway, "?skill=pay") as stream:
        assert (await anext(stream)).data == {"agents": [], "last": True}
        gateway.agent("other", url="http://x")
        gateway.agent("cart", url="http://x", skills=[skill("pay")])
        assert named(await anext(stream)) == ("upsert", "shop/cart")
        gateway.agent("cart", url="http://x", skills=[skill("look")])
        assert named(await anext(stream)) == ("remove", "shop/cart")


async def test_many_agents_come_in_batches(gateway: World) -> None:
    for n in range(250):
        gateway.agent(f"a{n}", url=None)
    async with following(gateway) as stream:
        batches = [await anext(stream) for _ in range(3)]
    assert [(len(batch.data["agents"]), batch.data["last"]) for batch in batches] == [
        (100, False), (100, False), (50, True),
    ]  # fmt: skip


async def test_many_changes_of_one_agent_are_one_for_a_slow_reader(gateway: World) -> None:
    with gateway.directory.watch() as changes:
        for n in range(1000):
            gateway.agent("a", url=None, description=str(n))
        assert await changes.next() == [("shop", "a")]


async def test_there_are_so_many_streams_and_no_more() -> None:
    async with world(streams=Streams(most=1)) as gateway:
        async with following(gateway) as stream:
            await anext(stream)
            refused = await gateway.request("GET", "/agents", headers={"Accept": "text/event-stream"})
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        await eventually(lambda: gateway.streams.open == 0)
        async with following(gateway) as stream:
            await anext(stream)
