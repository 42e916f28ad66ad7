"""The Tasks extension: a call that takes long is a task that any replica knows, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.integration.mcp.test_calls import asking, chunk
from tests.parts.gateway import World, world
from tests.parts.mcp_host import FORMS, TASKS, Host, said
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, TalkingAgent

TOOL = "shop__echo__say"


@pytest.fixture
async def gateway(talking: TalkingAgent, container: PlainAgent) -> AsyncIterator[World]:
    container.answer = asking
    async with world() as found:
        found.agent(url=talking.url)
        found.agent("asker", url=container.url)
        yield found


@pytest.fixture
def host(gateway: World) -> Host:
    return Host(gateway.session, gateway.url + "/mcp", capabilities={**TASKS, **FORMS})


async def ended(host: Host, task_id: str) -> dict[str, Any]:
    async def check() -> Any:
        task = await host.result("tasks/get", taskId=task_id)
        return task if task["status"] != "working" else None

    found: dict[str, Any] = await eventually(check, what="the end of the task")
    return found


async def test_a_long_call_is_a_task_with_its_result(host: Host, talking: TalkingAgent) -> None:
    made = await host.call(TOOL)
    assert made["resultType"] == "task"
    assert made["status"] == "working"
    assert made["ttlMs"] > 0
    now = await host.result("tasks/get", taskId=made["taskId"])
    assert now["status"] == "working"
    assert "result" not in now
    talking.say(chunk("done"), None)
    done = await ended(host, made["taskId"])
    assert (done["status"], said(done["result"])) == ("completed", "done")


async def test_a_quick_call_is_no_task(host: Host, talking: TalkingAgent) -> None:
    talking.say(chunk("done"), None)
    assert said(await host.call(TOOL)) == "done"


async def test_a_task_is_cancelled_once_and_for_all(host: Host, talking: TalkingAgent) -> None:
    made = await host.call(TOOL)
    for _ in range(2):
        ack = await host.result("tasks/cancel", taskId=made["taskId"])
        assert set(ack) == {"resultType", "_meta"}
    assert (await ended(host, made["taskId"]))["status"] == "cancelled"
    await asyncio.wait_for(talking.closed.wait(), 10)


async def test_an_agent_that_failed_is_a_completed_task(host: Host, talking: TalkingAgent) -> None:
    made = await host.call(TOOL)
    message = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "no"}]}
    talking.say({"statusUpdate": {"status": {"state": "TASK_STATE_FAILED", "message": message}}}, None)
    done = await ended(host, made["taskId"])
    assert done["status"] == "completed"
    assert done["result"]["isError"]


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("task_id", ["absent", "", 5, "a" * 1000, "\x00", "../x"])
async def test_what_is_no_task_is_refused(host: Host, method: str, task_id: Any) -> None:
    body, headers = host.message(method, {"taskId": task_id, "inputResponses": {}})
    headers["Mcp-Name"] = "absent" if task_id == "absent" else "x"
    async with host.session.post(host.url, json=body, headers=headers) as response:
        answer = await response.json()
        assert response.status == 400
    assert answer["error"]["code"] in (-32602, -32020)


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_who_does_not_know_tasks_is_told_what_is_missing(gateway: World, method: str) -> None:
    plain = Host(gateway.session, gateway.url + "/mcp")
    error = (await plain.ask(method, taskId="x"))["error"]
    assert error["code"] == -32021
    assert error["data"] == {"requiredCapabilities": TASKS}


@pytest.mark.parametrize("method", ["tasks/list", "tasks/result"])
async def test_methods_of_the_older_extension_are_not_there(host: Host, method: str) -> None:
    assert (await host.ask(method))["error"]["code"] == -32601


async def test_a_question_of_a_task_is_answered_by_update(gateway: World, host: Host, container: PlainAgent) -> None:
    slow = asyncio.Event()

    def asks_late(request: Any) -> Any:
        asyncio.run_coroutine_threadsafe(slow.wait(), loop).result(10)
        return asking(request)

    loop = asyncio.get_running_loop()
    container.answer = asks_late
    made = await host.call("shop__asker__say")
    slow.set()
    waiting = await ended(host, made["taskId"])
    assert waiting["status"] == "input_required"
    ((name, _),) = waiting["inputRequests"].items()
    ack = await host.result("tasks/update", taskId=made["taskId"], inputResponses={"other": {"action": "accept"}})
    assert set(ack) == {"resultType", "_meta"}
    assert (await host.result("tasks/get", taskId=made["taskId"]))["status"] == "input_required"
    answers = {name: {"action": "accept", "content": {"answer": "green"}}}
    for _ in range(2):
        await host.result("tasks/update", taskId=made["taskId"], inputResponses=answers)
    done = await ended(host, made["taskId"])
    assert done["result"]["structuredContent"] == {"colour": "green"}


async def test_a_skill_that_runs_long_refuses_who_does_not_know_tasks(gateway: World, talking: TalkingAgent) -> None:
    skill = {"id": "say", "name": "Say", "invoke": {"taskSupport": "required"}}
    gateway.agent(url=talking.url, skills=[skill])
    plain = Host(gateway.session, gateway.url + "/mcp")
    assert (await plain.ask("tools/call", name=TOOL, arguments={"text": "x"}))["error"]["code"] == -32021
    old = Host(gateway.session, gateway.url + "/mcp", "2025-11-25")
    assert (await old.call(TOOL))["isError"]
    knows = Host(gateway.session, gateway.url + "/mcp", capabilities=TASKS)
    assert (await knows.call(TOOL))["resultType"] == "task"
