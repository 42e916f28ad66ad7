"""Headers that are large, too large, too many or no headers at all: who gets through, and what a refusal says."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs
from tests.integration.gateway.raw import head, problem, said
from tests.parts.gateway import World, message, world
from tests.parts.upstream import PlainAgent, raw_server, read_request

from lambdaagent import probe_server
from lambdaagent.http_server import HEADER_BYTES

ECHO = "/agents/shop/echo"
A2A, SKILL = f"{ECHO}/api/a2a", f"{ECHO}/api/a2a/skills/say"
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "parcel.created"}
SECRET = "s3cr3t"
TOKEN = f"Bearer {SECRET * 4}"


@pytest.mark.parametrize("size", [8_191, 20_000, HEADER_BYTES - len("authorization")])
@pytest.mark.parametrize("path", [SKILL, A2A, f"{ECHO}/.well-known/agent.json", "/agents"])
async def test_a_large_token_does_no_harm(echo: World, path: str, size: int) -> None:
    method = "POST" if "api" in path else "GET"
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message()}}
    answer = await echo.request(
        method, path, headers={"Authorization": "B" * size}, json=body if method == "POST" else None
    )
    assert answer.status == 200


@pytest.mark.parametrize("size", [HEADER_BYTES, 60_000, 200_000, 2_000_000])
@pytest.mark.parametrize(
    ("path", "name", "status", "kind"),
    [
        pytest.param(SKILL, "Authorization", 431, "headers-too-large", id="a token for a skill"),
        pytest.param(A2A, "Cookie", 431, "headers-too-large", id="a cookie for A2A"),
        pytest.param("/nowhere", "X-Mine", 431, "headers-too-large", id="an unknown path"),
        pytest.param(SKILL, "ce-note", 431, "headers-too-large", id="an attribute where no event is taken"),
        pytest.param("/events/shop", "Authorization", 431, "headers-too-large", id="a token with an event"),
        pytest.param("/events/shop", "ce-note", 413, "event-too-large", id="an attribute"),
        pytest.param("/events/shop/from/echo", "Ce-Note", 413, "event-too-large", id="an attribute of an agent's"),
        pytest.param("/events/shop/dead-letters?x=1", "ce-note", 413, "event-too-large", id="of a dead letter"),
    ],
)
async def test_a_header_over_the_limit_is_refused_and_never_repeated(
    echo: World, path: str, name: str, status: int, kind: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    value = f"{TOKEN} {'a' * size}"
    with capture_logs() as lines:
        found, answer = await said(
            echo,
            f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode(),
            more=f"{name}: {value}\r\nContent-Length: 0\r\n\r\n".encode(),
        )
    assert (found, problem(answer)["type"]) == (status, f"urn:lambdaagent:problem:{kind}")
    assert str(HEADER_BYTES).encode() in answer
    assert SECRET not in answer.decode() + str(lines) + caplog.text
    assert f'code="{status}"'.encode() in await (await echo.request("GET", "/metrics")).read()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"x-{number}: {SECRET}" for number in range(200)], id="many"),
        pytest.param([f"x-{number}: {SECRET * 4000}" for number in range(6)], id="large together"),
        pytest.param([f"x-{number}: {SECRET * 4000}" for number in range(60)], id="very large together"),
        pytest.param([f"{SECRET * 12_000}: 1"], id="a long name"),
    ],
)
async def test_headers_are_bounded_together(echo: World, lines: list[str]) -> None:
    status, answer = await said(echo, head("/agents", *lines, "Content-Length: 0"))
    assert (status, problem(answer)["type"]) == (431, "urn:lambdaagent:problem:headers-too-large")
    assert SECRET.encode() not in answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(head(SKILL, f"Authorization: {TOKEN}\x01"), 400, id="a control character"),
        pytest.param(head(SKILL, f"Authorization: {TOKEN}\0"), 400, id="a NUL"),
        pytest.param(head(SKILL, f"Author ization: {TOKEN}"), 400, id="a space in a name"),
        pytest.param(head(SKILL, f" {TOKEN}"), 400, id="a folded line"),
        pytest.param(head(SKILL, f"Content-Length: {SECRET}"), 400, id="a length that is none"),
        pytest.param(head(SKILL, "Content-Length: 1", "Transfer-Encoding: chunked", TOKEN), 400, id="two framings"),
        pytest.param(f"{SECRET} / HTTP/1.1\r\n\r\n".encode(), 400, id="a method that is none"),
        pytest.param(f"GET / HTTP/9.9 {SECRET}\r\n\r\n".encode(), 400, id="a version that is none"),
        pytest.param(f"GET {SECRET} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400, id="a target that is none"),
        pytest.param(f"GET /{SECRET} HTTP/1.1\r\n\r\n".encode(), 400, id="no host"),
        pytest.param(b"\x16\x03\x01" + SECRET.encode() * 20, 400, id="TLS"),
        pytest.param(f"GET /{SECRET * 2000} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 414, id="an endless path"),
        pytest.param(head(SKILL, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 501, id="a transfer coding"),
        pytest.param(head(SKILL, f"Expect: {SECRET}", "Content-Length: 0"), 417, id="an unknown expectation"),
    ],
)
async def test_what_is_not_http_is_refused_with_a_problem_that_repeats_none_of_it(
    echo: World, request_: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as lines:
        found, answer = await said(echo, request_)
    assert (found, problem(answer)["status"]) == (status, status)
    assert SECRET not in answer.decode() + str(lines) + caplog.text


@pytest.mark.parametrize("path", [SKILL, A2A, f"{A2A}/message:send", "/events/shop"])
async def test_a_body_whose_framing_breaks_is_the_clients_error_at_once(echo: World, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(echo.url.rpartition(":")[2]))
    lines = ("Transfer-Encoding: chunked", "Content-Type: application/json", "Expect: 100-continue")
    writer.write(head(path, *lines))
    async with asyncio.timeout(20):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(f"2\r\n{{}}\r\n{SECRET}\r\n".encode())
        answer = await reader.read()
    writer.close()
    assert int(answer.split(b" ", 2)[1]) == (400 if path != A2A else 200)
    assert b"framing" in answer
    assert answer.count(b"HTTP/1.") == 1
    assert SECRET.encode() not in answer


async def test_a_small_request_after_a_refused_one_is_not_read(echo: World, container: PlainAgent) -> None:
    second = head(SKILL, "Content-Length: 2") + b"{}"
    _, answer = await said(echo, head(SKILL, "Bad Header: x", "Content-Length: 0") + second)
    assert answer.count(b"HTTP/1.1") == 1
    assert container.seen == []


async def test_the_limit_is_a_setting() -> None:
    async with world(max_header=1_000) as gateway:
        fine = await gateway.request("GET", "/agents", headers={"X-Mine": "x" * 990})
        over = await gateway.request("GET", "/agents", headers={"X-Mine": "x" * 995})
        assert (fine.status, over.status) == (200, 431)


async def test_an_attribute_of_20_kib_reaches_the_broker_and_the_container(echo: World, container: PlainAgent) -> None:
    queue, note = echo.broker.bind("shop/shared", "parcel.created"), "n" * 20 * 1024
    answer = await echo.request("POST", "/events/shop", headers={**EVENT, "ce-note": note})
    assert (answer.status, queue[0].extensions["note"]) == (202, note)
    container.respond = lambda seen: (200, {}, b"")
    answer = await echo.request("POST", "/events/shop/to/echo", headers={**EVENT, "ce-note": note})
    assert (answer.status, container.seen[0].headers["ce-note"]) == (202, note)


async def test_headers_of_an_answer_over_the_limit_are_named_without_their_values(gateway: World) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(f"HTTP/1.1 200 OK\r\nSet-Cookie: {SECRET * 20_000}\r\nContent-Length: 0\r\n\r\n".encode())

    async with raw_server(conversation) as url:
        gateway.agent(url=url)
        answer = await gateway.request("POST", SKILL)
        task = (await gateway.rpc("SendMessage", {"message": message()}))["result"]["task"]
    assert answer.status == 502
    said_of_it = answer.body.decode() + str(task)
    assert "headers over 65536 bytes" in said_of_it
    assert SECRET not in said_of_it


@pytest.fixture
async def probes() -> AsyncIterator[int]:
    async with probe_server.listen([], host="127.0.0.1", port=0) as port:
        yield port


async def test_the_other_processes_repeat_nothing_either(probes: int, caplog: pytest.LogCaptureFixture) -> None:
    for line in (f"Authorization: {TOKEN}{'a' * 40_000}", f"Bad Header: {TOKEN}"):
        reader, writer = await asyncio.open_connection("127.0.0.1", probes)
        writer.write(head("/metrics", line))
        async with asyncio.timeout(10):
            answer = await reader.read(4096)
        writer.close()
        assert answer.split(b" ", 2)[1] in (b"431", b"400")
        assert SECRET not in answer.decode() + caplog.text
