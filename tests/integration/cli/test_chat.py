"""`lambdaagent chat`, over a pipe and in a terminal."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator

import orjson
import pytest
from tests.parts.commands import run
from tests.parts.gateway import World, world
from tests.parts.http_servers import Response
from tests.parts.upstream import PlainAgent, Seen


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


async def test_a_conversation_in_a_terminal(gateway: World) -> None:
    controller, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambdaagent", "chat", "echo",
        env={**os.environ, "LAMBDAAGENT_GATEWAY_URL": gateway.url, "COLUMNS": "20", "TERM": "dumb"},
        stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    seen = ""

    async def until(text: str) -> None:
        nonlocal seen
        async with asyncio.timeout(60):
            while text not in seen:
                seen += (await asyncio.to_thread(os.read, controller, 4096)).decode()
        seen = seen.partition(text)[2]

    try:
        await until("> ")
        os.write(controller, b"order\n")
        await until("How many?")
        await until("answer> ")
        os.write(controller, b"two\n")
        await until("got two")
        await until("> ")
        os.write(controller, b"/quit\n")
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        os.close(controller)
        if process.returncode is None:
            process.kill()
            await process.wait()
