"""`lambdaagent call`, as a process against a gateway: what goes in, what comes out, and what breaks in between."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.commands import Done, run
from tests.parts.gateway import World, skill, world
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, TalkingAgent, talking_agent


@pytest.fixture
async def talking() -> AsyncIterator[TalkingAgent]:
    async with talking_agent() as agent:
        yield agent


@pytest.fixture
async def gateway(container: PlainAgent, talking: TalkingAgent) -> AsyncIterator[World]:
    async with world(max_body=64 * 1024) as found:
        found.agent(url=container.url)
        found.agent("talker", url=talking.url)
        found.agent("quiet", url=container.url, capabilities={"streaming": False})
        found.agent("two", url=container.url, skills=[skill("say"), skill("sum")])
        yield found


async def call(gateway: World, *args: str, **more: Any) -> Done:
    return await run("call", *args, gateway_url=gateway.url, **more)


def artifact(id_: str, *parts: dict[str, Any], append: bool = False) -> dict[str, object]:
    return {"artifactUpdate": {"artifact": {"artifactId": id_, "parts": list(parts)}, "append": append}}


def status(state: str, text: str = "") -> dict[str, object]:
    found: dict[str, object] = {"state": f"TASK_STATE_{state}"}
    if text:
        found["message"] = {"messageId": text, "role": "ROLE_AGENT", "parts": [{"text": text}]}
    return {"statusUpdate": {"status": found}}


async def started(gateway: World, *args: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambdaagent", "call", *args,
        env={**os.environ, "LAMBDAAGENT_GATEWAY_URL": gateway.url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def read(process: Process, size: int) -> bytes:
    assert process.stdout is not None
    return await asyncio.wait_for(process.stdout.readexactly(size), 60)


async def test_an_answer_is_streamed_without_what_a_terminal_obeys(gateway: World, talking: TalkingAgent) -> None:
    talking.say(
        artifact("a", {"text": "one\t\x1b[3"}),
        artifact("a", {"text": "1mtwo\n\x07three"}, append=True),
        status("WORKING", "thinking\x1b[2J"),
        artifact("b", {"data": {"sum": 3}}, {"url": "https://example.com/x\x1b"}),
        status("COMPLETED"),
        None,
    )
    done = await call(gateway, "talker", "hi")
    assert done.code == 0, done.err
    assert done.out == 'one\ttwo\nthree\n{\n  "sum": 3\n}\nhttps://example.com/x\n'
    assert done.err == "working: thinking\n"


async def test_text_data_and_files_are_sent(gateway: World, container: PlainAgent, tmp_path: Path) -> None:
    file = tmp_path / "all bytes.bin"
    file.write_bytes(bytes(range(256)))
    given = ("two", "-", "--skill", "sum", "--file", str(file), "--data", '{"n": 1}', "--context", "trip")
    done = await call(gateway, *given, stdin="from stdin é")
    assert done.code == 0, done.err
    sent = json.loads(container.seen[-1].body)
    text, data, raw = sent["message"]["parts"]
    assert (sent["skill"], sent["message"]["contextId"]) == ("sum", "trip")
    assert (text["text"], data["data"], raw["filename"]) == ("from stdin é", {"n": 1}, "all bytes.bin")
    assert raw["mediaType"] == "application/octet-stream"


async def test_files_of_the_answer_stay_in_the_directory(gateway: World, container: PlainAgent, tmp_path: Path) -> None:
    content = bytes(range(256))
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="../evil.bin"'}
    container.respond = lambda _: (200, headers, content)
    for name in ("evil.bin", "evil-1.bin"):
        done = await call(gateway, "shop/echo", "hi", "--output", str(tmp_path / "in"))
        assert (done.code, (tmp_path / "in" / name).read_bytes()) == (0, content), done.err
    assert [each.name for each in tmp_path.iterdir()] == ["in"]
    without = await call(gateway, "shop/echo", "hi")
    assert (without.code, without.out, "--output DIR" in without.err) == (0, "", True)


async def test_a_task_that_asks_back_ends_with_code_3_and_goes_on(gateway: World, talking: TalkingAgent) -> None:
    talking.say(artifact("a", {"text": "Well."}), status("INPUT_REQUIRED", "Which one?"), None)
    asked = await call(gateway, "talker", "hi")
    assert (asked.code, asked.out) == (3, "Well.\nWhich one?\n")
    command = asked.err.splitlines()[-1].split()
    assert command[:4] == ["lambdaagent", "call", "shop/talker", "--task"]
    talking.say(artifact("b", {"text": "That one."}), status("COMPLETED"), None)
    done = await call(gateway, *command[2:-1], "this")
    assert (done.code, done.out, done.err) == (0, "That one.\n", "")


async def test_a_task_that_fails_says_why(gateway: World, container: PlainAgent, talking: TalkingAgent) -> None:
    container.respond = lambda _: (500, {"Content-Type": "text/plain"}, b"out of \x1b[31morder")
    failed = await call(gateway, "shop/echo", "hi")
    assert (failed.code, failed.out) == (1, "")
    assert " ended as failed: " in failed.err
    assert "\x1b" not in failed.err
    talking.say(status("REJECTED", "Not today."), None)
    rejected = await call(gateway, "talker", "hi")
    assert (rejected.code, rejected.err.endswith(" ended as rejected: Not today.\n")) == (1, True)


async def test_events_and_ids_are_printed_for_programs(gateway: World, talking: TalkingAgent) -> None:
    talking.say(artifact("a", {"text": "\x9b31m"}), status("COMPLETED"), None)
    lines = (await call(gateway, "talker", "hi", "--json")).out.splitlines()
    assert [next(iter(json.loads(line))) for line in lines] == ["task", "artifactUpdate", "statusUpdate"]
    assert "\\u009b31m" in lines[1]
    begun = await call(gateway, "shop/echo", "hi", "--async")
    assert await gateway.store.get(begun.out.strip()) is not None


async def test_an_agent_without_streams_answers_too(gateway: World) -> None:
    done = await call(gateway, "quiet", "hi")
    assert (done.code, json.loads(done.out)["you_said"]) == (0, "hi"), done.err


async def test_a_stream_that_is_cut_goes_on_where_it_was(gateway: World, talking: TalkingAgent) -> None:
    process = await started(gateway, "talker", "hi")
    talking.say(artifact("a", {"text": "one"}))
    assert await read(process, 3) == b"one"
    gateway.streams.stop()
    await eventually(lambda: gateway.streams.open == 0)
    gateway.streams.stopping = False
    talking.say(artifact("a", {"text": " two"}, append=True), status("COMPLETED"), None)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out) == (0, b" two\n")
    assert b"it is continued" in err


async def test_ctrl_c_cancels_the_task_and_says_so(gateway: World, talking: TalkingAgent) -> None:
    process = await started(gateway, "talker", "hi")
    talking.say(artifact("a", {"text": "one"}))
    await read(process, 3)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out) == (130, b"\n")
    task_id = err.decode().split()[-3]
    assert err.decode() == f"interrupted; the task {task_id} is canceled\n"
    record = await gateway.store.get(task_id)
    assert record is not None
    assert record.state == "TASK_STATE_CANCELED"


async def test_output_without_unicode_is_escaped(
    gateway: World, talking: TalkingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    talking.say(artifact("a", {"text": "é世"}, {"data": {"x": "é"}}), status("COMPLETED"), None)
    done = await call(gateway, "talker", "hi")
    assert (done.code, done.out) == (0, '\\xe9\\u4e16\n{\n  "x": "\\u00e9"\n}\n')


async def test_what_cannot_be_sent_is_said(gateway: World, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as opened:
        opened.truncate(32 * 1024 * 1024 + 1)
    some = tmp_path / "some"
    some.write_bytes(bytes(100_000))
    for arguments, code, said in (
        (["echo"], 2, "there is nothing to send: give TEXT, --data or --file"),
        (["echo", "--file", str(tmp_path / "none")], 2, "cannot be read: No such file"),
        (["echo", "--file", str(large)], 2, "is too large: the files of a message may have 33554432 bytes"),
        (["echo", "--file", str(some)], 1, "answered 413"),
        (["echo", "hi", "--data", "[1]"], 2, "must be a JSON object"),
        (["echo", "hi", "--task", "absent"], 1, "`lambdaagent tasks list shop/echo` lists your tasks"),
        (["echo", "hi", "--skill", "absent"], 1, "absent"),
        (["shop/absent", "hi"], 1, "There is no agent 'absent' in the namespace 'shop'"),
        (["echo", "hi", "--output", str(some)], 2, "is no directory"),
        (["echo", "hi", "--async", "--output", "x"], 2, "--async does not wait"),
        (["echo", "hi", "--url", "http://127.0.0.1:9"], 1, "name the gateway with --url"),
    ):
        done = await call(gateway, *arguments)
        assert (done.code, said in done.err, done.out) == (code, True, ""), (arguments, done.err)
