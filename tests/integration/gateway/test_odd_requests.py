"""Requests that parsers read differently, sent directly to the gateway: the canary in them is never a call.

Both parsers of aiohttp get them: the one in C, and the one in Python, which is used where the extensions are missing.
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import http_parser, web_protocol
from tests.parts.gateway import World, skill
from tests.parts.odd_requests import ODD, SAY, Odd, record
from tests.parts.upstream import PlainAgent

EXTENSIONS = http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy
PARSERS = {"C": http_parser.HttpRequestParser} if EXTENSIONS else {}
PARSERS |= {"Python": http_parser.HttpRequestParserPy}


@pytest.fixture(params=PARSERS)
def called(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, gateway: World, container: PlainAgent
) -> World:
    monkeypatch.setattr(web_protocol, "HttpRequestParser", PARSERS[request.param])
    gateway.agent(url=container.url, skills=[skill("say"), skill("canary")])
    return gateway


async def said(world: World, request: bytes) -> bytes:
    """Returns what the gateway sends until it closes the connection, or has nothing more to say for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(world.url.rpartition(":")[2]))
    found = b""
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            found += await reader.read(1)
        while True:
            async with asyncio.timeout(0.15):
                if not (piece := await reader.read(64 * 1024)):
                    return found
                found += piece
    except TimeoutError:
        return found
    finally:
        writer.close()


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
async def test_a_request_that_parsers_read_differently(
    called: World, container: PlainAgent, monkeypatch: pytest.MonkeyPatch, odd: Odd
) -> None:
    found = record(monkeypatch)
    answer = await said(called, odd.request)
    assert int(answer.split(b" ", 2)[1]) in odd.direct
    assert len(re.findall(rb"HTTP/1\.[01] \d{3} ", answer)) <= 1 + odd.has_a_second
    if not odd.has_a_second:
        assert all(each.target == odd.request.split()[1].decode() for each in found.received)
        assert len(found.received) <= 1
        assert [each for each in container.seen if b"canary" in each.body] == []


async def test_a_request_of_http_0_9_is_refused(called: World) -> None:
    answer = await said(called, b"GET /healthz\r\n\r\n")
    assert b"malformed-request" in answer


async def test_nothing_is_read_after_a_refusal(called: World, container: PlainAgent) -> None:
    """Also what arrives later, while the connection lingers so that the client gets the refusal."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(called.url.rpartition(":")[2]))
    writer.write(f"POST {SAY} HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n")).split(b" ")[1] == b"400"
    for _ in range(3):
        writer.write(f"POST {SAY} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        assert b"HTTP/1.1 200" not in await reader.read()
    writer.close()
    assert container.seen == []


def test_the_same_without_the_extensions() -> None:
    """In a process of its own, in which aiohttp has no parser in C at all."""
    if not EXTENSIONS:
        return
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(Path(__file__))]
    environment = os.environ | {"AIOHTTP_NO_EXTENSIONS": "1", "PYTEST_ADDOPTS": "--override-ini=addopts="}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(ODD) + 3} passed" in done.stdout
