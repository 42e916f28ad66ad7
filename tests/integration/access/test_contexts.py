"""Two callers that choose the same context id share nothing at the container."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.parts.access import guarded, of
from tests.parts.gateway import World, message
from tests.parts.http_servers import Response
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent, Seen

GRANTS = {"grants": [{"principals": ["corp:alice", "corp:bob"]}]}
CONTEXT, SKILL = "ce-a2acontextid", "/agents/shop/echo/api/a2a/skills/say"


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "ceiling": {"allowPublic": True}, "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file) as world:
        world.agent(url=container.url, access=GRANTS)
        yield world


async def test_each_caller_has_its_own_context_and_keeps_it(
    gateway: World, issuer: Issuer, container: PlainAgent
) -> None:
    for subject in ("alice", "bob", "alice"):
        sent = {"message": message(contextId="mine")}
        task = (await gateway.rpc("SendMessage", sent, **of(issuer, subject)))["result"]["task"]
        assert task["contextId"] == "mine"
    alice, bob, again = (seen.headers[CONTEXT] for seen in container.seen)
    assert alice == again
    assert len({alice, bob, "mine"}) == 3
    for seen in container.seen:  # the whole message is in the body
        assert json.loads(seen.body)["message"]["contextId"] == seen.headers[CONTEXT]
    listed = await gateway.rpc("ListTasks", {"contextId": "mine"}, **of(issuer, "bob"))
    assert listed["result"]["totalSize"] == 1


async def test_an_anonymous_caller_of_a_public_agent_cannot_name_the_context_of_another(
    gateway: World, issuer: Issuer, container: PlainAgent
) -> None:
    gateway.agent(url=container.url, access={**GRANTS, "public": True})
    await gateway.rpc("SendMessage", {"message": message(contextId="mine")}, **of(issuer))
    derived = container.seen[-1].headers[CONTEXT]
    await gateway.rpc("SendMessage", {"message": message(contextId=derived)})
    assert container.seen[-1].headers[CONTEXT] not in ("mine", derived)


async def test_the_context_of_a_direct_call_goes_on_with_a_message(
    gateway: World, issuer: Issuer, container: PlainAgent
) -> None:
    def accept(seen: Seen) -> Response:
        return 202, {}, b""

    container.respond = accept
    answer = await gateway.request("POST", SKILL, json={"text": "x"}, headers=of(issuer))
    assert answer.status == 202
    task = await answer.json()
    container.respond = None
    await gateway.rpc("SendMessage", {"message": message(contextId=task["contextId"])}, **of(issuer))
    direct, following = (seen.headers[CONTEXT] for seen in container.seen)
    assert direct == following != task["contextId"]
