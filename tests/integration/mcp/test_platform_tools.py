"""The tools of the platform, for the SDK client in both eras: by rights, explained, with the tasks of the caller."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from tests.integration.mcp.test_sdk import ERAS, client
from tests.parts.access import guarded, of
from tests.parts.gateway import World, skill
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

from lambdaagent.mcp import platform_tools

NAMES = [each["name"] for each in platform_tools.DEFINITIONS]
ALICE = {"grants": [{"principals": ["corp:alice"]}]}
BOTH = {"grants": [{"principals": ["corp:alice"]}, {"principals": ["corp:carol"], "skills": ["quote"]}]}


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file) as world:
        quotes = [
            skill("quote", tags=["price"], description="Quotes a price in Swiss francs."),
            skill("order", tags=["buy"], inputSchema={"type": "object", "required": ["item"]}),
        ]
        world.agent("seller", url=container.url, skills=quotes, access=BOTH)
        world.agent("dealer", url=container.url, skills=[skill("quote", tags=["price"])], access=ALICE)
        world.agent("away", url=None, ready=False, skills=[skill("sleep")], access=ALICE)
        world.agent("secret", namespace="bank", url=container.url, skills=[skill("vault", tags=["gold"])])
        world.agent("sky", namespace="bank", url=container.url, skills=[skill("weather", tags=["rain"])], access=ALICE)
        yield world


def agents(result: Any) -> list[str]:
    return [each["agent_id"] for each in result.structured_content["agents"]]


@pytest.fixture
def slow(container: PlainAgent) -> Iterator[Callable[[], None]]:
    """Returns a function that lets the container answer only after the test."""
    over = threading.Event()

    def respond(_: Any) -> tuple[int, dict[str, str], bytes]:
        over.wait(60)
        return 200, {}, b""

    def begin() -> None:
        container.respond = respond

    yield begin
    over.set()


def said(result: Any) -> str:
    return "\n".join(each.text for each in result.content)


@pytest.mark.parametrize("era", ERAS)
async def test_they_are_listed_first_and_once(gateway: World, issuer: Issuer, era: str) -> None:
    for number in range(130):
        gateway.agent(f"a{number:03}", namespace="many", url="http://x", access=ALICE)
    names: list[str] = []
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        cursor = None
        while True:
            page = await found.list_tools(cursor=cursor)
            names += [each.name for each in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert names[: len(NAMES)] == NAMES
    assert len(names) == len(set(names)) == len(NAMES) + 135
    async with client(gateway, "/agents/shop/seller/mcp", era, of(issuer)) as found:
        assert [each.name for each in (await found.list_tools()).tools] == ["order", "quote"]
        with pytest.raises(MCPError, match="There is no tool"):
            await found.call_tool("ask", {"query": "x"})


@pytest.mark.parametrize("era", ERAS)
async def test_agents_are_discovered_by_rights_filters_and_pages(gateway: World, issuer: Issuer, era: str) -> None:
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        await found.list_tools()
        whole = await found.call_tool("a2a_discover_agents", {})
        assert agents(whole) == ["bank/sky", "shop/dealer", "shop/seller"]
        assert json.loads(said(whole)) == whole.structured_content
        (quote, order) = whole.structured_content["agents"][2]["skills"]
        assert (quote["tool"], order["tags"]) == ("shop__seller__quote", ["buy"])
        filters: list[tuple[dict[str, Any], list[str]]] = [
            ({"status": "inactive"}, ["shop/away"]),
            ({"status": "all", "namespace": "shop"}, ["shop/away", "shop/dealer", "shop/seller"]),
            ({"capability_filter": ["quote", "BUY"]}, ["shop/seller"]),
            ({"capability_filter": ["gold"]}, []),
            ({"q": "swiss"}, ["shop/seller"]),
        ]
        for given, expected in filters:
            assert agents(await found.call_tool("a2a_discover_agents", given)) == expected
        paged: list[str] = []
        given = {"limit": 2}
        while True:
            page = await found.call_tool("a2a_discover_agents", given)
            paged += agents(page)
            if "next_cursor" not in page.structured_content:
                break
            given |= {"cursor": page.structured_content["next_cursor"]}
        assert paged == agents(whole)
    async with client(gateway, "/mcp", era, of(issuer, "carol")) as found:
        (only,) = (await found.call_tool("a2a_discover_agents", {})).structured_content["agents"]
        assert (only["agent_id"], [each["id"] for each in only["skills"]]) == ("shop/seller", ["quote"])
    async with client(gateway, "/mcp/bank", era, of(issuer)) as found:
        (only,) = (await found.call_tool("a2a_discover_agents", {})).structured_content["agents"]
        assert only["skills"][0]["tool"] == "sky__weather"


@pytest.mark.parametrize("era", ERAS)
async def test_a_task_goes_to_a_skill_by_its_id_or_tag(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str
) -> None:
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        await found.list_tools()
        given: dict[str, Any] = {"task_type": "price", "input_data": {"text": "gold?"}, "priority": 9}
        chosen = await found.call_tool("a2a_execute_task", given)
        facts = chosen.structured_content
        assert (facts["agent_id"], facts["skill_id"], facts["status"]) == ("shop/dealer", "quote", "completed")
        assert "2 match" in facts["reason"]
        assert facts["output"]["you_said"] == "gold?"
        assert facts["task_id"] in said(chosen)
        again = await found.call_tool("a2a_execute_task", {**given, "agent_id": "shop/seller"})
        assert again.structured_content["agent_id"] == "shop/seller"
        data = {"task_type": "weather", "input_data": {"city": "Zurich"}, "context_id": facts["context_id"]}
        await found.call_tool("a2a_execute_task", data)
    assert json.loads(container.seen[-1].body) == {"city": "Zurich"}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("tool", "given", "why"),
    [
        ("a2a_execute_task", {"task_type": "gold", "input_data": {}}, "No agent that you may call"),
        ("a2a_execute_task", {"task_type": "x", "input_data": {}, "agent_id": "bank/secret"}, "no agent 'bank/secret'"),
        ("a2a_execute_task", {"task_type": "x", "input_data": {}, "agent_id": "bank/absent"}, "no agent 'bank/absent'"),
        ("a2a_execute_task", {"task_type": "order", "input_data": {}}, "input_data.item: is required"),
        ("a2a_execute_task", {"task_type": "sleep", "input_data": {}}, "cannot be called"),
        ("a2a_execute_task", {"task_type": "x"}, "arguments.input_data: is required"),
        ("a2a_execute_task", {"task_type": "x", "input_data": {}, "priority": 11}, "arguments.priority: 11"),
        ("a2a_message", {"agent_id": "../x", "message_type": "request", "content": {}}, "no agent '../x'"),
        ("a2a_message", {"agent_id": "shop/seller", "message_type": "shout", "content": {}}, "arguments.message_type"),
        ("a2a_task_status", {"task_id": "none"}, "There is no task 'none' of yours"),
        ("a2a_task_cancel", {"task_id": "none"}, "There is no task 'none' of yours"),
        ("a2a_discover_agents", {"cursor": "?"}, "next_cursor"),
        ("ask", {"query": "x", "agent": "bank/secret"}, "no agent 'bank/secret'"),
        ("ask", {"query": "x", "wrong": 1}, "arguments.wrong: is not known"),
        ("a2a_register_agent", {"name": "n", "endpoint_url": "http://x", "capabilities": {}}, "may not register"),
        ("a2a_context", {"action": "get", "context_id": "none"}, "There is no context 'none' of yours"),
        ("a2a_propose", {"title": "x", "electorate": ["bank/secret"]}, "no agents that you may call: bank/secret"),
        ("a2a_propose", {"title": "x", "electorate": ["shop/seller"], "quorum": 1}, "quorum needs the rule quorum"),
        ("a2a_vote", {"proposal_id": "none", "choice": "yes"}, "There is no proposal 'none' of yours"),
        ("a2a_create_job", {"input_data": {}}, "needs a task_id or a task_type"),
        ("a2a_create_job", {"input_data": {}, "task_type": "x", "agent_id": "bank/secret"}, "no agent 'bank/secret'"),
        ("a2a_job_status", {"job_id": "none"}, "There is no job 'none' of yours"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_done_is_a_result_that_says_why(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str, tool: str, given: dict[str, Any], why: str
) -> None:
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        result = await found.call_tool(tool, given)
    assert (result.is_error, why in said(result)) == (True, True)
    assert container.seen == []


@pytest.mark.parametrize("era", ERAS)
async def test_a_task_is_read_and_cancelled_by_its_owner_only(
    gateway: World, issuer: Issuer, slow: Callable[[], None], era: str
) -> None:
    slow()
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        await found.list_tools()
        given = {"task_type": "quote", "agent_id": "shop/seller", "input_data": {"text": "x"}, "wait": False}
        begun = (await found.call_tool("a2a_execute_task", given)).structured_content
        assert begun["status"] == "working"
        task = {"task_id": begun["task_id"]}
        assert (await found.call_tool("a2a_task_status", task)).structured_content["status"] == "working"
    for path, subject in (("/mcp", "carol"), ("/mcp", "eve"), ("/mcp/bank", "alice")):
        async with client(gateway, path, era, of(issuer, subject)) as found:
            for tool in ("a2a_task_status", "a2a_task_cancel"):
                hidden = await found.call_tool(tool, task)
                absent = await found.call_tool(tool, {"task_id": "absent"})
                assert (hidden.is_error, absent.is_error) == (True, True)
                assert said(hidden).replace(task["task_id"], "absent") == said(absent)
    async with client(gateway, "/mcp/shop", era, of(issuer)) as found:
        canceled = await found.call_tool("a2a_task_cancel", task)
        assert (canceled.is_error in (None, False), canceled.structured_content["status"]) == (True, "canceled")
        again = await found.call_tool("a2a_task_cancel", task)
        assert (again.is_error, "has ended already" in said(again)) == (True, True)


@pytest.mark.parametrize("era", ERAS)
async def test_a_message_waits_for_its_answer_and_a_notification_does_not(
    gateway: World, issuer: Issuer, container: PlainAgent, slow: Callable[[], None], era: str
) -> None:
    async with client(gateway, "/mcp/shop", era, of(issuer)) as found:
        given: dict[str, Any] = {"agent_id": "dealer", "message_type": "request", "content": {"text": "hello"}}
        answer = (await found.call_tool("a2a_message", given)).structured_content
        assert (answer["status"], answer["output"]["you_said"]) == ("completed", "hello")
        slow()
        given |= {"message_type": "notification", "session_id": answer["context_id"], "agent_id": "shop/dealer"}
        sent = (await asyncio.wait_for(found.call_tool("a2a_message", given), 10)).structured_content
        assert (sent["status"], sent["context_id"]) == ("working", answer["context_id"])

        async def arrived() -> bool:
            return len(container.seen) == 2

        await eventually(arrived, what="the notification at the container")


@pytest.mark.parametrize("era", ERAS)
async def test_a_question_goes_to_the_skill_that_fits_best(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str
) -> None:
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        await found.list_tools()
        answer = (await found.call_tool("ask", {"query": "Will there be rain?"})).structured_content
        assert (answer["answered"], answer["agent_id"], answer["skill_id"]) == (True, "bank/sky", "weather")
        assert "tags: rain" in answer["reason"]
        asked = len(container.seen)
        tie = await found.call_tool("ask", {"query": "What is the price?"})
        named = [each["tool"] for each in tie.structured_content["candidates"]]
        assert (tie.structured_content["answered"], named) == (False, ["shop__dealer__quote", "shop__seller__quote"])
        assert all(name in said(tie) for name in named)
        none = await found.call_tool("ask", {"query": "gold in the vault"})
        assert (none.is_error, "bank__secret__vault" in said(none)) == (True, False)
        structured = await found.call_tool("ask", {"query": "I want to buy something", "namespace": "shop"})
        assert "takes arguments of its own" in said(structured)
        assert len(container.seen) == asked
        direct = (await found.call_tool("ask", {"query": "anything", "agent": "shop/dealer"})).structured_content
        assert (direct["answered"], direct["agent_id"]) == (True, "shop/dealer")
    async with client(gateway, "/mcp", era, of(issuer, "carol")) as found:
        alone = (await found.call_tool("ask", {"query": "What is the price?"})).structured_content
        assert alone["agent_id"] == "shop/seller"


async def test_waiting_tasks_begin_by_priority(gateway: World, issuer: Issuer, container: PlainAgent) -> None:
    gate = threading.Event()

    def respond(_: Any) -> tuple[int, dict[str, str], bytes]:
        gate.wait(60)
        return 200, {}, b""

    container.respond = respond
    gateway.agent("one", url=container.url, skills=[skill("work")], access=ALICE, maxConcurrentTasks=1)
    async with client(gateway, "/mcp", "2026-07-28", of(issuer)) as found:
        for number, priority in enumerate((5, 1, 5, 10)):
            given = {"task_type": "work", "input_data": {"number": number}, "priority": priority, "wait": False}
            await found.call_tool("a2a_execute_task", given)

    async def begun() -> bool:
        return bool(container.seen)

    await eventually(begun, what="the first task")
    gate.set()

    async def done() -> bool:
        return len(container.seen) == 4

    await eventually(done, what="all tasks")
    assert [json.loads(each.body)["number"] for each in container.seen] == [0, 3, 2, 1]
