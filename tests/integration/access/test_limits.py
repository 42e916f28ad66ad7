"""Rates of requests: of a peer, of a caller, for an agent, and of a caller at an agent."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import guarded, of
from tests.parts.gateway import World, message, skill, world
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

from lambdaagent.access.rules import Mode
from lambdaagent.clock import Clock, random_uuid

FEW = {"requestsPerMinute": 1, "burst": 2}
SAY = "/agents/shop/{}/api/a2a/skills/say"
GRANTS = [{"groups": ["corp:staff"]}]
STILL = Clock(now=lambda: 1_800_000_000.0, new_id=random_uuid)


def staff(issuer: Issuer, name: str) -> dict[str, str]:
    now = int(STILL.now())
    return of(issuer, name, groups=["staff"], iat=now, exp=now + 300)


async def statuses(gateway: World, headers: dict[str, str], agent: str = "echo", times: int = 3) -> list[int]:
    return [
        (await gateway.request("POST", SAY.format(agent), json={"text": "x"}, headers=headers)).status
        for _ in range(times)
    ]


@pytest.mark.parametrize(
    ("limits", "other_caller", "other_agent"),
    [({"perPeer": FEW}, 429, 429), ({"perPrincipal": FEW}, 200, 429), ({"perAgent": FEW}, 429, 200)],
    ids=["of a peer", "of a caller", "of an agent"],
)
async def test_the_access_file_limits(
    tmp_path: Path, issuer: Issuer, container: PlainAgent, limits: Any, other_caller: int, other_agent: int
) -> None:
    file = {"issuers": [issuer.configured()], "limits": limits, "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file, clock=STILL) as gateway:
        for name in ("echo", "other"):
            gateway.agent(name, url=container.url, access={"grants": GRANTS})
        alice, bob = staff(issuer, "alice"), staff(issuer, "bob")
        assert await statuses(gateway, alice) == [200, 200, 429]
        assert await statuses(gateway, bob, times=1) == [other_caller]
        assert await statuses(gateway, alice, "other", times=1) == [other_agent]
        refused = await gateway.request("POST", SAY.format("echo"), json={}, headers=alice)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "60")
        assert refused.headers["RateLimit"] == '"requests";r=0;t=60'
        assert len(container.seen) == 2 + (other_caller == 200) + (other_agent == 200)


async def test_an_agent_limits_each_of_its_callers(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file, clock=STILL) as gateway:
        gateway.agent(url=container.url, access={"grants": GRANTS}, limits=FEW)
        assert await statuses(gateway, staff(issuer, "alice")) == [200, 200, 429]
        assert await statuses(gateway, staff(issuer, "bob")) == [200, 200, 429]


async def test_without_access_control_all_are_one_caller(container: PlainAgent) -> None:
    async with world(clock=STILL) as gateway:
        gateway.agent(url=container.url, limits={"requestsPerMinute": 1, "burst": 2})
        assert await statuses(gateway, {}) == [200, 200, 429]


GARBAGE = {"Authorization": "Bearer garbage"}


async def test_a_source_of_refused_credentials_waits_and_others_do_not(
    tmp_path: Path, issuer: Issuer, container: PlainAgent
) -> None:
    limits = {"refusedCredentials": {"requestsPerMinute": 60, "burst": 3}}
    file = {"issuers": [issuer.configured()], "limits": limits, "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file, clock=STILL) as gateway:
        gateway.agent(url=container.url, access={"grants": GRANTS})
        known, new = staff(issuer, "alice"), staff(issuer, "bob")
        assert await statuses(gateway, known, times=1) == [200]
        assert await statuses(gateway, GARBAGE, times=5) == [401, 401, 401, 429, 429]
        assert await statuses(gateway, known) == [200, 200, 200]
        assert await statuses(gateway, new, times=1) == [429]
        assert await statuses(gateway, {}, times=1) == [401]  # none at all costs nothing
        behind = {**GARBAGE, "X-Forwarded-For": "10.0.0.1, 10.0.0.2"}
        assert await statuses(gateway, behind, times=4) == [401, 401, 401, 429]
        assert await statuses(gateway, {**new, "X-Forwarded-For": "10.0.0.3"}, times=1) == [200]


@pytest.mark.parametrize(
    ("trusted", "forwarded", "second"),
    [
        (True, ["10.0.0.1", "10.0.0.2"], 401),
        (True, ["10.9.9.9, 10.0.0.1", "10.9.9.9, 10.0.0.2"], 401),
        (True, ["10.0.0.1", "10.9.9.9, 10.0.0.1"], 429),
        (True, ["::1", "0:0:0:0:0:0:0:1"], 429),
        (True, ["no address", "none either"], 429),
        (False, ["10.0.0.1", "10.0.0.2"], 429),
    ],
)
async def test_a_peer_is_the_client_of_a_trusted_proxy(
    tmp_path: Path, trusted: bool, forwarded: list[str], second: int
) -> None:
    file = {"limits": {"perPeer": {"requestsPerMinute": 1, "burst": 1}}, "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file, clock=STILL, trust_forwarded=trusted) as gateway:
        found = [await statuses(gateway, {"X-Forwarded-For": each}, times=1) for each in forwarded]
    assert found == [[401], [second]]


RPC = "/agents/shop/echo/api/a2a"


async def sent(gateway: World, headers: dict[str, str], skill_id: str | None = None, **more: Any) -> int:
    """Sends a message and returns the HTTP status."""
    metadata = {"metadata": {"skillId": skill_id}} if skill_id else {}
    params = {"message": message(**metadata), **more}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
    return (await gateway.request("POST", RPC, json=body, headers={"A2A-Version": "1.0", **headers})).status


@pytest.mark.parametrize("access", [True, False], ids=["with access control", "without"])
async def test_a_skill_has_a_rate_of_its_own(
    tmp_path: Path, issuer: Issuer, container: PlainAgent, access: bool
) -> None:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    mode = Mode.ENFORCE if access else Mode.OFF
    async with guarded(tmp_path / "access.yaml", file, mode=mode, clock=STILL) as gateway:
        skills = [skill("say", limits={"requestsPerMinute": 1, "burst": 2}), skill("sing")]
        gateway.agent(url=container.url, access={"grants": GRANTS}, skills=skills)
        alice, bob = staff(issuer, "alice"), staff(issuer, "bob")
        assert [await sent(gateway, alice, "say") for _ in range(2)] == [200, 200]
        assert await sent(gateway, alice, "say") == 429
        assert await statuses(gateway, alice, times=1) == [429]
        assert await sent(gateway, alice, "sing") == 200
        assert await sent(gateway, bob, "say") == (200 if access else 429)


async def test_a_follow_up_counts_once(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    asks = {"status": {"state": "TASK_STATE_INPUT_REQUIRED"}}
    container.respond = lambda _: (200, {"Content-Type": "application/a2a+json"}, json.dumps(asks).encode())
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file, clock=STILL) as gateway:
        few = [skill("say", limits={"requestsPerMinute": 1, "burst": 3})]
        gateway.agent(url=container.url, access={"grants": GRANTS}, skills=few)
        alice = staff(issuer, "alice")
        task = (await gateway.rpc("SendMessage", {"message": message()}, **alice))["result"]["task"]
        following = {"message": message(taskId=task["id"], messageId="m-2")}
        answer = await gateway.rpc("SendMessage", following, **alice)
        assert "result" in answer, answer
        assert await sent(gateway, alice, "say") == 200
        assert await sent(gateway, alice, "say") == 429


@pytest.mark.parametrize("database", [False, True], ids=["in memory", "in SQLite"])
async def test_a_caller_has_so_many_tasks_at_once(
    tmp_path: Path, issuer: Issuer, container: PlainAgent, database: bool
) -> None:
    container.respond = lambda _: (202, {}, b"")
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    stored = tmp_path / "tasks.db" if database else None
    async with guarded(tmp_path / "access.yaml", file, database=stored) as gateway:
        gateway.agent(url=container.url, access={"grants": GRANTS}, limits={"concurrentTasks": 2})
        alice, bob = of(issuer, groups=["staff"]), of(issuer, "bob", groups=["staff"])
        at_once = {"configuration": {"returnImmediately": True}}
        found = await asyncio.gather(*(sent(gateway, alice, **at_once) for _ in range(8)))
        assert sorted(found) == [200, 200] + [429] * 6
        assert await statuses(gateway, alice, times=1) == [429]
        assert await statuses(gateway, bob) == [202, 202, 429]
        listed = (await gateway.rpc("ListTasks", {}, **alice))["result"]["tasks"]
        await gateway.rpc("CancelTask", {"id": listed[0]["id"]}, **alice)
        assert await statuses(gateway, alice, times=2) == [202, 429]
        answer = await gateway.request("POST", SAY.format("echo"), json={}, headers=alice)
        assert answer.headers["Retry-After"]
        assert "2 tasks of this caller" in (await answer.json())["detail"]
