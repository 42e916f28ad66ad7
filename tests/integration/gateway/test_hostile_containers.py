"""Containers and callers that do what they must not: nothing breaks, leaks, hangs or grows for it."""

import asyncio
import re
import time
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.integration.gateway import remote as by_hand
from tests.integration.gateway.remote import AGENT, HI, Error, Remote, said, serve, stream
from tests.parts.gateway import World, message, world
from tests.parts.upstream import PlainAgent, raw_server

from lambdaagent.containers import filenames
from lambdaagent.tasks.limits import EngineLimits

SAY = "/agents/shop/echo/api/a2a/skills/say"
TEXT = {"Content-Type": "text/plain"}


@pytest.mark.parametrize("status", [200, 500])
async def test_a_task_that_an_event_made_ends_with_the_answer_of_the_call(gateway: World, status: int) -> None:
    """Nobody else would end it: the container has answered, and what it reported was on the way."""
    ids: list[str] = []

    async def conversation(reader: Any, writer: Any) -> None:
        found = re.search(rb"ce-a2ataskid: (\S+)", await reader.readuntil(b"\r\n\r\n"))
        assert found is not None
        ids.append(found[1].decode())
        assert await gateway.report(ids[0], "on the way", type="note") == 202
        writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 2\r\n\r\nhi" % status)
        await reader.read()

    async with raw_server(conversation) as url:
        gateway.agent(url=url)
        gateway.broker.bind("shop/shared", "note")
        answer = await gateway.request("POST", SAY, data=b"x", headers=TEXT)
    assert (answer.status, answer.body) == (status, b"hi")
    task = (await gateway.rpc("GetTask", {"id": ids[0]}))["result"]
    assert task["status"]["state"] == ("TASK_STATE_COMPLETED" if status == 200 else "TASK_STATE_FAILED")
    assert task["artifacts"][0]["parts"] == [{"text": "on the way"}]


@pytest.mark.parametrize("size", [5, 200_000], ids=["small", "streamed"])
async def test_an_accepted_call_whose_type_is_no_text_becomes_a_task(
    gateway: World, container: PlainAgent, size: int
) -> None:
    gateway.agent(url=container.url)
    container.respond = lambda _: (202, {}, b"")
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: text/\xff\xfe\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % (SAY.encode(), size) + b"x" * size)
    assert (await reader.readline()).split()[1] == b"202"
    writer.close()


@pytest.mark.parametrize(
    ("count", "text", "why"),
    [(20, "x" * 100_000, "larger than 1000000 bytes"), (1_001, "x", "more than 1000 artifacts")],
)
async def test_a_direct_call_holds_no_more_of_an_answer_than_a_task_may(
    container: PlainAgent, count: int, text: str, why: str
) -> None:
    events = [
        {"artifactUpdate": {"taskId": "theirs", "artifact": {"artifactId": f"a{number}", "parts": [{"text": text}]}}}
        for number in range(count)
    ]
    async with world(tasks=EngineLimits(largest=1_000_000)) as found:
        serve(container, found, Remote(streaming=True, answers={"SendStreamingMessage": events}))
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x", headers=TEXT)
    assert answer.status == 502
    assert why in (await answer.json())["detail"]


@pytest.mark.parametrize("header", ['a="' + ";" * 60_000, ";" * 60_000, 'a="' + '\\";' * 20_000])
def test_a_content_disposition_as_long_as_a_head_may_be_is_read_at_once(header: str) -> None:
    began = time.process_time()
    assert filenames.read(header) == ""
    assert time.process_time() - began < 0.05


@pytest.mark.parametrize(
    "listed",
    [
        {"status": {"state": "TASK_STATE_WORKING"}, "history": [message("x")]},
        by_hand.task("WORKING", id_="theirs", history=5),
        by_hand.task("WORKING", id_="theirs", history=None),
        by_hand.task("WORKING", history=[message("x")]) | {"id": ["theirs"]},
        None,
        "theirs",
    ],
)
async def test_a_container_that_lists_nonsense_does_not_break_a_cancellation(
    container: PlainAgent, listed: Any
) -> None:
    """The task is given up before the container has named it, and is looked for in the container's list."""
    asked, listing = asyncio.Event(), asyncio.Event()
    server = Remote(answers={"SendMessage": HI, "CancelTask": by_hand.task("CANCELED")})
    server.answers["ListTasks"] = {"tasks": [listed]}

    with capture_logs() as logs:
        async with world() as found:
            serve(container, found, server)
            container.respond = by_hand.answering_late(server, asked=asked, until="ListTasks", came=listing)
            sent = asyncio.create_task(found.rpc("SendMessage", {"message": message("x", contextId="c")}, path=AGENT))
            await asyncio.wait_for(asked.wait(), 10)
            (task,) = (await found.rpc("ListTasks", {"contextId": "c"}, path=AGENT))["result"]["tasks"]
            await found.rpc("CancelTask", {"id": task["id"]}, path=AGENT)
            await sent
            await asyncio.wait_for(listing.wait(), 10)
            await asyncio.sleep(0.2)
    assert [log for log in logs if log["log_level"] == "error"] == []
    assert server.asked("CancelTask") == []


async def test_a_container_that_changes_its_tasks_id_leaves_nothing_behind(container: PlainAgent) -> None:
    events = [
        {"statusUpdate": {"taskId": f"t{number}", "status": {"state": "TASK_STATE_WORKING"}}} for number in range(9)
    ]
    ended = {"statusUpdate": {"taskId": "last", "status": {"state": "TASK_STATE_COMPLETED"}}}
    async with world() as found:
        serve(container, found, Remote(streaming=True, answers={"SendStreamingMessage": [*events, ended]}))
        last = (await stream(found, {"message": message("x")}))[-1]
        assert last["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
        assert not found.engine._caller._inner._relay._running  # type: ignore[attr-defined]


async def test_a_task_that_asked_without_a_word_waits_again_without_one(container: PlainAgent) -> None:
    events = [
        {"statusUpdate": {"taskId": "theirs", "status": {"state": "TASK_STATE_WORKING", "message": said("thinking")}}},
        {"statusUpdate": {"taskId": "theirs", "status": {"state": "TASK_STATE_INPUT_REQUIRED"}}},
    ]
    server = Remote(streaming=True, answers={"SendStreamingMessage": events, "SendMessage": Error(-32602, "no")})
    async with world() as found:
        serve(container, found, server)
        begun = (await stream(found, {"message": message("x")}))[0]["task"]
        before = (await found.rpc("GetTask", {"id": begun["id"]}, path=AGENT))["result"]
        follow_up = {"message": message("bad", messageId="m-2", taskId=begun["id"])}
        assert (await found.rpc("SendMessage", follow_up, path=AGENT))["error"]["code"] == -32602
        after = (await found.rpc("GetTask", {"id": begun["id"]}, path=AGENT))["result"]
    for task in (before, after):
        del task["status"]["timestamp"]
    assert after == before
