"""A gateway for its own machine refuses the pages of others, whatever address they found it under."""

from collections.abc import AsyncIterator

import pytest
from tests.parts.gateway import World, world


@pytest.fixture
async def local() -> AsyncIterator[World]:
    async with world(local_only=True) as made:
        made.agent(url=None)
        yield made


async def status(gateway: World, **headers: str) -> int:
    return (await gateway.request("GET", "/agents", headers=headers)).status


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "127.8.9.1", "[::1]:8080", "agent.localhost"]
)
async def test_the_machine_s_own_names_are_served(local: World, host: str) -> None:
    assert await status(local, Host=host) == 200


async def test_an_agent_s_own_host_is_served(local: World) -> None:
    path = "/.well-known/agent-card.json"
    assert (await local.request("GET", path, headers={"Host": "echo-a2a.shop.svc.cluster.local"})).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.1.7",
        "[fe80::1]",
        "x@localhost",
        "localhost:x",
    ],
)
async def test_other_hosts_are_refused(local: World, host: str) -> None:
    assert await status(local, Host=host) == 403


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8080", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
        ("", 403),
        ("file://", 403),
        ("file://localhost", 403),
        ("http://[", 403),
        ("http://echo-a2a.shop", 403),
    ],
)
async def test_pages_of_others_are_refused(local: World, origin: str, expected: int) -> None:
    assert await status(local, Origin=origin) == expected


async def test_elsewhere_every_host_is_served() -> None:
    async with world() as made:
        assert await status(made, Host="gateway.example", Origin="https://evil.example") == 200
