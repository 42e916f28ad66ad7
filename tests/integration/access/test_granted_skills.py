"""A grant for some skills: messages and direct calls of others are refused before the container gets them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.integration.gateway.streaming import BASE, TEXT, WAYS, Way
from tests.parts.access import guarded, of
from tests.parts.gateway import Answer, World, message, skill
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

GRANTS = [
    {"principals": ["corp:carol"], "skills": ["say"]},
    {"principals": ["corp:dora"], "skills": ["say", "sing"], "actions": ["read"]},
    {"principals": ["corp:dora"], "skills": ["say"], "actions": ["invoke"]},
    {"principals": ["corp:alice"]},
]


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file) as world:
        world.agent(url=container.url, access={"grants": GRANTS}, skills=[skill("say"), skill("sing")])
        yield world


async def sent(gateway: World, way: Way, operation: str, headers: dict[str, str], skill_id: str | None) -> Answer:
    method, path, body = way.call(operation)
    form = "0.3 REST" if way.name == "0.3 REST" else "1.0" if way.version == "1.0" else "0.3 JSON-RPC"
    said: dict[str, Any] = orjson.loads(orjson.dumps(TEXT[form]))
    if skill_id is not None:
        said["metadata"] = {"skillId": skill_id}
    (body if way.rest else body["params"])["message"] = said
    return await gateway.request(method, path, json=body, headers={"A2A-Version": way.version, **headers})


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("operation", ["send", "stream"])
@pytest.mark.parametrize("caller", ["carol", "dora"])
async def test_a_message_for_another_skill_is_refused(
    gateway: World, issuer: Issuer, container: PlainAgent, way: Way, operation: str, caller: str
) -> None:
    for skill_id in ("sing", None):
        answer = await sent(gateway, way, operation, of(issuer, caller), skill_id)
        assert answer.status == 403, answer.body
        assert b"no grant allows" in answer.body.lower()
    assert container.seen == []
    assert (await sent(gateway, way, operation, of(issuer, caller), "say")).status == 200
    for skill_id in ("say", "sing", None):
        assert (await sent(gateway, way, operation, of(issuer), skill_id)).status == 200
    assert len(container.seen) == 4


@pytest.mark.parametrize("prefer", [{}, {"Prefer": "respond-async"}])
async def test_a_direct_call_of_another_skill_is_refused(
    gateway: World, issuer: Issuer, container: PlainAgent, prefer: dict[str, str]
) -> None:
    headers = {**of(issuer, "carol"), **prefer}
    refused = await gateway.request("POST", f"{BASE}/skills/sing", json={}, headers=headers)
    assert (refused.status, container.seen) == (403, [])
    assert (await gateway.request("POST", f"{BASE}/skills/say", json={}, headers=headers)).status < 300


async def test_a_follow_up_names_no_other_skill(gateway: World, issuer: Issuer, container: PlainAgent) -> None:
    """A task waits for its client, which may not change over to a skill that it may not call."""
    waits = orjson.dumps({"task": {"status": {"state": "TASK_STATE_INPUT_REQUIRED"}}})
    container.respond = lambda _: (200, {"Content-Type": "application/a2a+json"}, waits)
    carol = of(issuer, "carol")
    first = {"message": message(metadata={"skillId": "say"})}
    task = (await gateway.rpc("SendMessage", first, **carol))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    before = len(container.seen)
    follow = message(taskId=task["id"], messageId="m-2", metadata={"skillId": "sing"})
    answer = await gateway.rpc("SendMessage", {"message": follow}, **carol)
    assert "no grant allows" in answer["error"]["message"].lower()
    assert len(container.seen) == before
