"""The address that is dialled is the one that is checked, however the URL names it: a canary here sees no connection.

Each way to the canary works with a session that checks nothing, so a refusal is the check's own doing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from tests.parts.http_servers import serving

from lambdaagent.a2a.push import PushConfig
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.address_check import Address, Check, ForbiddenAddressError
from lambdaagent.webhooks.push_request import HttpPushNotifier, PushRefusedError

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
STRICT = address_check.public()("hook.example")


def anything(_: Address) -> None:
    """A check that lets every address pass."""


@dataclass
class Canary:
    port: int
    connections: int = 0


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    """Counts the connections that it gets on 127.0.0.1, whatever is sent."""
    made = Canary(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        while await reader.read(64 * 1024):  # it keeps the connection, if the client does
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


class Changing(dict[str, Any]):
    """An answer whose address is another one each time that it is read, as with a name server that rebinds a name."""

    def __init__(self, answers: list[str], rest: dict[str, Any]) -> None:
        super().__init__(rest)
        self._answers = answers

    def __getitem__(self, key: str) -> Any:
        if key != "host":
            return super().__getitem__(key)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@dataclass
class Names(AbstractResolver):
    """A name server in this process: the addresses of every name; of each address, those of its further readings."""

    addresses: list[list[str]]
    asked: list[str] = field(default_factory=list)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            Changing(  # type: ignore[misc]
                list(each),
                {
                    "hostname": host,
                    "port": port,
                    "family": socket.AF_INET6 if ":" in each[0] else socket.AF_INET,
                    "proto": 0,
                    "flags": 0,
                },
            )
            for each in self.addresses
        ]

    async def close(self) -> None:
        pass


async def call(url: str, check: Check, resolver: AbstractResolver | None = None) -> int:
    async with (
        address_check.session(check, seconds=5, resolver=resolver) as session,
        session.post(url, data=b"{}", allow_redirects=False) as response,
    ):
        return response.status


async def refused(url: str, resolver: AbstractResolver | None = None) -> ForbiddenAddressError:
    with pytest.raises((aiohttp.ClientError, OSError)) as raised:
        await call(url, STRICT, resolver)
    found = address_check.refusal(raised.value)
    assert found is not None, raised.value
    return found


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "0x7f.1", "0x7f.0.0.1", "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
        "127\u30020\u30020\u30021", "[::ffff:127.0.0.1]",
    ],
)  # fmt: skip
async def test_every_notation_of_this_machine_is_refused(host: str, canary: Canary) -> None:
    url = f"http://{host}:{canary.port}/"
    assert await call(url, anything) == 200
    assert canary.connections == 1
    await refused(url)
    assert canary.connections == 1


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1", "0", "127.0.0.1.", "0x7f000001"])
async def test_other_numbers_reach_nothing_either(host: str, canary: Canary) -> None:
    with pytest.raises((aiohttp.ClientError, OSError, ValueError)):
        await call(f"http://{host}:{canary.port}/", STRICT)
    assert canary.connections == 0


@pytest.mark.parametrize("zone", ["%25lo", "%251", ""])
async def test_a_zone_does_not_hide_an_address(zone: str) -> None:
    found = await refused(f"http://[fe80::1{zone}]:1/")
    assert "fe80::1" in str(found)


async def test_an_answer_that_changes_after_its_check_is_checked_again(canary: Canary) -> None:
    url = f"http://hook.example:{canary.port}/"
    assert await call(url, anything, Names([["1.1.1.1", "127.0.0.1"]])) == 200
    names = Names([["1.1.1.1", "127.0.0.1"]])
    found = await refused(url, names)
    assert "127.0.0.1" in str(found)
    assert (names.asked, canary.connections) == (["hook.example"], 1)


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1", "1.1.1.1"], ["1.1.1.1", "127.0.0.1"], ["2606:4700::1", "127.0.0.1"]]
)
async def test_a_name_with_one_private_address_is_refused_as_a_whole(addresses: list[str], canary: Canary) -> None:
    await refused(f"http://hook.example:{canary.port}/", Names([[each] for each in addresses]))
    assert canary.connections == 0


async def test_each_of_several_addresses_is_checked_where_it_is_dialled(canary: Canary) -> None:
    rebound = [["1.1.1.1", "127.0.0.1"], ["2606:4700::1", "::ffff:127.0.0.1"], ["1.0.0.1", "127.0.0.2"]]
    await refused(f"http://hook.example:{canary.port}/", Names(rebound))
    assert canary.connections == 0


async def test_every_call_resolves_and_dials_anew(canary: Canary) -> None:
    allowed = address_check.public(allowed=[LOOPBACK])("hook.example")
    names = Names([["127.0.0.1"]])
    url = f"http://hook.example:{canary.port}/"
    async with address_check.session(allowed, seconds=5, resolver=names) as session:
        for _ in range(2):
            async with session.post(url, data=b"{}") as response:
                assert response.status == 200
        names.addresses = [["169.254.169.254"]]
        with pytest.raises(aiohttp.ClientConnectorError) as raised:
            await session.post(url, data=b"{}")
        assert address_check.refusal(raised.value) is not None
    assert canary.connections == 2


async def test_a_proxy_of_the_environment_is_not_used(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(aiohttp.ClientConnectorError) as raised:
        await call("http://10.1.2.3/", address_check.public(allowed=[LOOPBACK])("10.1.2.3"))  # the proxy may be called
    assert address_check.refusal(raised.value) is not None
    assert canary.connections == 0


async def test_a_redirect_inside_is_not_followed(canary: Canary) -> None:
    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.2:{canary.port}/")

    app = web.Application()
    app.add_routes([web.post("/", moved)])
    async with serving(app) as url:
        notifier = HttpPushNotifier(address_check.public(allowed=[LOOPBACK]))
        with pytest.raises(PushRefusedError, match="answered 307"):
            await notifier.post(PushConfig(url=url), content_type="application/json", body=b"{}")
    assert canary.connections == 0


async def test_a_trusted_name_is_trusted_for_its_own_notification_alone() -> None:
    """The resolver of the system knows localhost; that trusted names never lead to loopback is tested elsewhere."""
    seen: list[tuple[str, str]] = []

    def check_of(host: str) -> Check:
        def check(address: Address) -> None:
            seen.append((host, str(address)))
            raise ForbiddenAddressError("no")

        return check

    notifier = HttpPushNotifier(check_of)
    for url in ("http://localhost:1/", "http://127.0.0.1:1/"):
        with pytest.raises(PushRefusedError) as raised:
            await notifier.post(PushConfig(url=url), content_type="application/json", body=b"{}")
        assert raised.value.final
    assert {host for host, _ in seen} == {"localhost", "127.0.0.1"}
    assert seen[-1] == ("127.0.0.1", "127.0.0.1")
