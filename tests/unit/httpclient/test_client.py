"""The HTTP client against real sockets: which responses it reads, which it refuses, and how a request ends."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
from tests.parts.authority import authority
from tests.parts.http_client import OK, fetch
from tests.parts.upstream import raw_server, read_request, saying

from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import (
    BadAnswerError,
    ConnectError,
    DroppedError,
    UpstreamError,
    UpstreamTimeoutError,
)
from lambdaagent.httpclient.wire import Target


@pytest.mark.parametrize(
    ("answer", "close", "body"),
    [
        pytest.param([OK], False, b"ok", id="a length"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nTransfer-Enc", b"oding: chunked\r\n\r\n1\r\no\r\n", b"1\r\nk\r\n0\r\n\r\n"],
            False,
            b"ok",
            id="chunks in pieces",
        ),
        pytest.param([b"HTTP/1.0 200 OK\r\n\r\nok"], True, b"ok", id="until the end of the connection"),
        pytest.param([b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n", OK], False, b"ok", id="after an interim answer"),
        pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], False, b"", id="no content"),
    ],
)
async def test_an_answer_is_read_to_its_end(client: HttpClient, answer: list[bytes], close: bool, body: bytes) -> None:
    async with raw_server(saying(*answer, close=close)) as url:
        assert (await fetch(client, url, body=b"x"))[1] == body
        assert (await fetch(client, url, body=b"x"))[1] == body


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        pytest.param(b"", DroppedError, "without answering", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", DroppedError, "middle", id="half of the body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Long: ", DroppedError, "middle", id="half of the head"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            BadAnswerError,
            "other than chunked",
            id="a transfer coding",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\nok",
            BadAnswerError,
            "other than chunked",
            id="an unknown transfer coding",
        ),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", BadAnswerError, "not HTTP", id="another protocol"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
            BadAnswerError,
            "headers over 2000",
            id="endless headers",
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            BadAnswerError,
            "switched|not HTTP",
            id="an upgrade",
        ),
    ],
)
async def test_nonsense_is_an_error_that_says_what_happened(
    client: HttpClient, answer: bytes, error: type[UpstreamError], says: str
) -> None:
    async with raw_server(saying(answer, close=True)) as url:
        with pytest.raises(error, match=says):
            await fetch(client, url)


async def test_a_body_over_the_limit_is_refused(client: HttpClient) -> None:
    async with raw_server(saying(OK)) as url:
        response = await client.request(Target.parse(url), first_byte=5, total=5)
        with pytest.raises(BadAnswerError, match="more than 1 bytes"):
            async with response:
                await response.read(limit=1)


@pytest.mark.parametrize("stray", [b"x", OK], ids=["bytes", "a second answer"])
async def test_a_connection_that_says_more_than_its_answer_is_not_used_again(client: HttpClient, stray: bytes) -> None:
    async with raw_server(saying(OK, stray)) as url:
        for _ in range(3):
            assert (await fetch(client, url))[1] == b"ok"


async def test_a_slow_answer_is_a_timeout_before_its_head_and_in_its_middle(client: HttpClient) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    async def halting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
        await reader.read()

    async with raw_server(silent) as url:
        with pytest.raises(UpstreamTimeoutError, match="did not begin to answer"):
            await fetch(client, url, first_byte=0.02, total=5)
    async with raw_server(halting) as url:
        with pytest.raises(UpstreamTimeoutError, match="did not finish"):
            await fetch(client, url, first_byte=5, total=0.05)


async def test_cancelling_closes_the_connection(client: HttpClient) -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        seen.put_nowait("asked")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        seen.put_nowait("closed")

    async with raw_server(conversation) as url:
        task = asyncio.create_task(fetch(client, url))
        assert await asyncio.wait_for(seen.get(), 20) == "asked"
        task.cancel()
        assert await asyncio.wait_for(seen.get(), 20) == "closed"


async def test_nobody_listening_and_an_unknown_host_are_connect_errors(client: HttpClient) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ConnectError, match="does not accept connections"):
        await fetch(client, url)
    with pytest.raises(ConnectError):
        await fetch(client, "http://no-such-host.invalid")


async def test_after_close_nothing_is_called_and_waiters_are_told(client: HttpClient) -> None:
    await client.close()
    with pytest.raises(UpstreamError, match="stopping"):
        await fetch(client, "http://127.0.0.1:1")


async def test_head_is_not_spoken(client: HttpClient) -> None:
    with pytest.raises(ValueError, match="HEAD"):
        await fetch(client, "http://127.0.0.1:1", method="HEAD")


async def test_tls_is_verified_unless_told_otherwise(tmp_path: Path) -> None:
    made = authority(tmp_path)
    server = await asyncio.start_server(saying(OK), "127.0.0.1", 0, ssl=made.server())
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def trusting() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=made.ca)

    strict, trusted = HttpClient(), HttpClient(tls=trusting)
    with pytest.raises(ConnectError, match=r"(?i)certificate"):
        await fetch(strict, url)
    assert await fetch(trusted, url) == (200, b"ok")
    assert await fetch(trusted, url) == (200, b"ok")
    await strict.close()
    await trusted.close()
    server.close()
    await server.wait_closed()
