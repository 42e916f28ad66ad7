"""A stream ends when its caller may no longer read it: a right, an agent or a credential is taken away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.streaming import events
from tests.parts.access import bearer, guarded, of, write
from tests.parts.gateway import World, message
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import TalkingAgent, talking_agent

from lambdaagent.access.rules import Mode
from lambdaagent.gateway.access import loading
from lambdaagent.gateway.http.sse import Streams
from lambdaagent.identity import api_keys

KEY = api_keys.create("ci")
GRANTS = [{"principals": ["corp:alice", "key:ci"]}]


@pytest.fixture
async def container() -> AsyncIterator[TalkingAgent]:
    async with talking_agent() as agent:
        yield agent


def file_of(issuer: Issuer, *, keys: bool = True) -> dict[str, Any]:
    listed = [{"id": "ci", "sha256": api_keys.hash_of(KEY)}] if keys else []
    return {"issuers": [issuer.configured()], "apiKeys": listed, "audit": {"sink": "none"}}


@pytest.fixture
async def gateway(
    tmp_path: Path, issuer: Issuer, container: TalkingAgent, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(loading, "EVERY", 0.05)
    async with guarded(tmp_path / "access.yaml", file_of(issuer), streams=Streams(ping=0.05)) as world:
        world.agent(url=container.url, access={"grants": GRANTS})
        yield world


async def ended(gateway: World, headers: dict[str, str], withdraw: Callable[[], None]) -> list[Any]:
    """Begins a stream, withdraws the right once it has begun, and returns the data of its events."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": {"message": message()}}
    path = f"{gateway.url}/agents/shop/echo/api/a2a"
    found = []
    async with gateway.session.post(path, json=body, headers={"A2A-Version": "1.0", **headers}) as response:
        assert response.status == 200
        async with asyncio.timeout(20):
            async for event in events(response):
                if not found:
                    withdraw()
                found.append(event.data)
    return found


def denied(last: Any) -> bool:
    return bool(last.get("error", {}).get("code") == -32000)


async def test_a_grant_that_is_taken_away(gateway: World, issuer: Issuer, container: TalkingAgent) -> None:
    others = [{"principals": ["corp:bob"]}]
    found = await ended(gateway, of(issuer), lambda: _replace(gateway, container, others))
    assert denied(found[-1])


async def test_the_right_to_the_tasks_of_others(
    gateway: World, issuer: Issuer, container: TalkingAgent, tmp_path: Path
) -> None:
    """A caller who may still call the agent, and is no administrator any more, follows its own tasks only."""
    write(tmp_path / "access.yaml", file_of(issuer) | {"admins": ["corp:root"]})
    _replace(gateway, container, [*GRANTS, {"principals": ["corp:root"]}])
    path, root = f"{gateway.url}/agents/shop/echo/api/a2a", of(issuer, "root")
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": {"message": message()}}
    async with gateway.session.post(path, json=body, headers={"A2A-Version": "1.0", **of(issuer)}) as begun:
        task_id = (await anext(events(begun))).data["result"]["task"]["id"]

        async def follows() -> bool:
            return "result" in await gateway.rpc("GetTask", {"id": task_id}, **root)

        await eventually(follows)
        body = {"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": task_id}}
        async with gateway.session.post(path, json=body, headers={"A2A-Version": "1.0", **root}) as response:
            stream = events(response)
            assert (await anext(stream)).data["result"]["task"]["id"] == task_id
            write(tmp_path / "access.yaml", file_of(issuer))
            async with asyncio.timeout(20):
                assert denied([event.data async for event in stream][-1])
        assert (await gateway.rpc("ListTasks", {}, **root))["result"]["tasks"] == []


async def test_a_deleted_agent(gateway: World, issuer: Issuer) -> None:
    assert denied((await ended(gateway, of(issuer), lambda: gateway.directory.remove("shop", "echo")))[-1])


async def test_a_key_that_is_revoked(gateway: World, issuer: Issuer, tmp_path: Path) -> None:
    found = await ended(gateway, bearer(KEY), lambda: write(tmp_path / "access.yaml", file_of(issuer, keys=False)))
    assert denied(found[-1])


async def test_a_key_that_loses_its_group(
    gateway: World, issuer: Issuer, container: TalkingAgent, tmp_path: Path
) -> None:
    """The credential is still valid, and is that of a principal with fewer rights."""
    grouped = file_of(issuer)
    grouped["apiKeys"][0]["groups"] = ["builders"]
    before = gateway.guard.state
    write(tmp_path / "access.yaml", grouped)
    await eventually(lambda: gateway.guard.state is not before)
    _replace(gateway, container, [{"groups": ["builders"]}])
    assert denied((await ended(gateway, bearer(KEY), lambda: write(tmp_path / "access.yaml", file_of(issuer))))[-1])


async def test_the_list_of_agents_ends_too(gateway: World, issuer: Issuer, tmp_path: Path) -> None:
    headers = {**bearer(KEY), "Accept": "text/event-stream"}
    async with gateway.session.get(f"{gateway.url}/agents", headers=headers) as response, asyncio.timeout(20):
        stream = events(response)
        assert len((await anext(stream)).data["agents"]) == 1
        write(tmp_path / "access.yaml", file_of(issuer, keys=False))
        assert [event.event async for event in stream] == ["revoked"]


async def test_others_go_on(gateway: World, issuer: Issuer, container: TalkingAgent) -> None:
    """Rules that still admit the caller do not end its stream."""
    assert gateway.guard.mode is Mode.ENFORCE

    def widen() -> None:
        _replace(gateway, container, [*GRANTS, {"principals": ["corp:bob"]}])

    task = asyncio.create_task(ended(gateway, of(issuer), widen))
    await asyncio.sleep(0.3)  # several pings
    assert not task.done()
    await eventually(lambda: gateway.streams.open == 1)
    task.cancel()
    await asyncio.wait([task])


def _replace(gateway: World, container: TalkingAgent, grants: list[dict[str, Any]]) -> None:
    gateway.agent(url=container.url, access={"grants": grants})
