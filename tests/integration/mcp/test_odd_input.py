"""Input that no host or agent should send, and some do: each gets an answer of its own, and costs nobody else."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.mcp.test_calls import asking, chunk
from tests.parts.gateway import World, world
from tests.parts.mcp_host import FORMS, TASKS, Host, said
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, Response, Seen, TalkingAgent

from lambdaagent.gateway.http.sse import Streams

TOOL = "shop__echo__say"


@pytest.fixture
async def gateway(talking: TalkingAgent, container: PlainAgent, tmp_path: Path) -> AsyncIterator[World]:
    container.respond = asking
    async with world(database=tmp_path / "tasks.db") as found:
        found.agent(url=talking.url)
        found.agent("asker", url=container.url)
        yield found


def host(gateway: World, version: str = "2026-07-28", **capabilities: Any) -> Host:
    return Host(gateway.session, gateway.url + "/mcp", version, capabilities)


@pytest.mark.parametrize("context_id", [["x"], {"a": 1}, 5, True, "\0", "x" * 1025])
async def test_a_context_that_is_none_is_the_callers_mistake(gateway: World, context_id: Any) -> None:
    meta = {"lambda.knative.io/contextId": context_id}
    result = await host(gateway).call("shop__asker__say", _meta=meta)
    assert result["isError"]
    assert "contextId: must be a string of at most 1024 characters without NUL" in said(result)


@pytest.mark.parametrize("mode", [[], {}, 5, None, "voice"])
@pytest.mark.parametrize("capabilities", [FORMS, {**TASKS, **FORMS}])
async def test_a_question_of_an_unknown_kind_is_told_as_such(
    gateway: World, container: PlainAgent, mode: Any, capabilities: Any
) -> None:
    def ask(_: Seen) -> Response:
        asked = {"a": {"method": "elicitation/create", "params": {"mode": mode, "message": "Which?"}}}
        message = {"messageId": "q", "role": "ROLE_AGENT", "parts": [{"text": "Which?"}]}
        message["metadata"] = {"io.modelcontextprotocol/inputRequests": asked}
        status = {"state": "TASK_STATE_INPUT_REQUIRED", "message": message}
        body = {"task": {"id": "t", "contextId": "c", "status": status}}
        return 200, {"Content-Type": "application/a2a+json"}, json.dumps(body).encode()

    container.respond = ask
    answer = await host(gateway, **capabilities).ask("tools/call", name="shop__asker__say", arguments={"text": "x"})
    assert answer["error"]["code"] == -32021


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        (["application/json, text/event-stream"], True),
        (["application/json", "text/event-stream"], True),
        (["Text/Event-Stream ; q=0.5"], True),
        (["application/json, text/event-stream; q=0"], False),
        (["*/*"], False),
        (["application/json"], False),
        ([], False),
    ],
)
async def test_a_stream_is_for_who_accepts_it(
    gateway: World, talking: TalkingAgent, accept: list[str], streams: bool
) -> None:
    asked = host(gateway)
    body, headers = asked.message("tools/call", {"name": TOOL, "arguments": {"text": "x"}})
    del headers["Accept"]
    sent = [*headers.items(), *(("Accept", each) for each in accept)]
    loop = asyncio.get_running_loop()
    loop.call_later(0.6, talking.say, chunk("done"), None)
    async with gateway.session.post(asked.url, json=body, headers=sent, skip_auto_headers=["Accept"]) as response:
        assert response.content_type == ("text/event-stream" if streams else "application/json")
        assert said([each async for each in asked.messages(response)][-1]["result"]) == "done"


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_a_call_without_room_for_its_stream_leaves_no_task_running(talking: TalkingAgent, version: str) -> None:
    async with world(streams=Streams(most=0)) as gateway:
        gateway.agent(url=talking.url)
        result = await host(gateway, version).call(TOOL)
        assert "too many streams" in said(result)
        (task,) = (await gateway.rpc("ListTasks", {}))["result"]["tasks"]
        assert task["status"]["state"] == "TASK_STATE_CANCELED"


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.3, 0.55, 0.8])
async def test_a_host_that_closes_early_leaves_no_task_running(
    gateway: World, talking: TalkingAgent, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    create, began = gateway.store.create, asyncio.Event()

    async def slowly(*args: Any, **more: Any) -> Any:
        began.set()
        await asyncio.sleep(0.25)
        found = await create(*args, **more)
        await asyncio.sleep(0.25)
        return found

    monkeypatch.setattr(gateway.store, "create", slowly)
    asking = asyncio.create_task(host(gateway).call(TOOL))
    await asyncio.wait_for(began.wait(), 10)
    await asyncio.sleep(seconds)
    asking.cancel()

    async def ended() -> Any:
        tasks = (await gateway.rpc("ListTasks", {}))["result"]["tasks"]
        return [each["status"]["state"] for each in tasks] == ["TASK_STATE_CANCELED"]

    await eventually(ended, what="the end of the task")


@pytest.mark.parametrize(
    "forged", [{"name": "ask", "reason": "best"}, {"name": {}, "reason": []}, {"name": "x"}, {}, 5]
)
async def test_a_tools_result_is_of_its_form_whatever_began_the_task(gateway: World, forged: Any) -> None:
    """A client of A2A may write into its message that one of the platform's tools sent it."""
    metadata = {"lambda.knative.io/tool": forged}
    message = {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hello"}], "metadata": metadata}
    answer = await gateway.rpc("SendMessage", {"message": message}, path="/agents/shop/asker/api/a2a")
    task = answer["result"]["task"]
    assert (await host(gateway, **TASKS).result("tasks/get", taskId=task["id"]))["status"] == "input_required"
    arguments = {"text": "blue", "context_id": task["contextId"]}
    result = await host(gateway).result("tools/call", name="shop__asker__say", arguments=arguments)
    assert result["_meta"]["taskId"] == task["id"]
    assert result["structuredContent"] == {"colour": "blue"}


async def test_a_platform_tools_result_is_of_its_form_whatever_began_the_task(gateway: World) -> None:
    first = await host(gateway).call("shop__asker__say")
    given = {"agent_id": "shop/asker", "message_type": "request", "content": {"text": "blue"}}
    given["session_id"] = first["_meta"]["contextId"]
    result = await host(gateway).result("tools/call", name="a2a_message", arguments=given)
    assert result["structuredContent"]["task_id"] == first["_meta"]["taskId"]
    assert result["structuredContent"]["output"] == {"colour": "blue"}
