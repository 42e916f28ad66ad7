"""The tools of real servers of the SDK, of each era, and of servers that lie."""

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from mcp.server.mcpserver import MCPServer
from tests.parts.http_servers import serving
from tests.parts.mcp_servers import ERAS, Era, mcp_server

from lambdaagent.toolservers.listing import ListError, Listing, listing
from lambdaagent.webhooks import address_check

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]
HERE = address_check.public(allowed=[ipaddress.ip_network("127.0.0.0/8")])


def pantry() -> MCPServer[Any]:
    server: MCPServer[Any] = MCPServer("pantry")

    @server.tool(description="Counts what there is.\n" + "x" * 500)
    def count(what: str) -> int:
        return len(what)

    @server.tool(description="Adds.")
    def add(what: str) -> str:
        return what

    return server


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def begin(handler: Handler) -> str:
            app = web.Application()
            app.add_routes([web.route("*", "/{path:.*}", handler)])
            return await stack.enter_async_context(serving(app)) + "/mcp"

        yield begin


async def ask(url: str, *headers: tuple[str, str], seconds: float = 10.0) -> Listing:
    return await listing(url, headers, seconds=seconds, check=HERE)


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_of_each_era_lists_its_tools(era: Era) -> None:
    with mcp_server(pantry(), era, path="/tools/mcp") as (url, asked):
        found = await ask(url, ("Authorization", "Bearer x"))
        assert [tool.name for tool in found.tools] == ["count", "add"]
        assert found.tools[0].description == ("Counts what there is. " + "x" * 500)[:200]
        assert found.version == ("2026-07-28" if era == "modern" else "2025-11-25")
        assert {headers.get("authorization") for _, _, headers in asked.seen} == {"Bearer x"}
        methods = [method for method, _, _ in asked.seen]
        assert methods == ["POST"] * (2 if era == "modern" else 4) + ["DELETE"] * (era == "stateful")
        sessions = {headers.get("mcp-session-id") for _, _, headers in asked.seen[2:]}
        assert any(sessions) is (era == "stateful")


def answer(message: Any, result: Any) -> Any:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def lying(tools: Callable[[Any], Any]) -> Handler:
    """Returns a server of the newer era whose answer to tools/list is what the function makes of the parameters."""

    async def handler(request: web.Request) -> web.StreamResponse:
        message = await request.json()
        if message["method"] == "server/discover":
            return web.json_response(answer(message, {"supportedVersions": ["2026-07-28"], "capabilities": {}}))
        return web.json_response(answer(message, tools(message["params"])))

    return handler


async def test_a_list_of_pages_without_end_is_given_up(serve: Serve) -> None:
    def page(params: Any) -> Any:
        number = int(params.get("cursor", 0))
        return {"tools": [{"name": f"t{number}"}], "nextCursor": str(number + 1)}

    with pytest.raises(ListError, match="more than 100 pages"):
        await ask(await serve(lying(page)))
    with pytest.raises(ListError, match="names itself as the next one"):
        await ask(await serve(lying(lambda _: {"tools": [], "nextCursor": "same"})))
    with pytest.raises(ListError, match="more than 2000 tools"):
        await ask(await serve(lying(lambda _: {"tools": [{"name": f"t{n}"} for n in range(2001)]})))


async def test_an_answer_over_the_limit_is_cut(serve: Serve) -> None:
    with pytest.raises(ListError, match="more than 2048 KiB"):
        await ask(await serve(lying(lambda _: {"tools": [{"name": "t", "description": "x" * 10_000_000}]})))

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(b": x\n" * 10_000)

    with pytest.raises(ListError, match="more than 2048 KiB"):
        await ask(await serve(stream))


async def test_an_answer_that_is_nested_too_deep_is_refused(serve: Serve) -> None:
    async def deep(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(
            body=b'{"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}", content_type="application/json"
        )

    with pytest.raises(ListError, match="cannot be read"):
        await ask(await serve(deep))


async def test_redirects_are_not_followed(serve: Serve) -> None:
    followed: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        followed.append(request.path)
        raise web.HTTPTemporaryRedirect("http://169.254.169.254/latest")

    with pytest.raises(ListError, match="307, and redirects are not followed"):
        await ask(await serve(handler))
    assert followed == ["/mcp"]


async def test_a_silent_server_is_given_up(serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError

    with pytest.raises(ListError, match="within 0 s"):
        await ask(await serve(handler), seconds=0.2)


async def test_a_stream_that_trickles_is_given_up(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(b": still here\n\n")
            await asyncio.sleep(0.02)

    with pytest.raises(ListError, match="within 0 s"):
        await ask(await serve(handler), seconds=0.3)


async def test_a_compressed_answer_is_refused(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}, content_type="application/json")

    with pytest.raises(ListError, match="compressed"):
        await ask(await serve(handler))


@pytest.mark.parametrize("status", [401, 403])
async def test_a_server_that_wants_a_credential_is_not_greeted_again(serve: Serve, status: int) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((await request.json())["method"])
        return web.json_response({"jsonrpc": "2.0", "id": 0, "error": {"code": -32001, "message": "no"}}, status=status)

    with pytest.raises(ListError, match=f"{status}: it wants another credential"):
        await ask(await serve(handler))
    assert asked == ["server/discover"]


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_an_outage_says_nothing_about_the_era(serve: Serve, status: int) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((await request.json())["method"])
        return web.Response(status=status)

    with pytest.raises(ListError, match=f"it answers {status}"):
        await ask(await serve(handler))
    assert asked == ["server/discover"]


@pytest.mark.parametrize("status", [400, 404, 405, 406])
async def test_a_server_that_does_not_know_the_newer_era_is_greeted(serve: Serve, status: int) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((await request.json())["method"])
        return web.Response(status=status, text="no")

    with pytest.raises(ListError, match=f"it answers {status}"):
        await ask(await serve(handler))
    assert asked == ["server/discover", "initialize"]


async def test_what_only_the_newest_server_speaks_is_said(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        message = await request.json()
        error = {"code": -32022, "message": "no", "data": {"supported": ["2027-01-01"]}}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error}, status=400)

    with pytest.raises(ListError, match="-32022"):
        await ask(await serve(handler))


@pytest.mark.parametrize(
    "tools", [None, 3, {"tools": 3}, {}, {"tools": [3, None, {}, {"name": 3}, {"name": ""}, {"name": "a\x1b[2J"}]}]
)
async def test_odd_tools_are_no_tools(serve: Serve, tools: Any) -> None:
    try:
        found = await ask(await serve(lying(lambda _: tools)))
    except ListError:
        return
    assert found.tools == ()


async def test_words_of_a_server_are_one_line(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        message = await request.json()
        error = {"code": -32000, "message": "one\ntwo\x1b[2J" + "x" * 5000}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error})

    with pytest.raises(ListError) as caught:
        await ask(await serve(handler))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/mcp",
        "http://127.0.0.1:1/mcp",
        "http://10.0.0.1/mcp",
        "http://metadata.test/mcp",
        "http://[::1]/mcp",
    ],
)
async def test_forbidden_addresses_are_not_called(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object) -> list[dict[str, object]]:
        return [{"hostname": "x", "host": "10.1.2.3", "port": 80, "family": 2, "proto": 0, "flags": 0}]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    with pytest.raises(ListError, match=r"not called|not allowed"):
        await listing(url, [], seconds=5, check=address_check.public(trusted=lambda: ["*.svc"]))


async def test_a_value_that_is_no_header_is_not_shown() -> None:
    with pytest.raises(ListError) as caught:
        await ask("http://127.0.0.1:1/mcp", ("X-Key", "secret\nline"))
    assert "secret" not in str(caught.value)


async def test_tools_that_change_between_pages_are_listed_once(serve: Serve) -> None:
    said = iter("abcdefgh")

    def page(params: Any) -> Any:
        tools = [{"name": "same", "description": next(said)}]
        return {"tools": tools, **({"nextCursor": "1"} if "cursor" not in params else {})}

    found = await ask(await serve(lying(page)))
    assert [(tool.name, tool.description) for tool in found.tools] == [("same", "a")]


async def test_an_endpoint_of_another_gateway_is_any_path_with_headers_and_streams(serve: Serve) -> None:
    """As kagent's and agentgateway's: a path of a route, a query, a credential, and answers as events."""
    asked: list[tuple[str, str | None]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append((request.path_qs, request.headers.get("X-Tenant")))
        message = await request.json()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
        await response.write(b"retry: 1000\r\nid: 1\r\ndata:\r\n\r\n: ping\r\n\r\n")
        await response.write(b"event: message\r\ndata: " + json.dumps(note).encode() + b"\r\n\r\n")
        found: Any = {"tools": [{"name": "count"}]}
        if message["method"] == "server/discover":
            found = {"supportedVersions": ["2026-07-28"]}
        await response.write(b"data: " + json.dumps(answer(message, found)).encode() + b"\r\n\r\n")
        await response.write(b"data: what comes after the response is not read\r\n\r\n")
        return response

    url = (await serve(handler)).replace("/mcp", "/tools/pantry/mcp/?tenant=a%2Fb")
    found = await ask(url, ("X-Tenant", "shop"))
    assert [tool.name for tool in found.tools] == ["count"]
    assert asked == [("/tools/pantry/mcp/?tenant=a%2Fb", "shop")] * 2
