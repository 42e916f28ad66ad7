"""Rates of requests: of a peer, of a caller, for an agent, and of a caller at an agent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import guarded, of
from tests.parts.gateway import World, world
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent, plain_agent

from lambdaagent.clock import Clock, random_uuid

FEW = {"requestsPerMinute": 1, "burst": 2}
SAY = "/agents/shop/{}/api/a2a/skills/say"
GRANTS = [{"groups": ["corp:staff"]}]
STILL = Clock(now=lambda: 1_800_000_000.0, new_id=random_uuid)


@pytest.fixture
def container() -> Iterator[PlainAgent]:
    with plain_agent() as agent:
        yield agent


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
