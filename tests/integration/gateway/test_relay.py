"""Containers that are A2A servers themselves: agents of the public SDK in both versions."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.gateway.remote import AGENT, CARD, relayed, send, until
from tests.parts.gateway import message, world
from tests.parts.sdk_agents import sdk_agent
from tests.parts.upstream import raw_server


@pytest.fixture(scope="module", params=["1.0", "0.3"])
def sdk(request: pytest.FixtureRequest) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Yields the URL and the process of an agent of the public SDK in this version."""
    with sdk_agent(request.param) as found:
        yield found


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
        await until(found, task["id"], lambda record: bool(record.remote))
        canceled = await found.engine.cancel(found.directory.callee("shop", "relayed"), task["id"])  # type: ignore[arg-type]
        assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
        assert sdk[1].stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(sdk[1].stdout.readline), 10)
        assert line.startswith("canceled ")


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


async def test_a_direct_call_gets_the_first_artifact(sdk: tuple[str, Any]) -> None:
    async with world() as found:
        relayed(found, sdk[0])
        path, plain = f"{AGENT}/skills/say", {"Content-Type": "text/plain"}
        answer = await found.request("POST", path, data="one two", headers=plain)
        assert (answer.status, answer.body) == (200, b"onetwo")
        failed = await found.request("POST", path, data="fail", headers=plain)
        assert failed.status == 502
        assert (await failed.json())["detail"].endswith("TASK_STATE_FAILED: broken")
