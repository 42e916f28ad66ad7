"""Errors of a container that is an A2A server, and cancellations that reach it."""

import asyncio
from typing import Any

import pytest
from tests.integration.gateway import remote as by_hand
from tests.integration.gateway.remote import AGENT, METHODS, Error, Json, Remote, said, serve, stream, until
from tests.parts.gateway import message, world
from tests.parts.upstream import PlainAgent


@pytest.mark.parametrize("version", ["1.0", "0.3"])
@pytest.mark.parametrize("code", [-32602, -32004, -32005])
async def test_a_follow_up_that_the_container_refuses_is_refused_and_the_task_waits_on(
    container: PlainAgent, version: str, code: int
) -> None:
    send, _ = METHODS[version]
    question = said("which?", **({} if version == "1.0" else {"role": "agent"}))
    asks = by_hand.task("INPUT_REQUIRED", message=question)
    refused = [True]

    def answer(params: Json) -> Any:
        if "taskId" not in params["message"]:
            return {"task": asks} if version == "1.0" else {**asks, "kind": "task"}
        assert params["message"]["taskId"] == "theirs"
        if refused.pop() if refused else False:
            return Error(code, "not like this")
        return (
            {"task": by_hand.task("COMPLETED")} if version == "1.0" else {**by_hand.task("COMPLETED"), "kind": "task"}
        )

    async with world() as found:
        serve(container, found, Remote(version, answers={send: answer}))
        asked = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]["task"]
        follow_up = {"message": message("bad", messageId="m-2", taskId=asked["id"])}
        error = (await found.rpc("SendMessage", follow_up, path=AGENT))["error"]
        assert error["code"] == code
        assert "not like this" in error["message"]
        now = (await found.rpc("GetTask", {"id": asked["id"]}, path=AGENT))["result"]
        assert now["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert now["status"]["message"] == asked["status"]["message"]
        assert now["history"] == asked["history"]
        done = (await found.rpc("SendMessage", follow_up, path=AGENT))["result"]["task"]
        assert done["status"]["state"] == "TASK_STATE_COMPLETED"
        texts = [part["text"] for each in done["history"] for part in each["parts"]]
        assert texts == ["x", "which?", "bad"]


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_first_message_that_the_container_refuses_is_refused(container: PlainAgent, streamed: bool) -> None:
    refusal = Error(-32602, "message.parts is odd")
    async with world() as found:
        answers = {"SendMessage": refusal, "SendStreamingMessage": refusal}
        serve(container, found, Remote(streaming=True, answers=answers))
        params = {"message": message("x", contextId="c")}
        answer = (await stream(found, params))[0] if streamed else await found.rpc("SendMessage", params, path=AGENT)
        assert answer["error"]["code"] == -32602
        assert "message.parts is odd" in answer["error"]["message"]
        (listed,) = (await found.rpc("ListTasks", {"contextId": "c"}, path=AGENT))["result"]["tasks"]
        assert listed["status"]["state"] == "TASK_STATE_FAILED"
        assert "The agent refuses the message: message.parts is odd" in listed["status"]["message"]["parts"][0]["text"]


@pytest.mark.parametrize(("code", "seen"), [(-32603, -32603), (-32001, -32001), (-32601, -32601), (-32000, -32603)])
@pytest.mark.parametrize("follows", [False, True], ids=["first", "follow-up"])
async def test_an_error_of_the_container_is_the_clients_answer_and_its_task_has_failed(
    container: PlainAgent, code: int, seen: int, follows: bool
) -> None:
    asks = {"task": by_hand.task("INPUT_REQUIRED", message=said("which?"))}
    error = Error(code, "boom")
    server = Remote(answers={"SendMessage": lambda params: asks if not params["message"].get("taskId") else error})
    if not follows:
        server.answers["SendMessage"] = error
    async with world() as found:
        serve(container, found, server)
        params = {"message": message("x", contextId="c")}
        if follows:
            asked = (await found.rpc("SendMessage", params, path=AGENT))["result"]["task"]
            params = {"message": message("y", messageId="m-2", taskId=asked["id"])}
        answer = (await found.rpc("SendMessage", params, path=AGENT))["error"]
        assert (answer["code"], answer["message"]) == (seen, "boom")
        (listed,) = (await found.rpc("ListTasks", {"contextId": "c"}, path=AGENT))["result"]["tasks"]
        assert listed["status"]["state"] == "TASK_STATE_FAILED"
        assert "boom" in listed["status"]["message"]["parts"][0]["text"]
        direct = await found.request("POST", f"{AGENT}/skills/say", data="x")
        assert follows or direct.status in (502, 404)
        at_once = {"message": message("x"), "configuration": {"returnImmediately": True}}
        assert follows or "task" in (await found.rpc("SendMessage", at_once, path=AGENT))["result"]


@pytest.mark.parametrize("error", [Error(-32603, "later"), {"no": "event"}], ids=["an error", "nonsense"])
async def test_what_comes_after_a_failure_does_not_hide_its_reason(container: PlainAgent, error: Any) -> None:
    failed = {"statusUpdate": {"taskId": "theirs", "status": {"state": "failed", "message": said("the reason")}}}
    async with world() as found:
        serve(container, found, Remote(streaming=True, answers={"SendStreamingMessage": [failed, error]}))
        events = await stream(found, {"message": message("x")})
        last = events[-1]["statusUpdate"]["status"]
        assert (last["state"], last["message"]["parts"]) == ("TASK_STATE_FAILED", [{"text": "the reason"}])


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_cancelling_a_task_that_waits_for_its_client_reaches_the_container(
    container: PlainAgent, version: str
) -> None:
    asks = by_hand.task("INPUT_REQUIRED", message=said("which?"))
    ended = by_hand.task("CANCELED")
    answers = {"SendMessage": {"task": asks}, "CancelTask": ended}
    if version == "0.3":
        answers = {"message/send": {**asks, "kind": "task"}, "tasks/cancel": {**ended, "kind": "task"}}
    server = Remote(version, answers=answers)  # type: ignore[arg-type]
    async with world() as found:
        serve(container, found, server)
        asked = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]["task"]
        canceled = (await found.rpc("CancelTask", {"id": asked["id"]}, path=AGENT))["result"]
        assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
    assert server.requests[-1].params == {"id": "theirs"}
    assert len(server.requests) == 2


async def test_a_task_at_a_container_without_streams_is_cancelled_there_once(container: PlainAgent) -> None:
    states = {"now": "WORKING"}
    server = Remote()
    server.answers["SendMessage"] = {"task": by_hand.task("WORKING")}
    server.answers["GetTask"] = lambda _: by_hand.task(states["now"])

    def cancel(_: Json) -> Json:
        states["now"] = "CANCELED"
        return by_hand.task("CANCELED")

    server.answers["CancelTask"] = cancel
    async with world() as found:
        serve(container, found, server)
        params = {"message": message("x"), "configuration": {"returnImmediately": True}}
        task = (await found.rpc("SendMessage", params, path=AGENT))["result"]["task"]
        await until(found, task["id"], lambda record: bool(record.remote))
        canceled = (await found.rpc("CancelTask", {"id": task["id"]}, path=AGENT))["result"]
        assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
    assert server.asked("SendMessage")[0]["configuration"] == {"returnImmediately": True}
    assert server.asked("CancelTask") == [{"id": "theirs"}]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Error(-32002, "too far gone"), -32002),
        (Error(-32004, "cannot be cancelled"), -32004),
        (Error(-32603, "not implemented"), -32603),
        (Error(-31000, "no"), -32002),
        (by_hand.task("COMPLETED"), -32002),
    ],
    ids=["not cancelable", "unsupported", "internal", "its own code", "it has ended"],
)
async def test_a_cancellation_that_the_container_refuses_is_refused(
    container: PlainAgent, answer: Any, code: int
) -> None:
    asks = {"task": by_hand.task("INPUT_REQUIRED", message=said("which?"))}
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": asks, "CancelTask": answer}))
        asked = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]["task"]
        error = (await found.rpc("CancelTask", {"id": asked["id"]}, path=AGENT))["error"]
        assert error["code"] == code
        now = (await found.rpc("GetTask", {"id": asked["id"]}, path=AGENT))["result"]
        assert now["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"


@pytest.mark.parametrize("answer", [Error(-32001, "unknown"), None], ids=["forgotten", "gone"])
async def test_a_task_that_nobody_at_the_container_knows_is_cancelled(container: PlainAgent, answer: Any) -> None:
    asks = {"task": by_hand.task("INPUT_REQUIRED", message=said("which?"))}
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": asks, "CancelTask": answer}))
        asked = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]["task"]
        if answer is None:
            container.respond = lambda _: (503, {}, b"")
        canceled = (await found.rpc("CancelTask", {"id": asked["id"]}, path=AGENT))["result"]
        assert canceled["status"]["state"] == "TASK_STATE_CANCELED"


async def test_a_blocking_send_that_is_cancelled_is_found_at_the_container_by_its_message(
    container: PlainAgent,
) -> None:
    """The container names a task only when it has ended, and lists it meanwhile."""
    answers, canceled = asyncio.Event(), asyncio.Event()
    listed = [
        by_hand.task("WORKING", id_="another's", history=[message("x", messageId="m-9")]),
        by_hand.task("COMPLETED", id_="ended", history=[message("x")]),
        by_hand.task("WORKING", id_="theirs", history=[message("x")]),
    ]
    server = Remote(answers={"ListTasks": {"tasks": listed}, "CancelTask": by_hand.task("CANCELED")})

    async with world() as found:
        serve(container, found, server)
        container.respond = by_hand.answering_late(server, asked=answers, until="CancelTask", came=canceled)
        sent = asyncio.create_task(found.rpc("SendMessage", {"message": message("x", contextId="c")}, path=AGENT))
        await asyncio.wait_for(answers.wait(), 10)
        (task,) = (await found.rpc("ListTasks", {"contextId": "c"}, path=AGENT))["result"]["tasks"]
        await found.rpc("CancelTask", {"id": task["id"]}, path=AGENT)
        assert (await sent)["result"]["task"]["status"]["state"] == "TASK_STATE_CANCELED"
        await asyncio.wait_for(canceled.wait(), 10)
    assert server.asked("ListTasks")[0]["contextId"] == "c"
    assert server.asked("CancelTask") == [{"id": "theirs"}]
