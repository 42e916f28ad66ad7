"""Requests that no HTTP client sends, written to a socket byte by byte."""

import asyncio
import contextlib

import orjson
from tests.parts.gateway import World


async def said(world: World, request: bytes, *, more: bytes = b"") -> tuple[int, bytes]:
    """Sends a request on a new connection, then `more` in pieces; returns the status and the whole response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(world.url.rpartition(":")[2]))
    try:
        writer.write(request)
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(more), 32 * 1024):
                writer.write(more[at : at + 32 * 1024])
                await writer.drain()
        async with asyncio.timeout(10):
            answer = await reader.read()
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1]), answer


def problem(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    found: dict[str, object] = orjson.loads(body)
    assert found["requestId"]
    return found


def head(path: str, *lines: str) -> bytes:
    return (
        "".join(f"{line}\r\n" for line in (f"POST {path} HTTP/1.1", "Host: x", "Connection: close", *lines)).encode()
        + b"\r\n"
    )
