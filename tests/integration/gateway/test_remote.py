"""What passes between a client and a container that is an A2A server: nothing of either is lost or made up."""

import json

import pytest
from tests.integration.gateway import remote as by_hand
from tests.integration.gateway.remote import AGENT, HI, METHODS, OLD_HI, Json, Remote, said, serve, stream, until
from tests.parts.gateway import World, message, world
from tests.parts.upstream import PlainAgent

from lambdaagent.a2a import extension_methods

# a direct Message


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


# what the container is sent


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
        headers = {"A2A-Extensions": f"{extensions},{extension_methods.URI}", "traceparent": trace}
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
            {"uri": "urn:b"},
            extension_methods.declaration(),
        ]


@pytest.mark.parametrize("uris", ["urn:" + "x" * 3000, ",".join(f"urn:{n}" for n in range(65)), "urn:\u00e9"])
async def test_extensions_are_bounded(container: PlainAgent, uris: str) -> None:
    async with world() as found:
        serve(container, found, Remote(answers={"SendMessage": HI}))
        answer = await found.rpc("SendMessage", {"message": message("x")}, path=AGENT, **{"A2A-Extensions": uris})
    assert answer["error"]["code"] == -32602
