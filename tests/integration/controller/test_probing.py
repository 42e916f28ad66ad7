"""What the operator asks of AI endpoints and containers, and where the answers appear in status."""

import asyncio
import functools
from typing import Any

from aiohttp import web
from mcp.server.mcpserver import MCPServer
from tests.parts.cluster import Cluster, Start, until
from tests.parts.http_servers import serving
from tests.parts.knative import mark_ready
from tests.parts.mcp_servers import mcp_server

KNATIVE = "serving.knative.dev/v1"


async def test_the_ai_endpoint_is_asked_and_never_gates(cluster: Cluster, start: Start) -> None:
    models: list[dict[str, str]] = [{"name": "llama3.2:3b"}]

    async def tags(_: web.Request) -> web.Response:
        return web.json_response({"models": models})

    app = web.Application()
    app.add_routes([web.get("/api/tags", tags)])
    async with serving(app) as url:
        await start(eventing="none")
        for name, model in (("has", "llama3.2:3b"), ("lacks", "llava:7b")):
            await asyncio.to_thread(cluster.apply, name, {"ai": {"endpoint": url, "model": model}})
            await until(functools.partial(cluster.find, KNATIVE, "services", name))
            mark_ready(cluster.rest, "Service", namespace=cluster.namespace, name=name)
        await until(lambda: cluster.because("has", "AIReady", "ModelAvailable"))
        said = await until(lambda: cluster.because("lacks", "AIReady", "ModelNotFound"))
        assert "does not list llava:7b but llama3.2:3b; ollama pull llava:7b" in said["message"]
        assert cluster.status("lacks")["aiStatus"]["modelAvailable"] is False
        await until(lambda: cluster.has("lacks", "Ready", "True"))


async def test_the_card_of_a_container_stands_in_status_and_is_read_again_after_a_rollout(
    cluster: Cluster, start: Start
) -> None:
    asked: list[str] = []

    async def card(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"description": f"Number {len(asked)}.", "skills": [{"id": "a_b", "name": "A"}]})

    app = web.Application()
    app.router.add_get("/{path:.*}", card)

    def roll_out(url: str, revision: str) -> None:
        path = cluster.path(KNATIVE, "services", "carded")
        mark_ready(cluster.rest, "Service", namespace=cluster.namespace, name="carded")
        cluster.rest.merge(f"{path}/status", {"status": {"address": {"url": url}, "latestReadyRevisionName": revision}})

    def shown() -> Any:
        status = cluster.status("carded")
        return status.get("a2aStatus", {}).get("containerCard")

    async with serving(app) as url:
        await start(eventing="none")
        await asyncio.to_thread(cluster.apply, "carded", {"a2a": {"enabled": True, "protocol": "a2a"}})
        await until(lambda: cluster.find(KNATIVE, "services", "carded"))
        for number, revision in enumerate(("carded-00002", "carded-00003"), start=1):
            await asyncio.to_thread(roll_out, url, revision)
            found = await until(lambda revision=revision: (shown() or {}).get("revision") == revision and shown())
            assert found["description"] == f"Number {number}."
            assert found["skills"] == [{"id": "a_b", "name": "A"}]
        version = cluster.agent("carded")["metadata"]["resourceVersion"]
        await asyncio.sleep(1)  # a status that differs from what it reads would be written again and again
        assert cluster.agent("carded")["metadata"]["resourceVersion"] == version
        assert len(asked) == 2


async def test_the_tools_of_a_container_that_is_an_mcp_server_stand_in_status(cluster: Cluster, start: Start) -> None:
    server: MCPServer[Any] = MCPServer("cook")

    @server.tool(title="Add two numbers")
    def add_up(a: int, b: int) -> int:
        """Adds."""
        return a + b

    with mcp_server(server, "stateful", path="/api/mcp") as (url, _):
        await start(eventing="none")
        a2a = {"enabled": True, "protocol": "mcp", "container": {"path": "/api/mcp"}}
        await asyncio.to_thread(cluster.apply, "tooled", {"a2a": a2a})
        await until(lambda: cluster.find(KNATIVE, "services", "tooled"))
        path = cluster.path(KNATIVE, "services", "tooled")
        mark_ready(cluster.rest, "Service", namespace=cluster.namespace, name="tooled")
        status = {"address": {"url": url.removesuffix("/api/mcp")}, "latestReadyRevisionName": "tooled-00001"}
        cluster.rest.merge(f"{path}/status", {"status": status})
        card = await until(lambda: cluster.status("tooled").get("a2aStatus", {}).get("containerCard"))
        (skill,) = card["skills"]
        assert {key: skill[key] for key in ("id", "name", "description")} == {
            "id": "add_up",
            "name": "Add two numbers",
            "description": "Adds.",
        }
        assert skill["inputSchema"]["required"] == ["a", "b"]
        assert skill["inputSchema"]["properties"]["a"]["type"] == "integer"
        assert skill["outputSchema"]["properties"]["result"]["type"] == "integer"
