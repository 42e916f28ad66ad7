"""Hosts register agents and have them work together, by the tools that only the platform's endpoint has."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from tests.integration.mcp.test_sdk import ERAS, client
from tests.parts.access import guarded, of
from tests.parts.gateway import World, skill
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

from lambdaagent.mcp import coordination_tools


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}, "registrars": ["corp:alice"]}
    async with guarded(tmp_path / "access.yaml", file) as world:
        access = {"grants": [{"principals": ["corp:alice"]}]}
        world.agent("seller", url=container.url, skills=[skill("quote", tags=["price"])], access=access)
        yield world


@pytest.mark.parametrize("era", ERAS)
async def test_an_agent_is_registered_found_and_gets_a_message(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str
) -> None:
    async with client(gateway, "/mcp", era, of(issuer)) as found:

        async def call(tool: str, **given: Any) -> Any:
            result = await found.call_tool(tool, given)
            assert not result.is_error, result
            return result.structured_content

        given = {"name": "Search", "endpoint_url": f"{container.url}/hook", "capabilities": {"methods": ["Find"]}}
        made = await call("a2a_register_agent", **given, description="Finds.")
        assert (made["status"], made["owner"]) == ("active", "corp:alice")
        assert (await call("a2a_register_agent", **given))["agent_id"] == made["agent_id"]
        (shown,) = (await call("a2a_discover_agents", capability_filter=["find"]))["agents"]
        assert (shown["agent_id"], shown["status"]) == (made["agent_id"], "active")
        body = {"agent_id": "laptop", "capabilities": ["search"], "ttl_seconds": 1}
        await gateway.request("POST", "/a2a/register", json=body, headers=of(issuer))
        sent = await call("a2a_message", agent_id="laptop", message_type="request", content={"text": "Who?"})
        assert (sent["agent_id"], sent["status"]) == ("laptop", "queued")
        box = await (await gateway.request("GET", "/a2a/messages?agent=laptop", headers=of(issuer))).json()
        (message,) = box["messages"]
        assert (message["sender_agent_id"], message["content"]) == ("corp:alice", {"text": "Who?"})

        async def inactive() -> bool:
            agents = (await call("a2a_discover_agents", status="inactive"))["agents"]
            return [each["agent_id"] for each in agents] == ["laptop"]

        await eventually(inactive, what="the missed heartbeats of laptop")
        listed = (await call("a2a_discover_agents", status="all"))["agents"]
        assert {each["agent_id"] for each in listed} == {made["agent_id"], "laptop", "shop/seller"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_context_is_shared_and_a_proposal_decided(gateway: World, issuer: Issuer, era: str) -> None:
    new = {"id": "trip", "data": {"city": "Bern"}, "participants": ["corp:bob"]}
    await gateway.request("POST", "/a2a/context", json=new, headers=of(issuer))
    async with client(gateway, "/mcp", era, of(issuer, "bob")) as bob:
        read = (await bob.call_tool("a2a_context", {"action": "get", "context_id": "trip"})).structured_content
        assert read["data"] == {"city": "Bern"}
        patch = {"action": "patch", "context_id": "trip", "patch": {"days": 2}, "version": read["version"]}
        assert (await bob.call_tool("a2a_context", patch)).structured_content["data"]["days"] == 2
        late = await bob.call_tool("a2a_context", patch)
        assert (late.is_error, "read it and decide again" in late.content[0].text) == (True, True)
        async with client(gateway, "/mcp", era, of(issuer)) as alice:
            given = {"title": "Go?", "electorate": ["corp:alice", "corp:bob"], "rule": "unanimous"}
            proposal = (await alice.call_tool("a2a_propose", given)).structured_content
            assert (proposal["status"], proposal["from"]) == ("open", "corp:alice")
            vote = {"proposal_id": proposal["proposal_id"], "choice": "yes"}
            forged = await alice.call_tool("a2a_vote", {**vote, "from": "corp:bob"})
            assert (forged.is_error, "act as yourself" in forged.content[0].text) == (True, True)
            assert (await alice.call_tool("a2a_vote", vote)).structured_content["status"] == "open"
        decided = (await bob.call_tool("a2a_vote", vote)).structured_content
        assert (decided["status"], decided["votes"]) == ("accepted", {"corp:alice": "yes", "corp:bob": "yes"})


@pytest.mark.parametrize("era", ERAS)
async def test_a_job_is_done(gateway: World, issuer: Issuer, era: str) -> None:
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        given = {"task_type": "quote", "input_data": {"text": "gold?"}, "priority": 9}
        job = (await found.call_tool("a2a_create_job", given)).structured_content
        assert job["status"] == "pending"
        last: dict[str, Any] = {}

        async def completed() -> bool:
            last.update((await found.call_tool("a2a_job_status", {"job_id": job["job_id"]})).structured_content)
            return bool(last["status"] == "completed")

        await eventually(completed, what="the job")
        assert last["assigned_agent_id"] == "shop/seller"
        assert "gold?" in str(last["output_data"])


@pytest.mark.parametrize("era", ERAS)
async def test_only_the_platform_has_them(gateway: World, issuer: Issuer, era: str) -> None:
    async with client(gateway, "/mcp/shop", era, of(issuer)) as found:
        names = {each.name for each in (await found.list_tools()).tools}
        assert not names & coordination_tools.NAMES
        with pytest.raises(MCPError, match="There is no tool"):
            await found.call_tool("a2a_context", {"action": "get", "context_id": "x"})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"content": {"text": "x" * 300_000}}, "bytes of at most"),
        ({"content": {"text": "a\0b"}}, "U+0000"),
        ({"session_id": "a\nb"}, "session_id"),
        ({"session_id": "s" * 256}, "session_id"),
    ],
)
async def test_a_message_of_a_host_is_bounded_like_every_other(
    gateway: World, issuer: Issuer, wrong: dict[str, Any], said: str
) -> None:
    await gateway.request("POST", "/a2a/register", json={"agent_id": "laptop"}, headers=of(issuer))
    given = {"agent_id": "laptop", "message_type": "request", "content": {"text": "Who?"}} | wrong
    async with client(gateway, "/mcp", ERAS[0], of(issuer)) as found:
        result = await found.call_tool("a2a_message", given)
    assert result.is_error
    assert said in str(result.content)
