"""An external agent that is an MCP server: the gateway calls its URL, with the address check."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from aiohttp import web
from mcp import MCPError
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from tests.parts.external import external_agent, known_agent
from tests.parts.gateway import World, world
from tests.parts.http_servers import serving
from tests.parts.mcp_servers import ERAS, mcp_server
from tests.parts.mcp_tools import toolbox
from tests.parts.sdk_agents import sdk_agent

from lambdaagent.api.external import External
from lambdaagent.toolservers.listing import skills
from lambdaagent.webhooks.address_check import not_metadata

PATH = "/agents/shop/tools/api/a2a"
TOOL = [{"id": "add", "name": "add"}]


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world(secret_headers=secret_headers) as found:
        yield found


def external(url: str, **a2a: Any) -> dict[str, Any]:
    return external_agent(url, "tools", headers=True, protocol="mcp", **a2a)


async def secret_headers(namespace: str, wanted: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str]]:
    assert (namespace, wanted) == ("shop", (("X-Key", "partner", "token"),))
    return [("X-Key", "ours")]


async def listed(url: str) -> dict[str, Any]:
    """Returns the agent with the tools that the operator found."""
    card = (await skills(External(url=url), seconds=10, check=lambda _: not_metadata)).card
    return {**external(url), "status": {"a2aStatus": {"containerCard": card}}}


def add(a: int, b: int) -> dict[str, Any]:
    parts = [{"data": {"a": a, "b": b}}]
    return {"message": {"messageId": "1", "role": "ROLE_USER", "parts": parts, "metadata": {"skillId": "add"}}}


async def failure(gateway: World) -> str:
    """Returns what a client is told of a failed call."""
    task = (await gateway.rpc("SendMessage", add(1, 2), path=PATH))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    return str(task["status"]["message"]["parts"][0]["text"])


@asynccontextmanager
async def host(gateway: World) -> AsyncIterator[Client]:
    headers = {"Authorization": "Bearer of-the-caller"}
    url = f"{gateway.url}/agents/shop/tools/mcp"
    async with (
        httpx2.AsyncClient(timeout=20, headers=headers) as http,
        Client(streamable_http_client(url, http_client=http), mode="auto") as found,
    ):
        yield found


@pytest.mark.parametrize("era", ERAS)
async def test_every_kind_of_caller_reaches_a_tool(gateway: World, era: Any) -> None:
    with mcp_server(toolbox().server, era, path="/v1/mcp") as (url, asked):
        gateway.add(await listed(url), url=None)
        asked.seen.clear()
        credential = {"Authorization": "Bearer of-the-caller", "Cookie": "session=of-the-caller"}
        answer = await gateway.rpc("SendMessage", add(1, 2), path=PATH, **credential)
        task = answer["result"]["task"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert {"result": 3} in [part.get("data") for part in task["artifacts"][0]["parts"]]
        direct = await gateway.request("POST", f"{PATH}/skills/add", json={"a": 2, "b": 3}, headers=credential)
        assert (direct.status, direct.body) == (200, b'{"result":5}')
        async with host(gateway) as found:
            assert "add" in {tool.name for tool in (await found.list_tools()).tools}
            result = await found.call_tool("add", {"a": 3, "b": 4})
            assert result.structured_content == {"result": 7}
            await found.list_prompts()
        assert {path for _, path, _ in asked.seen} == {"/v1/mcp"}
        assert not [headers for _, _, headers in asked.seen if "of-the-caller" in str(headers)]
        assert {headers["x-key"] for _, _, headers in asked.seen} == {"ours"}


async def test_a_private_address_is_refused_and_gets_no_request() -> None:
    async with world(on_loopback=False, secret_headers=secret_headers) as gateway:
        with mcp_server(toolbox().server) as (url, asked):
            gateway.add(external(url, skills=TOOL), url=None)
            host = url.split("/")[2]
            why = await failure(gateway)
            assert why.startswith(f"The MCP server {host} of the agent shop/tools cannot be reached: 127.0.0.1 is not")
            assert asked.seen == []


async def test_the_url_of_the_status_is_never_called(gateway: World) -> None:
    with mcp_server(toolbox().server) as (url, asked):
        gateway.add(external("http://127.0.0.1:1/mcp", skills=TOOL), url=url)
        assert "Connection refused" in await failure(gateway)
        event = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a", "ce-source": "/s"}
        assert (await gateway.request("POST", "/events/shop/to/tools", headers=event)).status >= 400
        assert asked.seen == []


async def test_a_redirect_is_not_followed(gateway: World) -> None:
    with mcp_server(toolbox().server) as (url, asked):

        async def redirect(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": url})

        app = web.Application()
        app.router.add_route("*", "/mcp", redirect)
        async with serving(app) as other:
            gateway.add(external(f"{other}/mcp", skills=TOOL), url=None)
            assert "307" in await failure(gateway)
        assert asked.seen == []


async def test_a_server_that_goes_away_is_named(gateway: World) -> None:
    with mcp_server(toolbox().server) as (url, _):
        gateway.add(await listed(url), url=None)
        answer = await gateway.rpc("SendMessage", add(1, 2), path=PATH)
        assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    host = url.split("/")[2]
    title = f"The MCP server {host} of the agent shop/tools"
    expected = f"{title} cannot be reached: it does not accept connections: Connection refused."
    assert await failure(gateway) == expected


async def test_an_error_that_repeats_the_credential_is_masked(gateway: World) -> None:
    async def refuse(request: web.Request) -> web.Response:
        asked = (await request.json()).get("id", 1)
        error = {"code": -32001, "message": f"no key {request.headers['X-Key']}"}
        return web.json_response({"jsonrpc": "2.0", "id": asked, "error": error})

    app = web.Application()
    app.router.add_route("*", "/mcp", refuse)
    async with serving(app) as url:
        gateway.add(external(f"{url}/mcp", skills=TOOL), url=None)
        said = await failure(gateway)
        assert "no key ***" in said
        assert "ours" not in said
        async with host(gateway) as found:
            with pytest.raises(MCPError) as passed_on:
                await found.list_prompts()
        assert "no key ***" in str(passed_on.value)
        assert "ours" not in str(passed_on.value)


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_the_skills_of_an_external_a2a_server_are_tools(gateway: World, version: str) -> None:
    with sdk_agent(version, here=True) as (url, _):
        gateway.add(await known_agent(url, "tools"), url=None)
        async with host(gateway) as found:
            assert [tool.name for tool in (await found.list_tools()).tools] == ["say"]
            result = await found.call_tool("say", {"text": "hello"})
            assert not result.is_error
            assert "hello" in str(result.content)
