"""MCP over three gateways and one PostgreSQL: each request of a host reaches another one, and one is killed."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2
import pytest
from aiohttp import ClientSession
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from tests.parts.gateway_process import answers
from tests.parts.kubernetes import KubeApiserver
from tests.parts.mcp_host import TASKS, Host, said
from tests.parts.polling import eventually, wait
from tests.parts.replicas import Replicas, three

ERAS = ["legacy", "2026-07-28"]
SCOPES = ["platform", "namespace", "agent"]


@pytest.fixture
def replicas(kube_apiserver: KubeApiserver, kubeconfig: Path, namespace: str, database_url: str) -> Iterator[Replicas]:
    with three(kube_apiserver, kubeconfig, namespace, database_url) as found:
        path = found.gateways[0].base.replace("/echo/api/a2a", "/limited/.well-known/agent-card.json")
        for gateway in found.gateways:
            wait(lambda gateway=gateway: answers(gateway.client, path))  # type: ignore[misc]
        yield found


class Rotating(httpx2.AsyncBaseTransport):
    """Sends each request to another replica, and to the next one if there is no connection."""

    def __init__(self, replicas: Replicas) -> None:
        self._inner = httpx2.AsyncHTTPTransport()
        self._ports = cycle([gateway.client.base_url.port for gateway in replicas.gateways])
        self._many = len(replicas.gateways)
        self.used: set[int | None] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for attempt in range(self._many):
            port = next(self._ports)
            request.url = request.url.copy_with(port=port)
            try:
                response = await self._inner.handle_async_request(request)
            except httpx2.ConnectError:
                if attempt == self._many - 1:
                    raise
                continue
            self.used.add(port)
            return response
        raise AssertionError("the last attempt raises or returns")

    async def aclose(self) -> None:
        await self._inner.aclose()


def at(replicas: Replicas, namespace: str, scope: str, skill: str) -> tuple[str, str]:
    """Returns the path of the endpoint, and the name of the tool there."""
    return {
        "platform": ("/mcp", f"{namespace}__echo__{skill}"),
        "namespace": (f"/mcp/{namespace}", f"echo__{skill}"),
        "agent": (f"/agents/{namespace}/echo/mcp", skill),
    }[scope]


@asynccontextmanager
async def client(replicas: Replicas, path: str, era: str) -> AsyncIterator[tuple[Client, Rotating]]:
    rotating = Rotating(replicas)
    async with (
        httpx2.AsyncClient(transport=rotating, timeout=30) as http,
        Client(streamable_http_client(f"http://127.0.0.1{path}", http_client=http), mode=era) as found,
    ):
        yield found, rotating


def text(result: Any) -> str:
    return "".join(str(content.text) for content in result.content)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("scope", SCOPES)
async def test_a_hosts_session_is_served_by_all_replicas(
    replicas: Replicas, namespace: str, scope: str, era: str
) -> None:
    path, tool = at(replicas, namespace, scope, "say")
    progress: list[tuple[float, str | None]] = []

    async def told(now: float, _total: float | None, words: str | None) -> None:
        progress.append((now, words))

    async with client(replicas, path, era) as (found, rotating):
        assert tool in {each.name for each in (await found.list_tools()).tools}
        for number in range(6):
            result = await found.call_tool(tool, {"text": f"hello {number}"})
            assert text(result) == f"hello {number}"
        long = await found.call_tool(tool, {"text": "stream 8"}, progress_callback=told)
        wrong = await found.call_tool(tool, {"text": "x", "nonsense": 1})
        templates = await found.list_resource_templates()
    assert text(long) == "01234567"
    assert [words for _, words in progress][-1] == "7"
    assert [now for now, _ in progress] == sorted(now for now, _ in progress)
    assert wrong.is_error
    assert templates.resource_templates
    assert len(rotating.used) == 3, "every replica has served the host"


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_task_outlives_the_replica_that_runs_it(replicas: Replicas, namespace: str, scope: str) -> None:
    path, again = at(replicas, namespace, scope, "again")
    _, once = at(replicas, namespace, scope, "say")
    one, two, three_ = replicas.gateways
    async with ClientSession() as session:
        hosts = [Host(session, f"{gateway.client.base_url}{path}", capabilities=TASKS) for gateway in (one, two)]
        begun = {name: (await hosts[0].call(name, "stream 20"))["taskId"] for name in (again, once)}
        for name, task_id in begun.items():
            assert (await hosts[1].result("tasks/get", taskId=task_id))["status"] == "working", name
        one.kill()

        async def ended(task_id: str) -> Any:
            async def check() -> Any:
                task = await hosts[1].result("tasks/get", taskId=task_id)
                return task if task["status"] != "working" else None

            return await eventually(check, what=f"the end of {task_id}", within=90)

        repeated = await ended(begun[again])
        assert (repeated["status"], said(repeated["result"])) == ("completed", "".join(map(str, range(20))))
        failed = await ended(begun[once])
        assert failed["status"] == "completed"
        assert failed["result"]["isError"]
        assert "gateway" in said(failed["result"])
        ack = await Host(session, f"{three_.client.base_url}{path}", capabilities=TASKS).result(
            "tasks/cancel", taskId=begun[once]
        )
        assert ack["resultType"] == "complete"


@pytest.mark.parametrize("era", ERAS)
async def test_a_host_goes_on_when_a_replica_dies(replicas: Replicas, namespace: str, era: str) -> None:
    path, tool = at(replicas, namespace, "agent", "say")
    async with client(replicas, path, era) as (found, _):
        assert text(await found.call_tool(tool, {"text": "before"})) == "before"
        replicas.gateways[1].kill()
        for number in range(4):
            assert text(await found.call_tool(tool, {"text": f"after {number}"})) == f"after {number}"
