"""What an MCP server that lies, floods or hangs can do to a task and to the gateway: end its own task."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from tests.parts.gateway import World, manifest
from tests.parts.http_servers import serving

Json = dict[str, Any]
PATH = "/agents/shop/tools/api/a2a"
Called = Callable[[web.Request, Json], Awaitable[web.StreamResponse]]
Call = Callable[[Called], Awaitable[Json]]


def result(message: Json, **found: Any) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": found})


@pytest.fixture
async def call(gateway: World) -> AsyncIterator[Call]:
    """Yields a function that calls the tool `x` of a server of 2026-07-28 and returns its task."""
    called: list[Called] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        message = await request.json()
        if message["method"] == "server/discover":
            return result(message, supportedVersions=["2026-07-28"], capabilities={})
        return await called[-1](request, message)

    app = web.Application()
    app.add_routes([web.post("/mcp", handler)])
    async with serving(app) as url:
        skill = {"id": "x", "name": "X", "invoke": {"timeoutSeconds": 2}}
        gateway.add(manifest("tools", a2a={"enabled": True, "protocol": "mcp", "skills": [skill]}), url=url)

        async def send(behave: Called) -> Json:
            called.append(behave)
            message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {}}]}
            answer = await asyncio.wait_for(gateway.rpc("SendMessage", {"message": message}, path=PATH), 30)
            task: Json = answer["result"]["task"]
            return task

        yield send


def why(task: Json) -> str:
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    return str(task["status"]["message"]["parts"][0]["text"])


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


def event(message: Json) -> bytes:
    return b"data: %b\n\n" % json.dumps({"jsonrpc": "2.0", **message}).encode()


async def test_a_flood_of_reports_is_cut_and_the_result_arrives(call: Call) -> None:
    async def flood(request: web.Request, message: Json) -> web.StreamResponse:
        response = await stream(request)
        for number in range(5_000):
            params = {"progressToken": "t", "progress": number, "message": f"step {number}"}
            await response.write(event({"method": "notifications/progress", "params": params}))
        await response.write(event({"id": message["id"], "result": {"content": [{"type": "text", "text": "end"}]}}))
        return response

    task = await call(flood)
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["artifacts"][0]["parts"] == [{"text": "end"}]
    assert len(task["history"]) <= 258


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_result_over_the_limit_fails_the_task(call: Call, *, streamed: bool) -> None:
    async def huge(request: web.Request, message: Json) -> web.StreamResponse:
        content = [{"type": "text", "text": "x" * 11_000_000}]
        if not streamed:
            return result(message, content=content)
        response = await stream(request)
        await response.write(event({"id": message["id"], "result": {"content": content}}))
        return response

    assert "longer than" in (words := why(await call(huge))) or "more than" in words


@pytest.mark.parametrize(
    "body",
    [
        b"no json", b"[]", b"{}", b'{"jsonrpc":"2.0","id":1}', b'{"jsonrpc":"2.0","id":1,"result":3}',
        b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 5_000 + b"]" * 5_000 + b"}", b"",
    ],
)  # fmt: skip
async def test_an_answer_that_is_no_message_fails_the_task(call: Call, body: bytes) -> None:
    async def odd(_: web.Request, __: Json) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    assert "did not answer properly" in why(await call(odd))


@pytest.mark.parametrize(
    "found",
    [
        {"content": 3}, {"content": [3]}, {"content": [{"type": "image", "data": "?", "mimeType": "image/png"}]},
        {"resultType": "input_required"}, {"resultType": "input_required", "inputRequests": 3},
        {"resultType": "input_required", "requestState": {}},
    ],
)  # fmt: skip
async def test_a_result_of_another_form_fails_the_task(call: Call, found: Json) -> None:
    async def odd(_: web.Request, message: Json) -> web.StreamResponse:
        return result(message, **found)

    assert "cannot be understood" in why(await call(odd))


async def test_a_server_that_only_wants_its_state_back_is_given_up(call: Call) -> None:
    asked: list[Any] = []

    async def state(_: web.Request, message: Json) -> web.StreamResponse:
        asked.append(message["params"].get("requestState"))
        return result(message, resultType="input_required", requestState=str(len(asked)))

    assert "nothing but its own state" in why(await call(state))
    assert asked == [None, *(str(number) for number in range(1, 10))]


async def test_a_server_that_trickles_is_given_up_at_the_skills_timeout(call: Call) -> None:
    gone = asyncio.Event()

    async def trickle(request: web.Request, _: Json) -> web.StreamResponse:
        response = await stream(request)
        try:
            while True:
                await response.write(b": still here\n\n")
                await asyncio.sleep(0.1)
        finally:
            gone.set()

    assert "did not answer in time" in why(await call(trickle))
    await asyncio.wait_for(gone.wait(), 10)


async def test_a_stream_that_ends_without_a_result_fails_the_task(call: Call) -> None:
    async def short(request: web.Request, _: Json) -> web.StreamResponse:
        response = await stream(request)
        await response.write(event({"method": "notifications/progress", "params": {"progress": 1}}))
        return response

    assert "ends without a response" in why(await call(short))


async def test_redirects_are_not_followed(call: Call) -> None:
    async def redirect(_: web.Request, __: Json) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect("http://169.254.169.254/latest")

    assert "redirects are not followed" in why(await call(redirect))


async def test_an_error_of_the_server_is_the_tasks(call: Call) -> None:
    async def error(_: web.Request, message: Json) -> web.StreamResponse:
        said = {"code": -32000, "message": "broken\n\x1b[2J" + "x" * 5_000, "data": {"k": "x" * 10_000}}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": said}, status=500)

    task = await call(error)
    assert (words := why(task)).startswith("broken")
    assert words.isprintable()
    assert len(words) < 600
    assert "data" not in task["metadata"]["io.modelcontextprotocol/error"]


async def test_a_call_is_sent_once(call: Call) -> None:
    calls: list[str] = []

    async def dropping(request: web.Request, message: Json) -> web.StreamResponse:
        calls.append(message["method"])
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionError

    assert "did not answer properly" in why(await call(dropping))
    assert calls == ["tools/call"]
