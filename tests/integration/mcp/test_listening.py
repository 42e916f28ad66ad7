"""`subscriptions/listen`: what a host is told, and what it is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from tests.integration.mcp.test_calls import asking, chunk
from tests.parts.access import guarded, of
from tests.parts.gateway import World, skill, world
from tests.parts.issuer import Issuer
from tests.parts.lag import MOST_LAG, Watched, watched_gateway
from tests.parts.mcp_host import TASKS, Host
from tests.parts.upstream import PlainAgent, TalkingAgent

TOOL = "shop__echo__say"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


@pytest.fixture
async def gateway(talking: TalkingAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=talking.url)
        yield found


def host(gateway: World, path: str = "/mcp", **more: Any) -> Host:
    return Host(gateway.session, gateway.url + path, capabilities=TASKS, **more)


async def told(messages: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    return await asyncio.wait_for(anext(messages), 15)


async def test_the_first_frame_says_what_is_granted(gateway: World) -> None:
    wanted = {"toolsListChanged": True, "promptsListChanged": True, "resourceSubscriptions": ["file:///x"]}
    async with host(gateway).open("subscriptions/listen", notifications=wanted) as response:
        first = await told(host(gateway).messages(response))
    assert first["method"] == "notifications/subscriptions/acknowledged"
    assert first["params"]["notifications"] == {"toolsListChanged": True, "resourceSubscriptions": []}
    assert first["params"]["_meta"][SUBSCRIPTION] == 1


async def test_new_tools_are_told_once(gateway: World, talking: TalkingAgent) -> None:
    asked = host(gateway)
    async with asked.open("subscriptions/listen", notifications={"toolsListChanged": True}) as response:
        messages = asked.messages(response)
        await told(messages)
        gateway.agent(url=talking.url)  # as it was
        for number in range(20):
            gateway.agent(f"new-{number}", url=talking.url)
        assert (await told(messages))["method"] == "notifications/tools/list_changed"
        gateway.directory.remove("shop", "new-1")
        assert (await told(messages))["method"] == "notifications/tools/list_changed"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(messages), 2)


async def test_other_namespaces_and_unseen_agents_tell_nothing(
    tmp_path: Path, issuer: Issuer, talking: TalkingAgent
) -> None:
    grants = {"grants": [{"principals": ["corp:alice"]}]}
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        asked = host(gateway, "/mcp/shop", headers=of(issuer))
        async with asked.open("subscriptions/listen", notifications={"toolsListChanged": True}) as response:
            messages = asked.messages(response)
            await told(messages)
            gateway.agent("secret", url=talking.url)
            gateway.agent("other", namespace="bank", url=talking.url, access=grants)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(messages), 2)
        async with asked.open("subscriptions/listen", notifications={"toolsListChanged": True}) as response:
            messages = asked.messages(response)
            await told(messages)
            gateway.agent("mine", url=talking.url, access=grants)
            assert (await told(messages))["method"] == "notifications/tools/list_changed"


async def test_a_task_is_told_until_its_end(gateway: World, talking: TalkingAgent) -> None:
    asked = host(gateway)
    made = await asked.call(TOOL)
    wanted = {"taskIds": [made["taskId"], "absent"]}
    async with asked.open("subscriptions/listen", notifications=wanted) as response:
        messages = asked.messages(response)
        assert (await told(messages))["params"]["notifications"] == {"taskIds": [made["taskId"]]}
        assert (await told(messages))["params"]["status"] == "working"
        talking.say(chunk("done"), None)
        last = await told(messages)
    assert last["method"] == "notifications/tasks"
    assert last["params"]["taskId"] == made["taskId"]
    assert last["params"]["status"] == "completed"
    assert last["params"]["result"]["content"] == [{"type": "text", "text": "done"}]


async def test_a_changed_card_is_told(gateway: World, talking: TalkingAgent) -> None:
    asked = host(gateway)
    uri = "lambdaagent://agents/shop/echo/card"
    async with asked.open("subscriptions/listen", notifications={"resourceSubscriptions": [uri]}) as response:
        messages = asked.messages(response)
        await told(messages)
        gateway.agent(url=talking.url, skills=[skill("say"), skill("sing")])
        found = await told(messages)
    assert (found["method"], found["params"]["uri"]) == ("notifications/resources/updated", uri)


async def test_a_gateway_that_stops_ends_the_stream_with_its_result(gateway: World) -> None:
    asked = host(gateway)
    async with asked.open("subscriptions/listen", notifications={"toolsListChanged": True}) as response:
        messages = asked.messages(response)
        await told(messages)
        gateway.streams.stop()
        last = await told(messages)
    assert last["result"]["_meta"][SUBSCRIPTION] == last["id"]


@pytest.mark.parametrize(
    "notifications",
    [None, 5, {"taskIds": "x"}, {"taskIds": ["x"] * 65}, {"resourceSubscriptions": [5]}, {"taskIds": ["x" * 3000]}],
)
async def test_wishes_that_are_none_are_refused(gateway: World, notifications: Any) -> None:
    answer = await host(gateway).ask("subscriptions/listen", notifications=notifications)
    assert answer["error"]["code"] == -32602


async def test_only_the_new_revision_listens(gateway: World) -> None:
    old = Host(gateway.session, gateway.url + "/mcp", "2025-11-25")
    assert (await old.ask("subscriptions/listen", notifications={}))["error"]["code"] == -32601


@pytest.mark.parametrize("path", ["/mcp", "/mcp/shop", "/agents/shop/echo/mcp"])
async def test_a_task_is_not_told_to_whom_may_not_read_it_any_more(
    tmp_path: Path, issuer: Issuer, talking: TalkingAgent, path: str
) -> None:
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        gateway.agent(url=talking.url, access={"grants": [{"principals": ["corp:alice"]}]})
        asked = host(gateway, path, headers=of(issuer))
        made = await asked.call("say" if "echo" in path else TOOL.removeprefix("shop__" if "shop" in path else ""))
        uri = f"lambdaagent://tasks/{made['taskId']}"
        wanted = {"taskIds": [made["taskId"]], "resourceSubscriptions": [uri]}
        async with asked.open("subscriptions/listen", notifications=wanted) as response:
            messages = asked.messages(response)
            for _ in range(3):
                await told(messages)
            gateway.agent(url=talking.url, access={"grants": [{"principals": ["corp:bob"]}]})
            talking.say(chunk("secret"), None)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(messages), 2)


async def test_a_subscription_goes_on_after_a_question(gateway: World, container: PlainAgent) -> None:
    container.respond = asking
    gateway.agent("asker", url=container.url)
    asked = host(gateway)
    task_id = (await asked.call("shop__asker__say"))["_meta"]["taskId"]
    async with asked.open("subscriptions/listen", notifications={"taskIds": [task_id]}) as response:
        messages = asked.messages(response)
        await told(messages)
        assert (await told(messages))["params"]["status"] == "input_required"
        answers = {"answer": {"action": "accept", "content": {"answer": "blue"}}}
        await asked.result("tasks/update", taskId=task_id, inputResponses=answers)
        statuses = [(await told(messages))["params"]["status"]]
        if statuses == ["working"]:
            statuses.append((await told(messages))["params"]["status"])
    assert statuses[-1] == "completed"


async def test_many_listeners_do_not_hold_the_loop() -> None:
    """Each looks at each changed agent, and all are woken by the same change."""
    skills = [skill(f"s-{number}") for number in range(20)]

    async def apply(gateway: World, most: int) -> None:
        for number in range(200):
            gateway.agent(f"a-{number}", url="http://127.0.0.1:1", skills=skills[:most])
            await asyncio.sleep(0)

    async def hear(watched: Watched) -> None:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(ClientSession(connector=TCPConnector(limit=0)))
            asked = Host(session, watched.world.url + "/mcp")
            wanted = {"toolsListChanged": True}
            opened = [asked.open("subscriptions/listen", notifications=wanted) for _ in range(100)]
            listeners = [asked.messages(await stack.enter_async_context(each)) for each in opened]
            for each in listeners:
                await told(each)
            watched.begin()
            await asyncio.to_thread(watched.run, lambda gateway: apply(gateway, 19))
            for each in listeners:
                await told(each)
            await asyncio.sleep(2)  # they look again at what has changed meanwhile

    with watched_gateway() as watched:
        watched.run(lambda gateway: apply(gateway, 20))
        await hear(watched)
        assert watched.worst < MOST_LAG
