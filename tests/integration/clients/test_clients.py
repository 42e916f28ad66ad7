"""The public SDKs' clients, old and new, each in its own environment, go through the same scenarios at one gateway.

Behind it is a plain container, or an agent that the public JavaScript SDK serves in either version (protocol a2a): the
clients see no difference.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.integration.clients import environments
from tests.parts.gateway import World, world
from tests.parts.http_servers import serving
from tests.parts.polling import eventually
from tests.parts.process import free_port

HERE = Path(__file__).parent
ASKS = {"statusUpdate": {"status": {"state": "TASK_STATE_INPUT_REQUIRED", "message": {"parts": [{"text": "which?"}]}}}}


async def agent(request: web.Request) -> web.StreamResponse:
    """A container without an SDK: it takes CloudEvents and responds with text, JSON or a stream."""
    text = (await request.json())["text"]
    if text == "ask":
        return web.Response(body=json.dumps(ASKS), content_type="application/a2a+json")
    if text not in ("pieces", "slow", "wait"):
        return web.Response(text=f"{text} to you")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for word in ("one", "two"):
        await response.write(f"data: {word}\n\n".encode())
        await asyncio.sleep({"pieces": 0.05, "slow": 1.5, "wait": 60}[text])
    await response.write_eof()
    return response


@asynccontextmanager
async def _served(handler: Any) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.post("/{path:.*}", handler)])
    async with serving(app, handler_cancellation=True) as url:
        yield url


@asynccontextmanager
async def plain() -> AsyncIterator[World]:
    async with _served(agent) as url, world() as found:
        found.agent(url=url)
        yield found


@asynccontextmanager
async def sdk(*version: str) -> AsyncIterator[World]:
    """Starts an agent of the SDK; at the end it asserts that the agent canceled a task: none may be left working."""
    command, port = await asyncio.to_thread(environments.javascript, "agent.js"), free_port()
    process = await asyncio.create_subprocess_exec(*command, str(port), *version, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"listening\n"
        async with world() as found:
            found.agent(url=f"http://127.0.0.1:{port}", protocol="a2a")
            yield found
        async with asyncio.timeout(20):
            assert (await process.stdout.readline()).startswith(b"canceled ")
    finally:
        process.kill()
        await process.wait()


@pytest.fixture(
    params=[
        pytest.param(plain, id="a plain container"),
        pytest.param(sdk, id="a JavaScript agent"),
        pytest.param(partial(sdk, "old"), id="a JavaScript agent of 0.3"),
    ]
)
async def gateway(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with request.param() as found:
        yield found


@pytest.fixture
async def webhook() -> AsyncIterator[tuple[str, list[tuple[str, Any]]]]:
    taken: list[tuple[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append((request.headers.get("X-A2A-Notification-Token", ""), await request.json()))
        return web.Response(status=204)

    async with _served(take) as url:
        yield f"{url}/hook", taken


def python10() -> list[str]:
    return [sys.executable, str(HERE / "python10" / "client.py")]


@pytest.mark.parametrize(
    ("command", "binding", "old"),
    [
        pytest.param(python10, "JSONRPC", False, id="Python 1.x over JSON-RPC"),
        pytest.param(python10, "HTTP+JSON", False, id="Python 1.x over HTTP+JSON"),
        pytest.param(environments.python03, "JSONRPC", True, id="Python 0.3 over JSON-RPC"),
        pytest.param(environments.python03, "HTTP+JSON", True, id="Python 0.3 over HTTP+JSON"),
        pytest.param(environments.javascript, "JSONRPC", False, id="JavaScript over JSON-RPC"),
        pytest.param(environments.javascript, "HTTP+JSON", False, id="JavaScript over HTTP+JSON"),
    ],
)
async def test_a_client_goes_through_all_scenarios(
    gateway: World,
    webhook: tuple[str, list[tuple[str, Any]]],
    command: Callable[[], list[str]],
    binding: str,
    old: bool,
) -> None:
    hook, taken = webhook
    run = await asyncio.to_thread(command)
    process = await asyncio.create_subprocess_exec(
        *run, f"{gateway.url}/agents/shop/echo", binding, hook, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    found = json.loads(output)
    assert found["card"] == ["echo", ["HTTP+JSON", "JSONRPC"]]
    assert found["send"] == ["COMPLETED", "hello to you"]
    assert found["get"] == "COMPLETED"
    assert found["stream"] == ["WORKING", "one", "two", "COMPLETED"]
    assert found["turns"] == ["INPUT_REQUIRED", "COMPLETED", True]
    assert found["cancel"] == "CANCELED"
    if not old:
        assert found["list"] == [2, 3, True]
    assert found["resubscribe"][0] == "WORKING"
    assert found["resubscribe"][-1] == "COMPLETED"
    await eventually(lambda: any(_ends(body, found["pushed"]) for _, body in taken))
    assert {token for token, _ in taken} == {"secret"}


def _ends(body: Any, task_id: str) -> bool:
    """Returns whether the notification, in the form of either version, says that the task has ended."""
    update = body.get("statusUpdate", body)
    state = str(update.get("status", {}).get("state", "")).upper()
    return update.get("taskId") == task_id and state.endswith("COMPLETED")
