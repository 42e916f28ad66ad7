"""Containers that are A2A servers themselves: the public SDK's in both versions, and one that answers by hand."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.parts.dev import wait
from tests.parts.gateway import World, message, world
from tests.parts.process import free_port
from tests.parts.upstream import PlainAgent, Seen, raw_server

Json = dict[str, Any]
AGENT = "/agents/shop/relayed/api/a2a"


@pytest.fixture(scope="module", params=["1.0", "0.3"])
def sdk(request: pytest.FixtureRequest) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """An agent of the public SDK that speaks this version."""
    port = free_port()
    old = ["old"] if request.param == "0.3" else []
    command = [sys.executable, "-m", "tests.integration.gateway.sdk_agent", str(port), *old]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    wait(lambda: _answers(f"{url}/.well-known/agent-card.json"))
    yield url, process
    process.terminate()
    process.communicate(timeout=10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def relayed(found: World, url: str, **a2a: Any) -> None:
    skills = [{"id": "say", "name": "Say"}]
    spec = {"image": {"repository": "r"}, "a2a": {"enabled": True, "protocol": "a2a", "skills": skills, **a2a}}
    found.add({"metadata": {"name": "relayed", "namespace": "shop"}, "spec": spec}, url=url)


async def send(found: World, text: str, **more: Any) -> Json:
    answer = await found.rpc("SendMessage", {"message": message(text, **more)}, path=AGENT)
    return answer["result"]["task"]


async def test_pieces_become_artifacts_and_ids_stay_ours(sdk: tuple[str, Any]) -> None:
    async with world() as found:
        relayed(found, sdk[0])
        task = await send(found, "one two three", contextId="mine")
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert [part["text"] for part in task["artifacts"][0]["parts"]] == ["one", "two", "three"]
        assert task["contextId"] == "mine"
        again = await found.rpc("GetTask", {"id": task["id"]}, path=AGENT)
        assert again["result"] == task


async def test_a_container_asks_back_and_the_next_turn_reaches_the_same_task(sdk: tuple[str, Any]) -> None:
    async with world() as found:
        relayed(found, sdk[0])
        asked = await send(found, "ask")
        assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert asked["status"]["message"]["parts"][0]["text"] == "which one?"
        assert asked["status"]["message"]["taskId"] == asked["id"]
        done = await send(found, "this one", taskId=asked["id"])
        assert (done["id"], done["status"]["state"]) == (asked["id"], "TASK_STATE_COMPLETED")
        assert "remote" not in json.dumps(done)


async def test_a_failure_is_told_in_the_containers_words(sdk: tuple[str, Any]) -> None:
    async with world() as found:
        relayed(found, sdk[0])
        task = await send(found, "fail")
        assert task["status"]["state"] == "TASK_STATE_FAILED"
        assert task["status"]["message"]["parts"][0]["text"] == "broken"


async def test_cancelling_reaches_the_containers_task(sdk: tuple[str, "subprocess.Popen[str]"]) -> None:
    async with world() as found:
        relayed(found, sdk[0])
        params = {"message": message("wait"), "configuration": {"returnImmediately": True}}
        task = (await found.rpc("SendMessage", params, path=AGENT))["result"]["task"]
        async with asyncio.timeout(10):
            while not (await found.store.get(task["id"])).remote:  # type: ignore[union-attr]
                await asyncio.sleep(0.02)
        canceled = await found.engine.cancel(found.directory.callee("shop", "relayed"), task["id"])  # type: ignore[arg-type]
        assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
        assert sdk[1].stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(sdk[1].stdout.readline), 10)
        assert line.startswith("canceled ")


CARD = {
    "capabilities": {"streaming": True},
    "supportedInterfaces": [{"url": "http://x/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
}


async def test_cancelling_reaches_a_task_that_the_container_has_not_named_yet() -> None:
    asked, methods, go_on = asyncio.Event(), asyncio.Queue[str](), asyncio.Event()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            card = json.dumps(CARD).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(card), card))
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        methods.put_nowait(f"{body['method']} {body['params'].get('id', '')}")
        task = {"id": "theirs", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n")
        asked.set()
        await go_on.wait()
        result = {"jsonrpc": "2.0", "id": body["id"], "result": {"task": task}}
        writer.write(b"data: %b\n\n" % json.dumps(result).encode())
        await reader.read()

    async with raw_server(conversation) as url, world() as found:
        relayed(found, url)
        params = {"message": message("wait"), "configuration": {"returnImmediately": True}}
        task = (await found.rpc("SendMessage", params, path=AGENT))["result"]["task"]
        await asyncio.wait_for(asked.wait(), 10)
        canceled = (await found.rpc("CancelTask", {"id": task["id"]}, path=AGENT))["result"]
        assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
        go_on.set()
        async with asyncio.timeout(10):
            assert [await methods.get(), await methods.get()] == ["SendStreamingMessage ", "CancelTask theirs"]


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


async def test_a_direct_call_gets_the_first_artifact(sdk: tuple[str, Any]) -> None:
    async with world() as found:
        relayed(found, sdk[0])
        path, plain = f"{AGENT}/skills/say", {"Content-Type": "text/plain"}
        answer = await found.request("POST", path, data="one two", headers=plain)
        assert (answer.status, answer.body) == (200, b"onetwo")
        failed = await found.request("POST", path, data="fail", headers=plain)
        assert failed.status == 502
        assert (await failed.json())["detail"].endswith("TASK_STATE_FAILED: broken")


def answering(result: Json, *, version: str = "1.0") -> Any:
    """A container by hand, without streams, whose every task ends like this."""
    old = {"protocolVersion": "0.3.0", "url": "http://x/rpc", "preferredTransport": "JSONRPC"}
    card = CARD if version == "1.0" else old

    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        if seen.method == "GET":
            return 200, {"Content-Type": "application/json"}, json.dumps(card | {"capabilities": {}}).encode()
        answer = {"jsonrpc": "2.0", "id": json.loads(seen.body)["id"], "result": result}
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    return respond


def ended(part: Json, state: str = "COMPLETED", said: Json | None = None) -> Json:
    status = {"state": f"TASK_STATE_{state}"} | ({"message": said} if said else {})
    return {
        "task": {"id": "t", "contextId": "c", "status": status, "artifacts": [{"artifactId": "a", "parts": [part]}]}
    }


@pytest.mark.parametrize(
    ("part", "kind", "body"),
    [
        pytest.param({"raw": "aGk=", "mediaType": "text/csv; charset=latin-1"}, "text/csv; charset=latin-1", b"hi"),
        pytest.param({"raw": "-_-_", "mediaType": "a/b"}, "a/b", b"\xfb\xff\xbf", id="the URL-safe alphabet"),
        pytest.param({"raw": "aGk", "mediaType": "a/b\r\nX: y"}, "application/octet-stream", b"hi", id="a line break"),
        pytest.param({"raw": "aGk", "mediaType": "a\0b"}, "application/octet-stream", b"hi", id="a NUL"),
        pytest.param({"url": "http://x/\r\nX: y"}, "text/plain; charset=utf-8", b"http://x/\r\nX: y", id="a URL"),
        pytest.param({"url": "javascript:1"}, "text/plain; charset=utf-8", b"javascript:1", id="another scheme"),
    ],
)
async def test_a_direct_call_is_answered_whatever_the_container_calls_its_artifact(
    container: PlainAgent, part: Json, kind: str, body: bytes
) -> None:
    container.respond = answering(ended(part))
    async with world() as found:
        relayed(found, container.url)
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, kind, body)


async def test_a_failure_of_a_direct_call_repeats_some_of_the_containers_words(container: PlainAgent) -> None:
    said = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "no " * 1_000_000}]}
    container.respond = answering(ended({"text": "x"}, "FAILED", said))
    async with world() as found:
        relayed(found, container.url)
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x")
    assert answer.status == 502
    assert len(answer.body) < 4096


async def test_a_part_that_an_old_container_gets_wrong_is_its_own_fault(container: PlainAgent) -> None:
    bad = {"parts": [{"kind": "file", "file": 5}]}
    task = {"kind": "task", "id": "t", "contextId": "c", "status": {"state": "completed"}, "artifacts": [bad]}
    container.respond = answering(task, version="0.3")
    async with world() as found:
        relayed(found, container.url)
        assert (await found.request("POST", f"{AGENT}/skills/say", data="x")).status == 502
        status = (await send(found, "x"))["status"]
    assert status["state"] == "TASK_STATE_FAILED"
    assert "its response is not A2A 0.3" in status["message"]["parts"][0]["text"]
