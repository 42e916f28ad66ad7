"""The JSON-RPC methods by which agents register and work together, with and without an agent."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import guarded, of
from tests.parts.gateway import World, world
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

UNIFIED, OWN = "/a2a", "/agents/shop/echo/api/a2a"
PATHS = [UNIFIED, "/a2a?agent=shop/echo", OWN]


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=container.url)
        yield found


async def ask(gateway: World, method: str, params: Any, path: str = UNIFIED) -> Any:
    answer = await gateway.rpc(method, params, path=path, version=None)
    return answer.get("result", answer.get("error"))


@pytest.mark.parametrize("path", PATHS)
async def test_agents_register_share_propose_and_vote(gateway: World, path: str) -> None:
    registered = await ask(gateway, "agent.register", {"agentId": "laptop", "capabilities": ["search"]}, path)
    assert (registered["agent_id"], registered["status"]) == ("laptop", "active")
    beaten = await ask(gateway, "agent.heartbeat", {"agent_id": "laptop", "load": 0.5}, path)
    assert (beaten["agent_id"], beaten["status"]) == ("laptop", "active")
    assert (await (await gateway.request("GET", "/a2a/agents/laptop")).json())["load"] == 0.5

    sent = {"from": "shop/echo", "to": "laptop", "content": {"type": "query", "data": {"query": "Who?"}}}
    receipt = await ask(gateway, "message.send", sent, path)
    assert (receipt["type"], receipt["receivers"]) == (
        "agent_message_receipt",
        [{"agent_id": "laptop", "status": "queued"}],
    )
    box = await (await gateway.request("GET", "/a2a/messages?agent=laptop")).json()
    assert [each["message_id"] for each in box["messages"]] == [receipt["message_id"]]

    await gateway.request("POST", "/a2a/context", json={"id": "trip", "data": {"city": "Bern"}})
    context = await ask(gateway, "context.get", {"context_id": "trip"}, path)
    patch = {"context_id": "trip", "patch": {"days": 2}, "version": context["version"]}
    changed = await ask(gateway, "context.patch", patch, path)
    assert (changed["data"], changed["version"]) == ({"city": "Bern", "days": 2}, context["version"] + 1)
    late = await ask(gateway, "context.patch", patch, path)
    assert (late["code"], late["data"]) == (-32054, {"reason": "version-changed", "status": 412})

    given = {"from": "shop/echo", "title": "Go?", "electorate": ["laptop"]}
    proposal = await ask(gateway, "proposal.create", given, path)
    assert (proposal["status"], proposal["votes"]) == ("open", {})
    vote = {"proposal_id": proposal["proposal_id"], "from": "laptop", "choice": "yes"}
    decided = await ask(gateway, "proposal.vote", vote, path)
    assert (decided["status"], decided["outcome"]) == ("accepted", "yes")
    again = await ask(gateway, "proposal.vote", vote, path)
    assert (again["code"], again["data"]) == (-32053, {"reason": "proposal-closed", "status": 409})


async def test_at_its_own_endpoint_an_agent_is_the_receiver_and_the_elector(
    gateway: World, container: PlainAgent
) -> None:
    content = {"type": "context", "data": {"text": "hello"}}
    receipt = await ask(gateway, "message.send", {"from": "shop/other", "content": content}, OWN)
    assert receipt["to"] == "shop/echo"
    row = {"sender_agent_id": "shop/other", "message_type": "notification", "content": {"text": "hello"}}
    assert (await ask(gateway, "message.send", row, OWN))["receiver_agent_id"] == "shop/echo"
    proposal = await ask(gateway, "proposal.create", {"from": "shop/other", "title": "Go?"}, OWN)
    assert proposal["electorate"] == ["shop/echo"]
    await ask(gateway, "agent.register", {"agent_id": "laptop"})
    beaten = await ask(gateway, "agent.heartbeat", {}, "/agents/registered/laptop/api/a2a")
    assert beaten["agent_id"] == "laptop"


@pytest.mark.parametrize(
    ("method", "params", "code", "reason"),
    [
        ("agent.register", {}, -32602, "bad-body"),
        ("agent.register", {"agent_id": "a", "typo": 1}, -32602, "bad-body"),
        ("agent.register", {"agent_id": "a", "metadata": {"x": "\0"}}, -32602, "bad-body"),
        ("agent.register", ["a"], -32602, "INVALID_PARAMS"),
        ("agent.heartbeat", {}, -32602, "bad-body"),
        ("agent.heartbeat", {"agent_id": "absent"}, -32052, "unknown-agent"),
        ("message.send", {"from": "a"}, -32602, "bad-message"),
        ("message.send", {"from": "a", "to": "absent", "content": {"type": "query"}}, -32052, "unknown-agent"),
        ("context.get", {}, -32602, "bad-body"),
        ("context.get", {"context_id": "absent"}, -32052, "unknown-context"),
        ("context.patch", {"context_id": "a", "patch": []}, -32602, "bad-body"),
        ("context.patch", {"context_id": "absent", "patch": {}}, -32052, "unknown-context"),
        ("proposal.create", {"from": "a", "title": "x", "electorate": ["absent"]}, -32052, "unknown-agent"),
        ("proposal.vote", {"proposal_id": "absent", "from": "a", "choice": "yes"}, -32052, "unknown-proposal"),
    ],
    ids=str,
)
async def test_what_the_endpoint_refuses_is_an_error_with_its_reason(
    gateway: World, method: str, params: Any, code: int, reason: str
) -> None:
    error = await ask(gateway, method, params)
    assert (error["code"], error["data"]["reason"]) == (code, reason)


async def test_only_a_method_that_needs_no_agent_goes_without(gateway: World) -> None:
    for body in ({"jsonrpc": "2.0", "id": 1, "method": "agent.discover"}, {"jsonrpc": "2.0", "method": ["x"]}):
        answer = await gateway.request("POST", "/a2a", json=body, headers={"A2A-Version": "1.0"})
        assert (answer.status, (await answer.json())["type"]) == (400, "urn:lambdaagent:problem:no-agent")
    body = {"id": 7, "method": "context.get"}
    answer = await gateway.request("POST", "/a2a", json=body, headers={"A2A-Version": "1.0"})
    assert (await answer.json())["error"]["code"] == -32600


async def test_rights_are_those_of_the_endpoints(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    rules = {"issuers": [issuer.configured()], "registrars": ["corp:ann"]}
    async with guarded(tmp_path / "access.yaml", rules) as gateway:
        gateway.agent(url=container.url, access={"grants": [{"principals": ["corp:ann", "corp:bob"]}]})

        async def call(method: str, params: Any, path: str, **headers: str) -> tuple[int, Any]:
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            answer = await gateway.request("POST", path, json=body, headers=headers)
            found = await answer.json()
            return answer.status, found.get("error", {}).get("data", {}).get("reason", "")

        ann, bob, eve = (of(issuer, name) for name in ("ann", "bob", "eve"))
        new: dict[str, Any] = {"agent_id": "laptop"}
        forged = {"from": "laptop", "to": "shop/echo", "content": {"type": "query"}}
        for path in PATHS:
            assert (await call("agent.register", new, path))[0] == 401
            assert await call("agent.register", new, path, **bob) == (403, "forbidden")
            assert await call("agent.register", new, path, **ann) == (200, "")
            assert await call("message.send", forged, path, **bob) == (403, "foreign-sender")
            assert await call("agent.heartbeat", new, path, **bob) == (200, "unknown-agent")
        assert (await call("context.get", {"context_id": "x"}, OWN, **eve))[0] == 404
        own = {"from": "corp:eve", "to": "shop/echo", "content": {"type": "query"}}
        assert await call("message.send", own, UNIFIED, **eve) == (200, "unknown-agent")
