"""What the operator does for an external MCP server: no workload, and Ready from the last answer."""

import asyncio
from typing import Any

from mcp.server.mcpserver import MCPServer
from tests.parts.cluster import Cluster, Start, until
from tests.parts.mcp_servers import mcp_server

LOOPBACK = "127.0.0.0/8"
SETTINGS: dict[str, Any] = {"eventing": "none", "serving": "kubernetes", "gateway_url": "http://gateway.example:8080"}


def server(*names: str) -> MCPServer[Any]:
    made: MCPServer[Any] = MCPServer("pantry")
    for name in names:
        made.add_tool(lambda what: what, name=name, description=f"Does {name}.")
    return made


def external(url: str) -> dict[str, Any]:
    return {"a2a": {"protocol": "mcp"}, "external": {"url": url}, "image": None}


def tools(cluster: Cluster, agent: str) -> list[str]:
    card = (cluster.status(agent).get("a2aStatus") or {}).get("containerCard") or {}
    return [skill["id"] for skill in card.get("skills", [])]


async def test_its_tools_are_the_skills_and_it_has_no_workload(cluster: Cluster, start: Start) -> None:
    made = server("count")
    with mcp_server(made) as (url, asked):
        await start(**SETTINGS, tools_allow=LOOPBACK, tools_sync_seconds=1)
        await asyncio.to_thread(cluster.apply, "shelf", external(url))
        ready = await until(lambda: cluster.because("shelf", "Ready", "Ready"))
        assert ready["status"] == "True"
        assert tools(cluster, "shelf") == ["count"]
        assert cluster.names("apps/v1", "deployments") == []
        assert cluster.names("v1", "services") == ["shelf-a2a"]
        assert cluster.status("shelf")["serviceStatus"] == {"ready": True}
        version, rounds = cluster.agent("shelf")["metadata"]["resourceVersion"], len(asked.seen)
        await until(lambda: len(asked.seen) >= rounds + 4)
        assert cluster.agent("shelf")["metadata"]["resourceVersion"] == version
        made.add_tool(lambda what: what, name="another")
        await until(lambda: sorted(tools(cluster, "shelf")) == ["another", "count"])
    found = await until(lambda: cluster.because("shelf", "ServingReady", "ServerUnreachable"))
    assert f"MCP server {url}: Connection refused; check the server and external" in found["message"]
    assert cluster.because("shelf", "Ready", "ServerUnreachable")
    assert sorted(tools(cluster, "shelf")) == ["another", "count"]


async def test_a_private_address_is_refused_and_gets_no_request(cluster: Cluster, start: Start) -> None:
    with mcp_server(server("count")) as (url, asked):
        await start(**SETTINGS)
        await asyncio.to_thread(cluster.apply, "shelf", external(url))
        found = await until(lambda: cluster.because("shelf", "ServingReady", "ServerUnreachable"))
        assert "127.0.0.1 is not a public address and is not allowed here" in found["message"]
        assert cluster.because("shelf", "Ready", "ServerUnreachable")
        assert asked.seen == []


async def test_from_a_container_to_a_url_and_back(cluster: Cluster, start: Start) -> None:
    with mcp_server(server("count")) as (url, _):
        await start(**SETTINGS, tools_allow=LOOPBACK)
        container = {"a2a": {"enabled": True, "protocol": "mcp"}}
        await asyncio.to_thread(cluster.apply, "mover", container)
        await until(lambda: cluster.names("apps/v1", "deployments") == ["mover"])
        await asyncio.to_thread(cluster.apply, "mover", external(url))
        await until(lambda: cluster.names("apps/v1", "deployments") == [])
        await until(lambda: cluster.names("v1", "services") == ["mover-a2a"])
        await until(lambda: cluster.because("mover", "Ready", "Ready"))
        await asyncio.to_thread(cluster.apply, "mover", container)
        await until(lambda: cluster.names("apps/v1", "deployments") == ["mover"])
        await until(lambda: not cluster.because("mover", "Ready", "Ready"))
        assert cluster.status("mover")["serviceStatus"]["url"].startswith("http://mover.")
