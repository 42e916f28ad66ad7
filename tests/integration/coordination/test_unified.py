"""`POST /a2a`: each protocol is answered in its own form, whatever the agent's container speaks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import guarded, of
from tests.parts.gateway import World, message, world
from tests.parts.issuer import Issuer
from tests.parts.mcp_host import Host, said
from tests.parts.upstream import PlainAgent


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=container.url)
        found.agent("twin", url=container.url)
        found.agent("twin", namespace="bank", url=container.url)
        yield found


def told(text: str = "hello", to: str = "shop/echo", **more: Any) -> dict[str, Any]:
    return {"from": "me", "to": to, "content": {"type": "query", "data": {"query": text}}, **more}


async def post(gateway: World, body: Any, query: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    found = await gateway.request("POST", f"/a2a{query}", json=body, headers=headers)
    return found.status, await found.json()


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_mcp_is_served_as_at_its_own_endpoint(gateway: World, version: str) -> None:
    host = Host(gateway.session, gateway.url + "/a2a", version)
    assert "hello" in said(await host.call("shop__echo__say"))


@pytest.mark.parametrize(
    ("method", "version"), [("SendMessage", "1.0"), ("message/send", "0.3"), ("SendMessage", None)]
)
async def test_a2a_is_served_for_the_agent_of_the_query(gateway: World, method: str, version: str | None) -> None:
    sent = (
        message()
        if method == "SendMessage"
        else {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hello"}]}
    )
    answer = await gateway.rpc(method, {"message": sent}, path="/a2a?agent=shop/echo", version=version)
    assert "hello" in str(answer["result"])


async def test_a2a_without_an_agent_says_how_to_name_one(gateway: World) -> None:
    status, problem = await post(gateway, {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {}})
    assert (status, problem["type"]) == (400, "urn:lambdaagent:problem:no-agent")


async def test_events_go_to_the_namespace_of_the_query(gateway: World) -> None:
    queue = gateway.broker.bind("shop/shared", "made.up")
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "made.up", "ce-source": "/t"}
    for query in ("?namespace=shop", "?agent=shop/echo"):
        found = await gateway.request("POST", f"/a2a{query}", data=b"x", headers=headers)
        assert found.status == 202
    assert [event.type for event in queue] == ["made.up", "made.up"]
    refused = await gateway.request("POST", "/a2a", data=b"x", headers=headers)
    assert refused.status == 400


async def test_a_message_is_answered_as_a_message(gateway: World) -> None:
    status, answer = await post(gateway, told(sequence_id=4, conversation_id="c-1", type="agent_message"))
    assert status == 200
    assert (answer["from"], answer["to"], answer["sequence_id"]) == ("shop/echo", "me", 5)
    assert answer["content"]["type"] == "response"
    assert answer["content"]["data"]["you_said"] == "hello"
    assert answer["conversation_id"] == "c-1"
    assert answer["metadata"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_message_that_asks_nothing_is_taken(gateway: World) -> None:
    body = told() | {"content": {"type": "response", "data": {"a": 1}}}
    assert (await post(gateway, body))[0] == 202


async def test_an_agents_capabilities_are_told(gateway: World) -> None:
    status, answer = await post(gateway, told() | {"content": {"type": "capability"}})
    assert status == 200
    declared = answer["content"]["data"]
    assert [each["name"] for each in declared["capabilities"]] == ["say"]
    assert "mcp/2026-07-28" in declared["protocols"]


async def test_a_name_means_the_one_agent_that_has_it(gateway: World) -> None:
    assert (await post(gateway, told(to="echo")))[0] == 200
    status, problem = await post(gateway, told(to="twin"))
    assert status == 400
    assert "bank/twin, shop/twin" in problem["detail"]


@pytest.mark.parametrize(
    "more",
    [
        {"to": "shop/absent"}, {"to": "../x"}, {"to": 5}, {"from": ""}, {"from": "a\nb"}, {"content": {}},
        {"content": {"type": "query", "data": []}}, {"sequence_id": True}, {"sequence_id": -1}, {"version": "2.0"},
        {"conversation_id": "x" * 300}, {"metadata": 5}, {"metadata": {"skill_id": 5}},
        {"metadata": {"skill_id": "absent"}},
    ],
)  # fmt: skip
async def test_a_message_that_is_none_is_refused(gateway: World, more: dict[str, Any]) -> None:
    status, problem = await post(gateway, told() | more)
    assert status in (400, 404, 422)
    assert problem["detail"]


@pytest.mark.parametrize("body", [[], "x", {}, {"a": 1}, 5])
async def test_what_is_of_no_protocol_is_said_so(gateway: World, body: Any) -> None:
    status, problem = await post(gateway, body)
    assert (status, problem["type"]) == (400, "urn:lambdaagent:problem:unknown-protocol")


async def test_who_sends_says_who_it_is(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        gateway.agent(url=container.url, access={"grants": [{"principals": ["corp:alice"]}]})
        status, _ = await post(gateway, told() | {"from": "corp:alice"}, **of(issuer, "alice"))
        assert status == 200
        for sender in ("shop/other", "alice"):  # an agent may have the name of a person of an issuer
            status, problem = await post(gateway, told() | {"from": sender}, **of(issuer, "alice"))
            assert (status, problem["type"]) == (403, "urn:lambdaagent:problem:foreign-sender")
        status, _ = await post(gateway, told() | {"from": "corp:carol"}, **of(issuer, "carol"))
        assert status == 404, "who may not know of the agent is not told that it is there"
        status, _ = await post(gateway, told())
        assert status == 401
