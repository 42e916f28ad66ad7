"""Agents elsewhere register, stay alive by heartbeats, and are found beside those of the cluster."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import guarded, of
from tests.parts.gateway import World, world
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=container.url)
        yield found


async def call(gateway: World, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    more = {"json": body} if body is not None else {}
    found = await gateway.request(method, path, headers=headers, **more)
    return found.status, await found.json() if found.body else None


async def register(gateway: World, **body: Any) -> tuple[int, Any]:
    return await call(gateway, "POST", "/a2a/register", body)


async def test_the_interaction_of_requirement_003(gateway: World) -> None:
    status, agent = await register(gateway, agent_id="search-agent-1", capabilities=["search", "summarize"])
    assert (status, agent["status"], agent["protocol"]) == (201, "active", "mailbox")
    status, found = await call(gateway, "GET", "/a2a/discover?capability=search")
    assert [each["agent_id"] for each in found] == ["search-agent-1"]
    again, same = await register(gateway, agent_id="search-agent-1", capabilities=["search"])
    assert (again, same["created_at"], same["capabilities"]) == (200, agent["created_at"], ["search"])


async def test_the_body_of_requirement_001_and_the_one_of_003_are_both_taken(gateway: World) -> None:
    status, one = await register(
        gateway, name="MCP Database Agent", endpoint_url="https://db.example/a2a", capabilities={"methods": ["query"]}
    )
    assert (status, one["agent_id"][:6], len(one["agent_id"])) == (201, "agent_", 38)
    status, same = await register(
        gateway, name="MCP Database Agent", endpoint_url="https://db.example/a2a", capabilities={"methods": ["query"]}
    )
    assert (status, same["agent_id"]) == (200, one["agent_id"])
    capability = {"name": "site_search", "description": "Searches.", "input_schema": {"type": "object"}}
    body = {"agent_id": "nlweb-agent-123", "name": "NLWeb", "version": "1.0.0", "protocols": ["mcp/2024-11-05"]}
    assert (await register(gateway, **body, capabilities=[capability]))[0] == 201
    for query in ("capability=query", "capability=site_search", "skill=site_search", "q=SEARCHES", "tag=registered"):
        _, found = await call(gateway, "GET", f"/a2a/discover?{query}")
        assert found, query


async def test_agents_of_both_kinds_are_in_one_index(gateway: World) -> None:
    await register(gateway, agent_id="laptop", capabilities=["say"])
    _, found = await call(gateway, "POST", "/a2a/discover", {"capability": "say"})
    assert [each["agent_id"] for each in found] == ["laptop", "shop/echo"]
    assert found[0]["protocols"] == ["mailbox"]
    _, listed = await call(gateway, "GET", "/agents?skill=say")
    assert [each["namespace"] for each in listed["agents"]] == ["registered", "shop"]
    for path in ("/a2a/agents/laptop", "/a2a/agents/shop/echo"):
        assert (await call(gateway, "GET", path))[0] == 200


async def test_pages_are_linked(gateway: World) -> None:
    for number in range(5):
        await register(gateway, agent_id=f"a{number}", capabilities=["x"])
    found: list[str] = []
    path = "/a2a/discover?capability=x&limit=2"
    while path:
        answer = await gateway.request("GET", path)
        found += [each["agent_id"] for each in await answer.json()]
        link = answer.headers.get("Link", "")
        path = link.partition(">")[0].removeprefix(f"<{gateway.url}")
    assert found == [f"a{number}" for number in range(5)]


async def test_an_agent_that_misses_heartbeats_is_inactive_until_the_next(gateway: World) -> None:
    await register(gateway, agent_id="laptop", capabilities=["x"], ttl_seconds=1)

    async def status() -> bool:
        return (await call(gateway, "GET", "/a2a/agents/laptop"))[1]["status"] == "inactive"

    await eventually(status, what="the third missed heartbeat")
    assert (await call(gateway, "GET", "/a2a/discover?capability=x"))[1] == []
    assert len((await call(gateway, "GET", "/a2a/discover?capability=x&status=inactive"))[1]) == 1
    code, beaten = await call(gateway, "POST", "/a2a/agents/laptop/heartbeat", {"load": 0.5, "ttlSeconds": 60})
    assert (code, beaten["status"], beaten["ttl_seconds"]) == (200, "active", 60)
    assert len((await call(gateway, "GET", "/a2a/discover?capability=x"))[1]) == 1
    assert (await call(gateway, "GET", "/a2a/agents/laptop"))[1]["load"] == 0.5


async def test_a_suspended_agent_is_not_found_and_stays_suspended(gateway: World) -> None:
    await register(gateway, agent_id="laptop", capabilities=["x"])
    assert (await call(gateway, "PATCH", "/a2a/agents/laptop", {"status": "suspended"}))[0] == 200
    assert (await call(gateway, "POST", "/a2a/agents/laptop/heartbeat"))[1]["status"] == "suspended"
    assert (await call(gateway, "GET", "/a2a/discover?capability=x"))[1] == []
    assert (await call(gateway, "PATCH", "/a2a/agents/laptop", {"status": "active"}))[0] == 200
    assert len((await call(gateway, "GET", "/a2a/discover?capability=x"))[1]) == 1


async def test_a_deleted_agent_is_gone(gateway: World) -> None:
    await register(gateway, agent_id="laptop", capabilities=["x"])
    assert (await call(gateway, "DELETE", "/a2a/agents/laptop"))[0] == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/heartbeat"), ("PATCH", "")):
        assert (await call(gateway, method, f"/a2a/agents/laptop{path}", {} if method == "PATCH" else None))[0] == 404
    assert (await call(gateway, "GET", "/a2a/discover?capability=x"))[1] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "agent_id or a name"),
        ([], "must be a JSON object"),
        ({"agent_id": "a b"}, "agent_id: "),
        ({"agent_id": "a/b"}, "agent_id: "),
        ({"agent_id": "a" * 256}, "agent_id: "),
        ({"agent_id": "a", "capabilities": 1}, "capabilities: must be a list"),
        ({"agent_id": "a", "capabilities": ["x"] * 201}, "capabilities: must have at most"),
        ({"agent_id": "a", "endpoint_url": "ftp://x"}, "endpoint_url: "),
        ({"agent_id": "a", "endpoint_url": "https://user:pw@x"}, "endpoint_url: "),
        ({"agent_id": "a", "ttl_seconds": 0}, "ttl_seconds: "),
        ({"agent_id": "a", "typo": 1}, "typo: is no field"),
        ({"agent_id": "a", "access": {"grants": [{}]}}, "names nobody"),
        ({"agent_id": "a", "metadata": {"x": "\u0000"}}, "U+0000"),
        ({"agent_id": "a", "metadata": {"x": "y" * 20_000}}, "metadata: must have at most"),
    ],
)
async def test_a_wrong_body_is_refused_by_its_field(gateway: World, body: Any, said: str) -> None:
    status, problem = await call(gateway, "POST", "/a2a/register", body)
    assert status == 400
    assert said in problem["detail"]


async def test_an_agent_of_the_cluster_is_changed_there(gateway: World) -> None:
    status, problem = await call(gateway, "DELETE", "/a2a/agents/shop/echo")
    assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:not-registered")


async def test_others_neither_see_nor_change_an_agent_unless_it_says_so(
    tmp_path: Path, issuer: Issuer, container: PlainAgent
) -> None:
    rules = {"issuers": [issuer.configured()], "registrars": ["corp:ann", "corp:eve"]}
    async with guarded(tmp_path / "access.yaml", rules) as gateway:
        gateway.agent(url=container.url)
        ann, eve, bob = (of(issuer, name) for name in ("ann", "eve", "bob"))
        body = {"agent_id": "laptop", "capabilities": ["x"]}
        assert (await call(gateway, "POST", "/a2a/register", body))[0] == 401
        assert (await call(gateway, "POST", "/a2a/register", body, **bob))[0] == 403
        assert (await call(gateway, "POST", "/a2a/register", body, **ann))[0] == 201
        assert (await call(gateway, "POST", "/a2a/register", body, **eve))[0] == 409
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/heartbeat")):
            assert (await call(gateway, method, f"/a2a/agents/laptop{path}", **eve))[0] == 404
        assert (await call(gateway, "GET", "/a2a/discover", **eve))[1] == []
        shared = {"access": {"grants": [{"principals": ["corp:eve"]}]}}
        assert (await call(gateway, "PATCH", "/a2a/agents/laptop", shared, **ann))[0] == 200
        assert len((await call(gateway, "GET", "/a2a/discover", **eve))[1]) == 1
        assert (await call(gateway, "GET", "/a2a/agents/laptop", **eve))[0] == 200
        assert (await call(gateway, "DELETE", "/a2a/agents/laptop", **eve))[0] == 403
        assert (await call(gateway, "POST", "/a2a/agents/laptop/heartbeat", **eve))[0] == 403


async def test_what_was_registered_outlives_the_gateway(tmp_path: Path, container: PlainAgent) -> None:
    async with world(database=tmp_path / "a.db") as gateway:
        await register(gateway, agent_id="laptop", capabilities=["x"])
    async with world(database=tmp_path / "a.db") as gateway:

        async def found() -> bool:
            return bool((await call(gateway, "GET", "/a2a/discover?capability=x"))[1])

        await eventually(found, what="the agent of before")


@pytest.mark.parametrize("name", ["anonymous", "system", "gateway"])
async def test_nobody_registers_under_a_name_of_the_gateways_own(gateway: World, name: str) -> None:
    status, problem = await register(gateway, agent_id=name)
    assert status == 400
    assert "agent_id: " in problem["detail"]
