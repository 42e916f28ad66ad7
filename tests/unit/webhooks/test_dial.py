"""Sockets of calls to external agents: of a host's addresses, each is checked before one is dialled."""

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest

from lambdaagent.httpclient.errors import ConnectError
from lambdaagent.webhooks import address_check

CHECK = address_check.public(allowed=[ip_network("127.0.0.0/8")])


@pytest.fixture
async def listening() -> AsyncIterator[tuple[int, list[str]]]:
    """Yields the port of a server on 127.0.0.1, and the addresses from which it was reached."""
    reached: list[str] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("peername")[0])
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], reached
    server.close()
    await server.wait_closed()


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def found(_host: Any, port: Any, *_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


async def test_the_next_address_is_tried(listening: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "127.0.0.2", "127.0.0.1")  # nobody listens at the first one
    made = await address_check.dial("agents.example.com", listening[0], check=CHECK)
    assert made.getpeername() == ("127.0.0.1", listening[0])
    made.close()


async def test_one_forbidden_address_refuses_the_name_as_a_whole(
    listening: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, "127.0.0.1", "169.254.169.254")
    with pytest.raises(ConnectError, match=r"169\.254\.169\.254 is link-local"):
        await address_check.dial("agents.example.com", listening[0], check=CHECK)
    await asyncio.sleep(0.05)
    assert listening[1] == []


async def test_where_nobody_listens_the_last_reason_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "127.0.0.2", "127.0.0.3")
    with pytest.raises(ConnectionRefusedError):
        await address_check.dial("agents.example.com", 1, check=CHECK)
