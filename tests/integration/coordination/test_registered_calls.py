"""Registered agents are called like all others: servers of the A2A SDK in both versions, and an MCP server."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.integration.coordination.test_messages import call, envelope, mailbox, registered
from tests.parts.gateway import World, message, world
from tests.parts.http_servers import serving
from tests.parts.mcp_host import Host, said
from tests.parts.mcp_servers import mcp_server
from tests.parts.mcp_tools import toolbox
from tests.parts.polling import eventually
from tests.parts.sdk_agents import sdk_agent


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world() as found:
        yield found


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_an_agent_of_the_sdk_is_registered_by_its_url_alone(gateway: World, version: str) -> None:
    with sdk_agent(version, here=True) as (url, _):
        body = {"agent_id": "partner", "endpoint_url": url}
        status, agent = await call(gateway, "POST", "/a2a/register", body)
        assert (status, agent["protocol"], agent["card"]) == (201, "a2a", {"fetched": True, "problem": ""})
        _, found = await call(gateway, "GET", "/a2a/discover?skill=say")
        assert [each["agent_id"] for each in found] == ["partner"]
        path = "/agents/registered/partner/api/a2a"
        task = (await gateway.rpc("SendMessage", {"message": message("hello")}, path=path))["result"]["task"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert (await gateway.rpc("GetTask", {"id": task["id"]}, path=path))["result"]["id"] == task["id"]
        host = Host(gateway.session, f"{gateway.url}/mcp", "2026-07-28")
        assert "hi" in said(await host.call("registered__partner__say", text="hi"))
        await registered(gateway, "ann")
        await call(gateway, "POST", "/a2a/message", envelope("partner", "greetings"))
        [answer] = await mailbox(gateway, "ann", wait=20)
        assert answer["from"] == "partner"
        assert "greetings" in str(answer["content"]), answer


async def test_an_mcp_server_is_registered_and_its_tools_are_its_skills(gateway: World) -> None:
    with mcp_server(toolbox().server) as (url, _):
        body = {"agent_id": "tools", "endpoint_url": url, "protocol": "mcp"}
        status, agent = await call(gateway, "POST", "/a2a/register", body)
        assert (status, agent["card"]) == (201, {"fetched": True, "problem": ""})
        _, found = await call(gateway, "GET", "/a2a/discover")
        assert found[0]["capabilities"] or found[0]["protocols"]
        assert (await call(gateway, "GET", "/agents?namespace=registered"))[1]["agents"][0]["skills"]


async def test_a_card_that_comes_later_or_changes_is_taken_and_a_server_that_is_away_keeps_its_skills() -> None:
    card: dict[str, Any] = {
        "name": "late", "version": "1", "description": "d", "capabilities": {}, "protocolVersion": "0.3.0",
        "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
    }  # fmt: skip
    shown: list[Any] = [None]

    async def serve(request: web.Request) -> web.Response:
        if shown[0] is None:
            return web.Response(status=404)
        return web.json_response(shown[0] | {"url": f"http://{request.host}/"})

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    async with serving(app) as url, world() as gateway:
        assert gateway.services.coordination is not None
        registry = gateway.services.coordination.registry
        _, agent = await call(gateway, "POST", "/a2a/register", {"agent_id": "late", "endpoint_url": url})
        assert agent["protocol"] == "http"

        async def skills() -> list[str]:
            agent = registry.known("late")
            assert agent is not None
            await registry.refresh(agent)
            entry = gateway.directory.find("registered", "late")
            assert entry is not None
            a2a = entry.public.spec.a2a
            return [each.id for each in a2a.skills] if a2a is not None else []

        skill = {"id": "say", "name": "Say", "description": "d", "tags": []}
        shown[0] = card | {"skills": [skill]}
        await eventually(lambda: _is(skills(), ["say"]))
        shown[0] = card | {"skills": [skill, skill | {"id": "more"}]}
        await eventually(lambda: _is(skills(), ["say", "more"]))
        shown[0] = None
        assert await skills() == ["say", "more"]
        known = registry.known("late")
        assert known is not None
        assert "404" in known.card_problem


async def _is(found: Any, wanted: list[str]) -> bool:
    return bool(await found == wanted)


async def test_an_agent_on_a_private_address_is_not_asked() -> None:
    async with world(on_loopback=False) as gateway:
        status, agent = await call(
            gateway,
            "POST",
            "/a2a/register",
            {"agent_id": "inner", "endpoint_url": "http://127.0.0.1:9", "protocol": "a2a"},
        )
        assert status == 201
        assert "127.0.0.1" in agent["card"]["problem"]
        assert not agent["card"]["fetched"]
