"""Calls that take long or ask: streams, progress, cancellation, questions, in both eras."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.parts.gateway import World, world
from tests.parts.mcp_host import FORMS, Host, said
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, Response, Seen, TalkingAgent

OLD = "2025-11-25"
TOOL = "shop__echo__say"


@pytest.fixture
async def gateway(talking: TalkingAgent, container: PlainAgent) -> AsyncIterator[World]:
    container.answer = asking
    async with world() as found:
        found.agent(url=talking.url)
        found.agent("asker", url=container.url)
        yield found


def host(gateway: World, version: str = "2026-07-28", **capabilities: Any) -> Host:
    return Host(gateway.session, gateway.url + "/mcp", version, capabilities)


def chunk(text: str) -> dict[str, Any]:
    return {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"text": text}]}, "append": True}}


def asking(request: Seen) -> Response:
    """Asks for a colour, and tells it in the next turn."""
    body = json.loads(request.body)
    text = body.get("text") if isinstance(body, dict) else None
    if text != "hello":
        return 200, {"Content-Type": "application/json"}, json.dumps({"colour": text}).encode()
    message = {"messageId": "q-1", "role": "ROLE_AGENT", "parts": [{"text": "Which colour?"}]}
    task = {"task": {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_INPUT_REQUIRED", "message": message}}}
    return 200, {"Content-Type": "application/a2a+json"}, json.dumps(task).encode()


async def test_a_quick_call_is_json(gateway: World, talking: TalkingAgent) -> None:
    talking.say(chunk("done"), None)
    async with host(gateway).open("tools/call", name=TOOL, arguments={"text": "x"}) as response:
        assert response.content_type == "application/json"
        assert said((await response.json())["result"]) == "done"


@pytest.mark.parametrize("version", ["2026-07-28", OLD])
async def test_a_long_call_streams_progress(gateway: World, talking: TalkingAgent, version: str) -> None:
    arguments = {"name": TOOL, "arguments": {"text": "x"}, "_meta": {"progressToken": "p"}}
    async with host(gateway, version).open("tools/call", **arguments) as response:
        messages = host(gateway).messages(response)
        seen = []
        for text in ("one", "two"):
            talking.say(chunk(text))
            seen.append((await anext(messages))["params"])
        talking.say(None)
        result = (await anext(messages))["result"]
    assert [(each["progressToken"], each["message"]) for each in seen] == [("p", "one"), ("p", "two")]
    assert seen[0]["progress"] < seen[1]["progress"]
    assert said(result) == "onetwo"


async def test_without_a_token_there_is_no_progress(gateway: World, talking: TalkingAgent) -> None:
    async with host(gateway).open("tools/call", name=TOOL, arguments={"text": "x"}) as response:
        talking.say(chunk("one"), None)
        found = [each async for each in host(gateway).messages(response)]
    assert [list(each) for each in found] == [["jsonrpc", "id", "result"]]


@pytest.mark.parametrize(("version", "cancelled"), [("2026-07-28", True), (OLD, False)])
async def test_closing_the_stream_cancels_since_2026(
    gateway: World, talking: TalkingAgent, version: str, cancelled: bool
) -> None:
    async with host(gateway, version).open("tools/call", name=TOOL, arguments={"text": "x"}) as response:
        assert response.content_type == "text/event-stream"
        response.close()
    if cancelled:
        await asyncio.wait_for(talking.closed.wait(), 10)
    (task,) = (await gateway.rpc("ListTasks", {}))["result"]["tasks"]

    async def ended() -> Any:
        found = (await gateway.rpc("GetTask", {"id": task["id"]}))["result"]["status"]["state"]
        return found if found != "TASK_STATE_WORKING" else None

    if not cancelled:
        talking.say(chunk("late"), None)
    state = await eventually(ended, what="the end of the task")
    assert state == ("TASK_STATE_CANCELED" if cancelled else "TASK_STATE_COMPLETED")


async def test_a_question_is_a_form_and_the_answer_goes_on(gateway: World) -> None:
    asked = host(gateway, **FORMS)
    first = await asked.call("shop__asker__say")
    assert first["resultType"] == "input_required"
    ((name, request),) = first["inputRequests"].items()
    assert request["method"] == "elicitation/create"
    assert request["params"]["message"] == "Which colour?"
    answers = {name: {"action": "accept", "content": {"answer": "blue"}}}
    second = await asked.call("shop__asker__say", inputResponses=answers, requestState=first["requestState"])
    assert second["resultType"] == "complete"
    assert second["structuredContent"] == {"colour": "blue"}
    again = await asked.call("shop__asker__say", inputResponses=answers, requestState=first["requestState"])
    assert again["structuredContent"] == {"colour": "blue"}, "a repeated answer is the same turn"


@pytest.mark.parametrize("state", ["x", "", 5, "a.b", None, "{}-TAMPERED", "{}0", " {}"])
async def test_a_state_that_was_not_issued_is_refused(gateway: World, state: Any) -> None:
    asked = host(gateway, **FORMS)
    first = await asked.call("shop__asker__say")
    given = state.format(first["requestState"]) if isinstance(state, str) else state
    answer = await asked.ask("tools/call", name="shop__asker__say", arguments={}, inputResponses={}, requestState=given)
    assert answer["error"]["code"] == -32602


@pytest.mark.parametrize("answers", [5, None, [], {"answer": 5}, {"answer": {"action": "accept"}}])
async def test_an_answer_that_is_none_is_refused(gateway: World, answers: Any) -> None:
    asked = host(gateway, **FORMS)
    first = await asked.call("shop__asker__say")
    given = {"inputResponses": answers, "requestState": first["requestState"]}
    answer = await asked.ask("tools/call", name="shop__asker__say", arguments={}, **given)
    assert answer["error"]["code"] == -32602


async def test_a_missing_answer_is_asked_for_again(gateway: World) -> None:
    asked = host(gateway, **FORMS)
    first = await asked.call("shop__asker__say")
    again = await asked.call("shop__asker__say", inputResponses={}, requestState=first["requestState"])
    assert again["inputRequests"] == first["inputRequests"]


async def test_who_declines_cancels_the_task(gateway: World) -> None:
    asked = host(gateway, **FORMS)
    first = await asked.call("shop__asker__say")
    given = {"inputResponses": {"answer": {"action": "decline"}}, "requestState": first["requestState"]}
    assert (await asked.call("shop__asker__say", **given))["isError"]


async def test_a_host_without_forms_reads_the_question(gateway: World) -> None:
    result = await host(gateway).call("shop__asker__say")
    assert result["resultType"] == "complete"
    assert "Which colour?" in said(result)


@pytest.mark.parametrize("version", ["2026-07-28", "2025-03-26"])
async def test_a_further_call_of_the_conversation_is_the_answer(gateway: World, version: str) -> None:
    plain = host(gateway, version)
    first = await plain.call("shop__asker__say")
    assert repr(first["_meta"]["contextId"]) in said(first)
    arguments = {"text": "blue", "context_id": first["_meta"]["contextId"]}
    second = await plain.result("tools/call", name="shop__asker__say", arguments=arguments)
    assert second["structuredContent"] == {"colour": "blue"}
    assert second["_meta"]["taskId"] == first["_meta"]["taskId"], "it is the same task"
    third = await plain.result("tools/call", name="shop__asker__say", arguments=arguments)
    assert third["_meta"]["taskId"] != first["_meta"]["taskId"]


async def test_a_host_of_the_handshake_is_asked_in_the_stream(gateway: World) -> None:
    old = host(gateway, OLD)
    async with old.open("tools/call", name="shop__asker__say", arguments={"text": "hello"}) as response:
        messages = old.messages(response)
        request = await anext(messages)
        assert request["method"] == "elicitation/create"
        assert request["params"]["message"] == "Which colour?"
        result = {"action": "accept", "content": {"answer": "red"}}
        assert await old.respond(request["id"], result=result) == 202
        assert (await anext(messages))["result"]["structuredContent"] == {"colour": "red"}


async def test_a_host_that_cannot_be_asked_reads_the_question(gateway: World) -> None:
    old = host(gateway, OLD)
    async with old.open("tools/call", name="shop__asker__say", arguments={"text": "hello"}) as response:
        messages = old.messages(response)
        request = await anext(messages)
        assert await old.respond(request["id"], error={"code": -32601, "message": "no"}) == 202
        assert "Which colour?" in said((await anext(messages))["result"])
