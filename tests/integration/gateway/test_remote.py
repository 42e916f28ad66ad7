"""What passes between a client and a container that is an A2A server: nothing of either is lost or made up."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.gateway import remote as by_hand
from tests.integration.gateway.remote import AGENT, Error, Json, Remote, said, serve
from tests.integration.gateway.upstream import PlainAgent, Seen
from tests.integration.gateway.world import World, message, world

from lambdaagent.store.records import TaskRecord

HI = {"message": said("hi")}
OLD_HI = {"kind": "message", "messageId": "m", "role": "agent", "parts": [{"kind": "text", "text": "hi"}]}
METHODS = {"1.0": ("SendMessage", "SendStreamingMessage"), "0.3": ("message/send", "message/stream")}


async def stream(found: World, params: Json, *, method: str = "SendStreamingMessage", **headers: str) -> list[Json]:
    """The results, or errors, of a stream."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    sent = {"A2A-Version": "1.0" if method[0] == "S" else "0.3", "Accept": "text/event-stream", **headers}
    answer = await found.request("POST", AGENT, json=body, headers=sent)
    if answer.content_type == "application/json":
        return [await answer.json()]
    lines = answer.body.decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return [event.get("result", event) for event in events]


async def until(found: World, task_id: str, holds: Callable[[TaskRecord], bool]) -> None:
    async with asyncio.timeout(10):
        while (record := await found.store.get(task_id)) is None or not holds(record):
            await asyncio.sleep(0.02)


# 18: a direct Message


@pytest.mark.parametrize("version", ["1.0", "0.3"])
@pytest.mark.parametrize("asks", ["1.0", "0.3"])
async def test_a_message_reaches_the_client_as_a_message(container: PlainAgent, version: str, asks: str) -> None:
    server = Remote(version, answers={METHODS[version][0]: HI if version == "1.0" else OLD_HI})
    async with world() as found:
        serve(container, found, server)
        ours = {"messageId": "1", "contextId": "c", "role": "user", "parts": [{"kind": "text", "text": "x"}]}
        asked = message("x", contextId="c") if asks == "1.0" else {**ours, "kind": "message"}
        result = (await found.rpc(METHODS[asks][0], {"message": asked}, path=AGENT, version=asks))["result"]
        answer = result["message"] if asks == "1.0" else result
        assert answer["parts"][0]["text"] == "hi"
        assert answer["contextId"] == "c"
        assert "taskId" not in answer
        assert asks == "1.0" or answer["kind"] == "message"
        listed = (await found.rpc("ListTasks", {"contextId": "c"}, path=AGENT))["result"]["tasks"]
        assert [each["status"]["state"] for each in listed] == ["TASK_STATE_COMPLETED"]


@pytest.mark.parametrize(
    "events",
    [[HI], [OLD_HI], [{"messageId": "m", "role": "agent", "parts": [{"text": "hi"}]}]],
    ids=["1.0", "0.3", "bare"],
)
async def test_a_stream_of_one_message_is_a_stream_of_one_message(container: PlainAgent, events: list[Json]) -> None:
    async with world() as found:
        serve(container, found, Remote(streaming=True, answers={"SendStreamingMessage": events}))
        (only,) = await stream(found, {"message": message("x")})
        assert only["message"]["parts"] == [{"text": "hi"}]
        (old,) = await stream(
            found,
            {"message": {"messageId": "1", "role": "user", "parts": [{"kind": "text", "text": "x"}]}},
            method="message/stream",
        )
        assert (old["kind"], old["parts"][0]["text"]) == ("message", "hi")


async def test_over_http_json_too_and_the_same_request_gets_the_same_answer(container: PlainAgent) -> None:
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": HI}))
        headers = {"A2A-Version": "1.0", "Idempotency-Key": "once"}
        sent = [
            await found.request("POST", f"{AGENT}/message:send", json={"message": message("x")}, headers=headers)
            for _ in range(2)
        ]
        answers = [(await each.json())["message"] for each in sent]
    assert answers[0] == answers[1]
    assert answers[0]["parts"] == [{"text": "hi"}]


@pytest.mark.parametrize(
    "configuration",
    [{"returnImmediately": True}, {"taskPushNotificationConfig": {"url": "http://127.0.0.1:9/"}}],
    ids=["at once", "pushes"],
)
async def test_a_request_that_needs_a_task_gets_one(container: PlainAgent, configuration: Json) -> None:
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": HI}))
        params = {"message": message("x"), "configuration": configuration}
        result = (await found.rpc("SendMessage", params, path=AGENT))["result"]
        assert "task" in result


async def test_a_follow_up_and_several_messages_are_a_task(container: PlainAgent) -> None:
    asks = {"task": by_hand.task("INPUT_REQUIRED", message=said("which?"))}
    server = Remote(streaming=True)
    server.answers["SendMessage"] = lambda params: HI if "taskId" in params["message"] else asks
    server.answers["SendStreamingMessage"] = [{"message": said("one")}, {"message": said("two")}]
    async with world() as found:
        serve(container, found, server)
        asked = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]["task"]
        params = {"message": message("this", taskId=asked["id"])}
        done = (await found.rpc("SendMessage", params, path=AGENT))["result"]["task"]
        assert (done["id"], done["status"]["message"]["parts"]) == (asked["id"], [{"text": "hi"}])
        events = await stream(found, {"message": message("x")})
        assert "task" in events[0]
        assert [each["statusUpdate"]["status"]["message"]["parts"][0]["text"] for each in events[1:]] == ["one", "two"]


async def test_an_unchanged_container_that_answers_with_a_message_does_so_too(
    echo: World, container: PlainAgent
) -> None:
    body = json.dumps({"message": said("hi")}).encode()
    container.respond = lambda _: (200, {"Content-Type": "application/a2a+json"}, body)
    result = (await echo.rpc("SendMessage", {"message": message("x")}))["result"]
    assert result["message"]["parts"] == [{"text": "hi"}]


# 20, 29, 32: what the container is sent


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_what_a_client_says_beside_its_message_reaches_the_container(container: PlainAgent, version: str) -> None:
    send, _ = METHODS[version]
    server = Remote(version, answers={send: HI if version == "1.0" else OLD_HI})
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    configuration = {"acceptedOutputModes": ["text/csv", "text/plain"], "historyLength": 3}
    params = {
        "message": message("x", metadata={"m": 1}),
        "metadata": {"k": [1, {"a": None}]},
        "configuration": configuration,
    }
    extensions = "https://x.example/e1,https://x.example/e2"
    async with world() as found:
        serve(container, found, server)
        headers = {"A2A-Extensions": extensions, "traceparent": trace}
        await found.rpc("SendMessage", params, path=AGENT, **headers)
    (request,) = server.requests
    assert request.params["metadata"] == {"k": [1, {"a": None}]}
    assert request.params["message"]["metadata"]["m"] == 1
    assert request.params["configuration"]["acceptedOutputModes"] == ["text/csv", "text/plain"]
    assert request.params["configuration"]["historyLength"] == 3
    name = "a2a-extensions" if version == "1.0" else "x-a2a-extensions"
    assert [each.strip() for each in request.headers[name].split(",")] == extensions.split(",")
    assert request.headers["traceparent"].split("-")[1] == trace.split("-")[1]


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("method", "configuration", "used", "blocking"),
    [
        ("message/send", {}, "message/send", True),
        ("message/send", {"blocking": False}, None, False),
        ("message/stream", {}, None, True),
    ],
    ids=["blocking", "at once", "stream"],
)
async def test_a_server_of_03_is_sent_what_its_own_sdk_sends(
    container: PlainAgent, streaming: bool, method: str, configuration: Json, used: str | None, blocking: bool
) -> None:
    """A blocking send stays one, also where the card says streaming; acceptedOutputModes is always there."""
    done = {"kind": "task", "id": "t", "contextId": "c", "status": {"state": "completed"}}
    server = Remote("0.3", streaming=streaming, answers={"message/send": done, "message/stream": [done]})
    ours = {"messageId": "1", "role": "user", "parts": [{"kind": "text", "text": "x"}]}
    async with world() as found:
        serve(container, found, server)
        params = {"message": ours, "configuration": configuration}
        if method == "message/stream":
            await stream(found, params, method=method)
        else:
            task = (await found.rpc(method, params, path=AGENT, version="0.3"))["result"]
            await until(found, task["id"], lambda record: record.state.terminal)
    (request,) = server.requests
    assert request.method == (used or ("message/stream" if streaming else "message/send"))
    sent = request.params["configuration"]
    assert sent == {
        "acceptedOutputModes": [],
        "blocking": request.method == "message/stream" or (blocking and used is not None),
    }


async def test_referenced_tasks_are_named_as_the_container_names_them(container: PlainAgent) -> None:
    ids = iter(["first", "second", "third"])
    server = Remote(answers={"SendMessage": lambda _: {"task": by_hand.task("COMPLETED", id_=next(ids))}})
    async with world() as found:
        serve(container, found, server)
        first = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]["task"]
        references = {"referenceTaskIds": [first["id"], "of nobody"]}
        params = {"message": message("y", **references)}
        second = (await found.rpc("SendMessage", params, path=AGENT))["result"]["task"]
        assert second["history"][0]["referenceTaskIds"] == references["referenceTaskIds"]
        await found.rpc("SendMessage", {"message": message("z", referenceTaskIds=["of nobody"])}, path=AGENT)
    sent = [params["message"].get("referenceTaskIds") for params in server.asked("SendMessage")]
    assert sent == [None, ["first"], None]


@pytest.mark.parametrize("header", ["A2A-Extensions", "X-A2A-Extensions"])
async def test_an_extension_that_the_agent_requires_is_named_by_the_client_or_the_message_refused(
    container: PlainAgent, header: str
) -> None:
    declared = [{"uri": "urn:a", "required": True, "description": "Why.", "params": {"k": [1]}}, {"uri": "urn:b"}]
    async with world() as found:
        serve(
            container,
            found,
            Remote(streaming=True, answers={"SendMessage": HI, "SendStreamingMessage": [HI]}),
            extensions=declared,
        )
        for method in ("SendMessage", "SendStreamingMessage"):
            for named in ({}, {header: "urn:b, urn:c"}):
                error = (await found.rpc(method, {"message": message("x")}, path=AGENT, **named))["error"]
                assert error["code"] == -32008
                assert "urn:a" in error["message"]
                assert "urn:b" not in error["message"]
        result = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT, **{header: "urn:c,urn:a"}))[
            "result"
        ]
        assert result["message"]["parts"] == [{"text": "hi"}]
        card = await (await found.request("GET", "/agents/shop/relayed/.well-known/agent-card.json")).json()
        assert card["capabilities"]["extensions"] == [
            {"uri": "urn:a", "required": True, "description": "Why.", "params": {"k": [1]}},
            {"uri": "urn:b", "required": False},
        ]


@pytest.mark.parametrize("uris", ["urn:" + "x" * 3000, ",".join(f"urn:{n}" for n in range(65)), "urn:\u00e9"])
async def test_extensions_are_bounded(container: PlainAgent, uris: str) -> None:
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": HI}))
        answer = await found.rpc("SendMessage", {"message": message("x")}, path=AGENT, **{"A2A-Extensions": uris})
    assert answer["error"]["code"] == -32602


# 28: where the card is


@pytest.mark.parametrize(
    ("options", "tried"),
    [
        (
            {"path": "/a"},
            ["/a/.well-known/agent-card.json", "/a/.well-known/agent.json", "/.well-known/agent-card.json",
             "/.well-known/agent.json"],
        ),
        ({"cardPath": "/api/.well-known/x/agent-card.json?v=1"}, ["/api/.well-known/x/agent-card.json?v=1"]),
        ({"path": "/a", "cardPath": "/card"}, ["/card"]),
    ],
)  # fmt: skip
async def test_the_card_is_looked_for_where_it_is_said_to_be_and_the_error_names_every_path(
    container: PlainAgent, options: Json, tried: list[str]
) -> None:
    async with world() as found:
        server = Remote()
        serve(container, found, server, container=options)
        container.respond = lambda _: (404, {}, b"")
        failed = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]["task"]
        text = failed["status"]["message"]["parts"][0]["text"]
        assert [each.path for each in container.seen if each.method == "GET"] == tried
        assert all(f"{path} answers 404" in text for path in tried)
        card = json.dumps(server.card()).encode()
        server.answers["SendMessage"] = HI
        container.respond = lambda seen: (
            (200, {"Content-Type": "application/json"}, card) if seen.path == tried[-1] else server.respond(seen)
            if seen.method == "POST" else (404, {}, b"")
        )  # fmt: skip
        result = (await found.rpc("SendMessage", {"message": message("x")}, path=AGENT))["result"]
        assert result["message"]["parts"] == [{"text": "hi"}]


@pytest.mark.parametrize("named", ["message:send", "message:stream"])
async def test_a_server_with_a_path_for_each_operation_is_asked_at_each(container: PlainAgent, named: str) -> None:
    states = iter(["WORKING", "INPUT_REQUIRED"])
    server = Remote("0.3", streaming=True)
    asks = {**by_hand.task("INPUT_REQUIRED"), "kind": "task"}
    server.answers = {
        "message/send": {**by_hand.task("WORKING"), "kind": "task"},
        "message/stream": [asks],
        "tasks/get": lambda _: {**by_hand.task(next(states)), "kind": "task"},
        "tasks/cancel": {**by_hand.task("CANCELED"), "kind": "task"},
    }
    async with world() as found:
        serve(container, found, server, container={"path": f"/agents/x/v1/{named}", "version": "0.3"})
        params = {"message": message("x", contextId="c")}
        asked = (await found.rpc("SendMessage", params, path=AGENT))["result"]["task"]
        await found.rpc("CancelTask", {"id": asked["id"]}, path=AGENT)
        await stream(found, params)
    paths = [(each.path, json.loads(each.body)["params"].get("contextId")) for each in container.seen if each.body]
    root = "/agents/x/v1/"
    assert paths == [
        (f"{root}message:send", None),
        (f"{root}tasks:get", "c"),
        (f"{root}tasks:get", "c"),
        (f"{root}tasks:cancel", "c"),
        (f"{root}message:stream", None),
    ]


async def test_a_card_that_the_container_cannot_give_yet_is_looked_for_again(container: PlainAgent) -> None:
    async with world() as found:
        server = Remote(streaming=True, answers={"SendMessage": HI, "SendStreamingMessage": [HI]})
        serve(container, found, server, container={"path": "/rpc", "version": "1.0"})
        container.respond = lambda seen: (503, {}, b"") if seen.method == "GET" else server.respond(seen)
        await stream(found, {"message": message("x")})
        container.respond = server.respond
        await stream(found, {"message": message("x")})
    assert [request.method for request in server.requests] == ["SendMessage", "SendStreamingMessage"]


# 31: refusals and cancellations


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
    loop = asyncio.get_running_loop()
    listed = [
        by_hand.task("WORKING", id_="another's", history=[message("x", messageId="m-9")]),
        by_hand.task("COMPLETED", id_="ended", history=[message("x")]),
        by_hand.task("WORKING", id_="theirs", history=[message("x")]),
    ]
    server = Remote(answers={"ListTasks": {"tasks": listed}, "CancelTask": by_hand.task("CANCELED")})
    respond = server.respond

    def slowly(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        method = json.loads(seen.body)["method"] if seen.body else ""
        if method == "SendMessage":
            loop.call_soon_threadsafe(answers.set)
            asyncio.run_coroutine_threadsafe(asyncio.wait_for(canceled.wait(), 20), loop).result(25)
        answer = respond(seen)
        if method == "CancelTask":
            loop.call_soon_threadsafe(canceled.set)
        return answer

    async with world() as found:
        serve(container, found, server)
        container.respond = slowly
        sent = asyncio.create_task(found.rpc("SendMessage", {"message": message("x", contextId="c")}, path=AGENT))
        await asyncio.wait_for(answers.wait(), 10)
        (task,) = (await found.rpc("ListTasks", {"contextId": "c"}, path=AGENT))["result"]["tasks"]
        await found.rpc("CancelTask", {"id": task["id"]}, path=AGENT)
        assert (await sent)["result"]["task"]["status"]["state"] == "TASK_STATE_CANCELED"
        await asyncio.wait_for(canceled.wait(), 10)
    assert server.asked("ListTasks")[0]["contextId"] == "c"
    assert server.asked("CancelTask") == [{"id": "theirs"}]
