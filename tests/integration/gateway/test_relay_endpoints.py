"""Where the gateway finds the A2A endpoint of a container: in its card, or where the resource says."""

import json

import pytest
from tests.integration.gateway.remote import AGENT, Json, relayed, send
from tests.parts.gateway import message, world
from tests.parts.upstream import PlainAgent, Seen


async def test_the_resource_may_say_where_and_how_the_container_is_spoken_to(container: PlainAgent) -> None:
    asked: list[Json] = []

    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        if seen.method == "GET":
            card = {"url": "http://x/old", "capabilities": {}, "supportedInterfaces": [
                {"url": "http://x/new", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]}  # fmt: skip
            return 200, {"Content-Type": "application/json"}, json.dumps(card).encode()
        asked.append(json.loads(seen.body) | {"path": seen.path})
        part = {"kind": "text", "text": "hi"}
        result = {"kind": "message", "messageId": "1", "role": "agent", "parts": [part]}
        if asked[-1]["method"] == "SendMessage":
            result = {"message": {"messageId": "1", "role": "ROLE_AGENT", "parts": [{"text": "hi"}]}}
        body = {"jsonrpc": "2.0", "id": asked[-1]["id"], "result": result}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    container.respond = respond
    async with world() as found:
        for options, path, method in (
            ({}, "/new", "SendMessage"),
            ({"version": "0.3"}, "/old", "message/send"),
            ({"path": "/own", "version": "1.0"}, "/own", "SendMessage"),
        ):
            relayed(found, container.url, container=options)
            answer = await found.rpc("SendMessage", {"message": message("hello")}, path=AGENT)
            assert answer["result"]["message"]["parts"] == [{"text": "hi"}]
            assert (asked[-1]["path"], asked[-1]["method"]) == (path, method)


OF_03 = {"protocolVersion": "0.3.0", "capabilities": {}}
RPC = {"transport": "JSONRPC", "url": "http://inside:1/rpc"}
GRPC = {"transport": "GRPC", "url": "http://inside:2/"}


@pytest.mark.parametrize(
    ("cards", "options", "expected"),
    [
        pytest.param(
            {"/a2a/app/.well-known/agent-card.json": {**OF_03, "url": "http://x/a2a/app"}},
            {"path": "/a2a/app"},
            ("/a2a/app", "message/send"),
            id="a card below the path",
        ),
        pytest.param(
            {
                "/.well-known/agent-card.json": {"supportedInterfaces": []},
                "/a2a/app/.well-known/agent.json": {**OF_03, "url": "http://x/a2a/app/"},
            },
            {"path": "/a2a/app/"},
            ("/a2a/app/", "message/send"),
            id="an old card below the path, and another one at the root",
        ),
        pytest.param({}, {"path": "/bare", "version": "1.0"}, ("/bare", "SendMessage"), id="no card, 1.0"),
        pytest.param({}, {"path": "/bare", "version": "0.3"}, ("/bare", "message/send"), id="no card, 0.3"),
        pytest.param(
            {
                "/.well-known/agent-card.json": {
                    **OF_03,
                    **GRPC,
                    "preferredTransport": "GRPC",
                    "additionalInterfaces": [GRPC, RPC],
                }
            },
            {},
            ("/rpc", "message/send"),
            id="gRPC preferred, JSON-RPC beside it",
        ),
    ],
)
async def test_the_endpoint_is_found_wherever_the_container_says_it(
    container: PlainAgent, cards: dict[str, Json], options: Json, expected: tuple[str, str]
) -> None:
    asked: list[tuple[str, str]] = []

    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        headers = {"Content-Type": "application/json"}
        if seen.method == "GET":
            card = cards.get(seen.path)
            return (200, headers, json.dumps(card).encode()) if card is not None else (404, headers, b"{}")
        request = json.loads(seen.body)
        asked.append((seen.path, request["method"]))
        said = {"messageId": "1", "role": "ROLE_AGENT", "parts": [{"text": "hi"}]}
        old = {"kind": "message", "messageId": "1", "role": "agent", "parts": [{"kind": "text", "text": "hi"}]}
        result = {"message": said} if request["method"] == "SendMessage" else old
        return 200, headers, json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()

    container.respond = respond
    async with world() as found:
        relayed(found, container.url, container=options)
        answer = await found.rpc("SendMessage", {"message": message("hello")}, path=AGENT)
        assert answer["result"]["message"]["parts"] == [{"text": "hi"}]
    assert asked == [expected]


async def test_where_there_is_no_card_every_place_is_named_with_its_answer(container: PlainAgent) -> None:
    container.respond = lambda seen: (200, {}, b"<html>") if "agent.json" in seen.path else (403, {}, b"")
    async with world() as found:
        relayed(found, container.url, container={"path": "/a2a/app"})
        text = (await send(found, "hello"))["status"]["message"]["parts"][0]["text"]
    for words in (
        "/a2a/app/.well-known/agent-card.json answers 403",
        "/a2a/app/.well-known/agent.json is not JSON",
        " /.well-known/agent-card.json answers 403",
        " /.well-known/agent.json is not JSON",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param((404, b"not here"), "has no card", id="no card"),
        pytest.param((200, b"[]"), "its card is not an object", id="a card that is none"),
        pytest.param((200, b'{"supportedInterfaces": []}'), "offers no JSON-RPC", id="another binding"),
    ],
)
async def test_a_container_that_is_no_a2a_server_fails_the_task_and_says_why(
    container: PlainAgent, answer: tuple[int, bytes], words: str
) -> None:
    container.respond = lambda _: (answer[0], {}, answer[1])
    async with world() as found:
        relayed(found, container.url)
        task = await send(found, "hello")
        assert task["status"]["state"] == "TASK_STATE_FAILED"
        assert words in task["status"]["message"]["parts"][0]["text"]
