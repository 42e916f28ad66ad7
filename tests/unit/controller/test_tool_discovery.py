"""When agents' tool servers are asked, and whom an answer wakes. The servers are real ones on loopback."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.parts.http_servers import serving

from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.children.base import AgentKey
from lambdaagent.controller.tool_discovery import ToolDiscovery
from lambdaagent.kube.secrets import SecretNotReadableError, Secrets
from lambdaagent.webhooks import address_check

HERE = address_check.public(allowed=[ipaddress.ip_network("127.0.0.0/8")])
ONE, OTHER = ("shop", "one"), ("shop", "other")


class NoSecrets(Secrets):
    """The Secrets of an operator without the right to read any."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def value(self, *, namespace: str, name: str, key: str) -> str:
        self.asked.append(f"{namespace}/{name}/{key}")
        raise SecretNotReadableError("no right")


class Server:
    """A server of 2026-07-28 with the tools `names`; each list of them is noted in `asked`."""

    def __init__(self) -> None:
        self.names = ["count"]
        self.more: dict[str, Any] = {}
        self.status = 200
        self.asked: asyncio.Queue[int] = asyncio.Queue()
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        message = await request.json()
        if self.status != 200:
            self.asked.put_nowait(self.status)
            return web.Response(status=self.status)
        if message["method"] == "server/discover":
            found: dict[str, Any] = {"supportedVersions": ["2026-07-28"]}
        else:
            self.asked.put_nowait(200)
            found = {"tools": [{"name": name} for name in self.names], **self.more}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": found})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found, app = Server(), web.Application()
    app.add_routes([web.post("/mcp", found.handle)])
    async with serving(app) as url:
        found.url = f"{url}/mcp"
        yield found


def agent(*endpoints: str, **fields: Any) -> LambdaAgent:
    tools = [{"mcpServer": {"name": "m", "endpoint": endpoint, **fields}} for endpoint in endpoints]
    metadata = {"name": "one", "namespace": "shop"}
    return parse({"metadata": metadata, "spec": {"image": {"repository": "r"}, "tools": tools}})


def discovery(interval: float, woken: "asyncio.Queue[AgentKey]", secrets: Secrets | None = None) -> ToolDiscovery:
    return ToolDiscovery(interval, woken.put_nowait, secrets or NoSecrets(), check=HERE, domain="cluster.local")


async def soon(queue: "asyncio.Queue[Any]") -> Any:
    return await asyncio.wait_for(queue.get(), 10)


async def test_a_server_is_asked_once_for_all_its_agents_and_forgotten_with_the_last(server: Server) -> None:
    woken: asyncio.Queue[AgentKey] = asyncio.Queue()
    found, user = discovery(60, woken), agent(server.url)
    async with found.run():
        found.put(ONE, user)
        found.put(OTHER, user)
        assert {await soon(woken), await soon(woken)} == {ONE, OTHER}
        assert server.asked.qsize() == 1
        (answer,) = found.answers(user).values()
        assert (answer.version, answer.tools) == ("2026-07-28", (("count", ""),))
        found.put(ONE, None)
        assert found.answers(user)
        found.put(OTHER, agent())
        assert found.answers(user) == {}
        found.put(ONE, user)
        assert await soon(woken) == ONE
        assert server.asked.qsize() == 2


async def test_an_agent_is_woken_when_the_answer_changes_and_only_then(server: Server) -> None:
    woken: asyncio.Queue[AgentKey] = asyncio.Queue()
    found, user = discovery(0.01, woken), agent(server.url)
    async with found.run():
        found.put(ONE, user)
        for _ in range(4):
            await soon(server.asked)
        assert woken.qsize() == 1
        server.names = ["put", "count"]
        while server.asked.qsize():
            server.asked.get_nowait()
        await soon(server.asked)
        await soon(server.asked)
        assert woken.qsize() == 2
        server.names = ["count", "put"]  # another order is no change
        for _ in range(3):
            await soon(server.asked)
        assert woken.qsize() == 2


async def test_a_failing_server_is_asked_again_before_the_interval_is_over(server: Server) -> None:
    woken: asyncio.Queue[AgentKey] = asyncio.Queue()
    server.status = 503
    found, user = discovery(0.4, woken), agent(server.url)
    async with found.run():
        found.put(ONE, user)
        assert await soon(woken) == ONE
        (answer,) = found.answers(user).values()
        assert answer.problem == "it answers 503"
        server.status = 200
        assert await soon(woken) == ONE
        (answer,) = found.answers(user).values()
        assert answer.problem == ""


async def test_a_list_that_is_fresh_for_longer_is_not_asked_for_meanwhile(server: Server) -> None:
    woken: asyncio.Queue[AgentKey] = asyncio.Queue()
    server.more = {"ttlMs": 10**18}
    found = discovery(0.01, woken)
    async with found.run():
        found.put(ONE, agent(server.url))
        await soon(woken)
        await asyncio.sleep(0.3)
        assert server.asked.qsize() == 1


async def test_without_the_right_to_a_secret_the_server_is_not_asked(server: Server) -> None:
    woken: asyncio.Queue[AgentKey] = asyncio.Queue()
    secrets = NoSecrets()
    header = {"name": "X-Key", "secretKeyRef": {"name": "s", "key": "k"}}
    found, user = discovery(60, woken, secrets), agent(server.url, headersFrom=[header])
    async with found.run():
        found.put(ONE, user)
        await soon(woken)
        (answer,) = found.answers(user).values()
        assert (answer.not_asked, secrets.asked, server.asked.qsize()) == ("no right", ["shop/s/k"], 0)


async def test_servers_that_were_put_before_are_asked_at_the_start_and_no_more_after_the_end(server: Server) -> None:
    woken: asyncio.Queue[AgentKey] = asyncio.Queue()
    found = discovery(0.01, woken)
    found.put(ONE, agent(server.url))
    async with found.run():
        await soon(woken)
    while server.asked.qsize():
        server.asked.get_nowait()
    await asyncio.sleep(0.1)
    assert server.asked.qsize() == 0
