"""The shortest way through access: a token is verified, a grant admits, tasks belong to their caller."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.parts.access import bearer, guarded, of
from tests.parts.gateway import World, message
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

from lambdaagent.access.rules import Mode
from lambdaagent.identity import api_keys

ECHO = "/agents/shop/echo/api/a2a"
KEY = api_keys.create("ci")
GRANTS = [{"principals": ["corp:alice", "corp:bob", "key:ci"]}]


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    keys = [{"id": "ci", "sha256": api_keys.hash_of(KEY)}]
    file = {"issuers": [issuer.configured()], "apiKeys": keys, "admins": ["corp:root"]}
    async with guarded(tmp_path / "access.yaml", file) as world:
        world.agent(url=container.url, access={"grants": GRANTS})
        yield world


async def test_a_granted_caller_sends_a_message_and_reads_its_task(gateway: World, issuer: Issuer) -> None:
    alice, bob, root = of(issuer), of(issuer, "bob"), of(issuer, "root")
    task = (await gateway.rpc("SendMessage", {"message": message()}, **alice))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert (await gateway.rpc("GetTask", {"id": task["id"]}, **alice))["result"] == task
    stored = await gateway.store.get(task["id"])
    assert stored is not None and stored.owner == "corp:alice"

    others = await gateway.rpc("GetTask", {"id": task["id"]}, **bob)
    absent = await gateway.rpc("GetTask", {"id": "0" * 36}, **bob)
    assert others["error"]["code"] == absent["error"]["code"] == -32001
    assert others["error"]["message"].replace(task["id"], "") == absent["error"]["message"].replace("0" * 36, "")

    assert (await gateway.rpc("ListTasks", {}, **bob))["result"]["tasks"] == []
    assert [each["id"] for each in (await gateway.rpc("ListTasks", {}, **root))["result"]["tasks"]] == [task["id"]]
    assert (await gateway.rpc("GetTask", {"id": task["id"]}, **root))["result"] == task


async def test_an_api_key_is_a_credential_in_either_header(gateway: World) -> None:
    for headers in (bearer(KEY), {"X-API-Key": KEY}):
        response = await gateway.request("POST", f"{ECHO}/skills/say", json={"text": "hi"}, headers=headers)
        assert response.status == 200


async def test_nobody_learns_of_an_agent_that_it_may_not_call(gateway: World, issuer: Issuer) -> None:
    for headers, status in (({}, 401), (of(issuer, "eve"), 404)):
        there = await gateway.request("POST", ECHO, json={}, headers=headers)
        absent = await gateway.request("POST", ECHO.replace("echo", "none"), json={}, headers=headers)
        assert (there.status, absent.status) == (status, status)
        assert _plain(there.body, "echo", there.headers) == _plain(absent.body, "none", absent.headers)
    listed = await gateway.request("GET", "/agents", headers=of(issuer, "eve"))
    assert (await listed.json())["agents"] == []
    assert listed.headers["Cache-Control"] == "private"
    assert len((await (await gateway.request("GET", "/agents", headers=of(issuer))).json())["agents"]) == 1


async def test_a_request_without_a_credential_is_told_where_to_get_one(gateway: World) -> None:
    response = await gateway.request("POST", ECHO, json={})
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="lambdaagent"')
    assert f'resource_metadata="{gateway.url}/.well-known/oauth-protected-resource/agents/shop/echo"' in challenge


async def test_a_mode_of_audit_lets_everybody_in(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    async with guarded(tmp_path / "a.yaml", {"issuers": [issuer.configured()]}, mode=Mode.AUDIT) as world:
        world.agent(url=container.url)
        assert (await world.rpc("SendMessage", {"message": message()}))["result"]
        assert (await world.rpc("SendMessage", {"message": message()}, **bearer("nonsense")))["result"]
        task = (await world.rpc("SendMessage", {"message": message()}, **of(issuer)))["result"]["task"]
        stored = await world.store.get(task["id"])
        assert stored is not None and stored.owner == "corp:alice"


def _plain(body: bytes, name: str, headers: object) -> bytes:
    return body.replace(name.encode(), b"").replace(str(headers["X-Request-Id"]).encode(), b"")  # type: ignore[index]
