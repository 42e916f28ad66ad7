"""`lambdaagent chat`, over a pipe and in a terminal."""

import asyncio
import os
import pty
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import orjson
import pytest
from tests.parts.commands import run
from tests.parts.gateway import World, world
from tests.parts.http_servers import Response
from tests.parts.upstream import PlainAgent, Seen, talking_agent


def answer(request: Seen) -> Response:
    """Asks back for the text `order`; answers anything else."""
    payload = orjson.loads(request.body)
    if payload["text"] == "order":
        message = {"messageId": "q", "role": "ROLE_AGENT", "parts": [{"text": "How many?"}]}
        update = {"statusUpdate": {"status": {"state": "TASK_STATE_INPUT_REQUIRED", "message": message}}}
        return 200, {"Content-Type": "application/a2a+json"}, orjson.dumps(update)
    if payload["text"] == "fail":
        return 500, {"Content-Type": "text/plain"}, b"no"
    return 200, {"Content-Type": "text/plain"}, f"got {payload['text']}".encode()


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    container.respond = answer
    async with world() as found:
        found.agent(url=container.url)
        yield found


async def test_a_conversation_over_a_pipe(gateway: World, container: PlainAgent) -> None:
    lines = "hello\n\norder\n/task\n//three\n/nonsense\n/new\nlast"
    done = await run("chat", "echo", stdin=lines, gateway_url=gateway.url)
    assert (done.code, done.out) == (0, "got hello\nHow many?\ngot /three\ngot last\n"), done.err
    assert "which waits for your answer" in done.err
    assert "there is no command /nonsense" in done.err
    first, order, number, last = (orjson.loads(each.body)["message"] for each in container.seen)
    assert "contextId" not in first
    assert order["contextId"] == number["contextId"]
    assert ("taskId" in order, "taskId" in number, "contextId" in last) == (False, True, False)


async def test_the_code_is_that_of_the_last_message(gateway: World) -> None:
    done = await run("chat", "echo", stdin="hello\nfail\n", gateway_url=gateway.url)
    assert (done.code, done.out) == (1, "got hello\n")
    done = await run("chat", "echo", stdin="fail\norder\n/quit\nhello\n", gateway_url=gateway.url)
    assert (done.code, done.out) == (3, "How many?\n")


@dataclass
class Terminal:
    process: Process
    controller: int
    seen: str = ""

    def type(self, line: str) -> None:
        os.write(self.controller, f"{line}\n".encode())

    async def until(self, text: str) -> None:
        async with asyncio.timeout(60):
            while text not in self.seen:
                self.seen += (await asyncio.to_thread(os.read, self.controller, 4096)).decode()
        self.seen = self.seen.partition(text)[2]

    async def code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 60)


@asynccontextmanager
async def in_terminal(gateway: World, agent: str) -> AsyncIterator[Terminal]:
    controller, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambdaagent", "chat", agent,
        env={**os.environ, "LAMBDAAGENT_GATEWAY_URL": gateway.url, "COLUMNS": "20", "TERM": "dumb"},
        stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    try:
        yield Terminal(process, controller)
    finally:
        os.close(controller)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_conversation_in_a_terminal(gateway: World) -> None:
    async with in_terminal(gateway, "echo") as terminal:
        await terminal.until("> ")
        terminal.type("order")
        await terminal.until("How many?")
        await terminal.until("answer> ")
        terminal.type("two")
        await terminal.until("got two")
        await terminal.until("> ")
        terminal.type("/quit")
        assert await terminal.code() == 0


async def test_ctrl_c_cancels_a_task_and_then_leaves(gateway: World) -> None:
    async with AsyncExitStack() as stack:
        talking = await stack.enter_async_context(talking_agent())
        gateway.agent("talker", url=talking.url)
        terminal = await stack.enter_async_context(in_terminal(gateway, "talker"))
        talking.say({"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"text": "one"}]}}})
        await terminal.until("> ")
        terminal.type("hi")
        await terminal.until("one")
        terminal.process.send_signal(signal.SIGINT)
        await terminal.until("is canceled")
        await terminal.until("> ")
        code = None
        while code is None:  # readline misses a signal that comes just before it waits
            terminal.process.send_signal(signal.SIGINT)
            with suppress(TimeoutError):
                code = await asyncio.wait_for(terminal.process.wait(), 5)
        assert code == 130
