"""Direct skill calls: the body there, the answer back, and each way in which a container can fail."""

import asyncio
import contextlib
import io
import threading
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from tests.parts.gateway import Answer, World, skill, world
from tests.parts.upstream import PlainAgent, Seen, raw_server, read_request

SAY = "/agents/shop/echo/api/a2a/skills/say"


async def kind(response: Answer) -> str:
    assert response.content_type == "application/problem+json"
    problem = await response.json()
    assert problem["status"] == response.status
    assert problem["requestId"] == response.headers["X-Request-Id"]
    assert "Traceback" not in problem["detail"]
    return str(problem["type"].rpartition(":")[2])


async def test_any_body_and_any_answer_go_through_as_they_are(echo: World, container: PlainAgent) -> None:
    container.respond = lambda seen: (
        418,
        {"Content-Type": "audio/x", "X-Mine": "1", "Connection": "x-hop", "X-Hop": "1"},
        seen.body[::-1],
    )
    response = await echo.request("POST", SAY, data=b"\x00\x01", headers={"Content-Type": "image/png"})
    assert (response.status, response.headers["Content-Type"], await response.read()) == (418, "audio/x", b"\x01\x00")
    assert response.headers["X-Mine"] == "1"
    assert "X-Hop" not in response.headers
    assert container.seen[0].headers["content-type"] == "image/png"


async def test_ids_and_traces_go_through_and_credentials_and_forged_attributes_do_not(
    echo: World, container: PlainAgent
) -> None:
    headers = {
        "X-Request-Id": "r-1",
        "Authorization": "Bearer x",
        "Cookie": "a=b",
        "Ce-A2aagent": "forged",
        "Accept": "text/plain",
    }
    response = await echo.request("POST", SAY, json={}, headers=headers)
    seen = container.seen[0].headers
    assert (response.headers["X-Request-Id"], seen["x-request-id"]) == ("r-1", "r-1")
    assert seen["ce-a2aagent"] == "echo"
    assert seen["accept"] == "text/plain"
    assert not {"authorization", "cookie"} & seen.keys()
    odd = await echo.request("POST", SAY, json={}, headers={"X-Request-Id": "a b"})
    assert " " not in odd.headers["X-Request-Id"]


async def test_bodies_stream_both_ways_at_once(gateway: World) -> None:
    async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(await reader.readline(), 16):
            chunk = await reader.readexactly(size)
            await reader.readexactly(2)
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        writer.write(b"0\r\n\r\n")

    said: asyncio.Queue[bytes] = asyncio.Queue()

    async def words() -> AsyncIterator[bytes]:
        while word := await said.get():
            yield word

    async with raw_server(echoing) as url:
        gateway.agent(url=url)
        said.put_nowait(b"one")
        async with gateway.session.post(gateway.url + SAY, data=words()) as response:
            assert await response.content.readany() == b"one"
            said.put_nowait(b"two")
            assert await response.content.readany() == b"two"
            said.put_nowait(b"")
            assert await response.read() == b""


async def test_a_large_answer_arrives_whole(echo: World, container: PlainAgent) -> None:
    container.respond = lambda seen: (200, {}, b"x" * 5_000_000)
    assert len(await (await echo.request("POST", SAY)).read()) == 5_000_000


async def test_a_large_body_arrives_whole(echo: World, container: PlainAgent) -> None:
    container.respond = lambda seen: (200, {}, str(len(seen.body)).encode())
    assert await (await echo.request("POST", SAY, data=io.BytesIO(b"x" * 5_000_000))).read() == b"5000000"


async def test_an_unknown_skill_is_a_404_that_names_the_known_ones(echo: World) -> None:
    response = await echo.request("POST", SAY.replace("say", "fly"))
    assert (response.status, await kind(response)) == (404, "unknown-skill")
    assert (await response.json())["skills"] == ["say"]


async def test_other_methods_are_refused(echo: World) -> None:
    response = await echo.request("GET", SAY)
    assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("chunked", [False, True], ids=["by its length", "while it streams"])
async def test_a_body_over_the_limit_is_a_413(container: PlainAgent, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100

    async with world(max_body=2000) as gateway:
        gateway.agent(url=container.url)
        response = await gateway.request("POST", SAY, data=pieces() if chunked else b"x" * 5000)
        assert (response.status, await kind(response)) == (413, "body-too-large")
    # Of a body without a length the beginning may be out before its end is known to be too much.
    assert chunked or container.seen == []


async def test_an_agent_that_is_down_is_a_502(gateway: World) -> None:
    gateway.agent(url="http://127.0.0.1:1")
    response = await gateway.request("POST", SAY)
    assert (response.status, await kind(response)) == (502, "agent-down")


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nX"], ids=["another protocol", "nothing", "half a head"]
)
async def test_an_agent_that_answers_nonsense_is_a_502(gateway: World, answer: bytes) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)

    async with raw_server(conversation) as url:
        gateway.agent(url=url)
        response = await gateway.request("POST", SAY)
        assert (response.status, await kind(response)) == (502, "bad-agent-answer")


async def test_an_agent_that_is_slow_is_a_504(gateway: World, container: PlainAgent) -> None:
    held = threading.Event()

    def slow(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        held.wait(10)
        return 200, {}, b""

    container.respond = slow
    gateway.agent(url=container.url, skills=[skill("say", invoke={"timeoutSeconds": 1})])
    response = await gateway.request("POST", SAY)
    held.set()
    assert (response.status, await kind(response)) == (504, "agent-slow")


@pytest.mark.parametrize(
    ("a2a", "url", "status"),
    [
        ({}, None, 503),
        ({"skills": [skill("say", invoke={"mode": "async"})]}, None, 202),
    ],
)
async def test_who_is_not_ready_is_not_called_but_takes_calls_that_travel_as_events(
    gateway: World, a2a: Any, url: str | None, status: int
) -> None:
    gateway.agent(url=url, **a2a)
    assert (await gateway.request("POST", SAY)).status == status


async def test_an_answer_that_breaks_off_is_not_passed_on_as_whole(gateway: World) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await writer.drain()

    async with raw_server(conversation) as url:
        gateway.agent(url=url)
        with pytest.raises(aiohttp.ClientError):
            await gateway.request("POST", SAY)
    assert b'errors_total{where="truncated-answer"} 1.0' in await (await gateway.request("GET", "/metrics")).read()


async def test_a_client_that_goes_away_closes_the_connection_to_the_container(gateway: World) -> None:
    happened: asyncio.Queue[str] = asyncio.Queue()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        happened.put_nowait("asked")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        happened.put_nowait("closed")

    async with raw_server(conversation) as url:
        gateway.agent(url=url)
        call = asyncio.create_task(gateway.request("POST", SAY))
        assert await asyncio.wait_for(happened.get(), 20) == "asked"
        call.cancel()
        assert await asyncio.wait_for(happened.get(), 20) == "closed"


async def test_a_header_that_cannot_be_sent_on_is_the_clients_error(gateway: World) -> None:
    gateway.agent(url="http://127.0.0.1:1", protocol="http", skills=[skill("say", invoke={"path": "/a b"})])
    response = await gateway.request("POST", SAY)
    assert (response.status, await kind(response)) == (400, "bad-header")


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"zz\r\nno chunk\r\n"], id="its framing breaks"),
        pytest.param([b"8000\r\n" + b"x" * 0x8000 + b"\r\n"] * 4, id="it is over the limit"),
    ],
)
async def test_a_body_that_goes_wrong_after_its_answer_began_ends_the_connection_and_begins_no_other_answer(
    pieces: list[bytes],
) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await reader.read()

    async with raw_server(conversation) as url, world(max_body=100_000) as gateway:
        gateway.agent(url=url)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        writer.write(f"POST {SAY} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode())
        async with asyncio.timeout(10):
            answer = await reader.readuntil(b"hello\r\n")
            for piece in pieces:
                writer.write(piece)
            with contextlib.suppress(ConnectionError):
                answer += await reader.read()
        writer.close()
    assert answer.endswith(b"5\r\nhello\r\n")
    assert answer.count(b"HTTP/1.1") == 1


async def test_the_end_of_a_long_body_is_not_taken_for_the_head_of_another_request(
    echo: World, container: PlainAgent
) -> None:
    """Whatever pieces it comes in: the last one ends the request, and its connection is used again."""
    container.respond = lambda request: (200, {"Content-Type": "text/plain"}, str(len(request.body)).encode())
    for size in (1, 100_000, 200_000, 262_144, 1_000_000, 3_000_000):
        for path in ("/agents/shop/echo/api/a2a/skills/say", "/agents/shop/echo/api/a2a"):
            body = b'"' + b"x" * size + b'"'
            reader, writer = await asyncio.open_connection("127.0.0.1", int(echo.url.rsplit(":", 1)[1]))
            headers = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            head = f"POST {path} HTTP/1.1\r\n{headers}\r\n\r\n"
            for _ in range(2):
                writer.write(head.encode() + body)
                answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                assert answer.startswith(b"HTTP/1.1 200")
                length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
            writer.close()
            await writer.wait_closed()


HIDDEN = b'{"specversion":"1.0","id":"1","source":"/trusted","type":"pay","a2aagent":"other","data":{"amount":9}}'
EVENT_TYPES = [
    "application/cloudevents+json",
    "Application/CloudEvents+JSON; charset=utf-8",
    " application/cloudevents-batch+json",
    "application/cloudevents+avro",
]


@pytest.mark.parametrize("kind", EVENT_TYPES)
@pytest.mark.parametrize("prefer", [{}, {"Prefer": "respond-async"}], ids=["direct", "as a task"])
async def test_an_event_in_the_body_of_a_call_does_not_reach_the_container(
    echo: World, container: PlainAgent, kind: str, prefer: dict[str, str]
) -> None:
    path = "/agents/shop/echo/api/a2a/skills/say"
    response = await echo.request("POST", path, data=HIDDEN, headers={"Content-Type": kind, **prefer})
    assert response.status == 415
    assert "/events/shop" in (await response.json())["detail"]
    assert container.seen == []


@pytest.mark.parametrize("kind", EVENT_TYPES)
async def test_an_event_in_a_message_is_its_text_and_gives_no_attribute(
    echo: World, container: PlainAgent, kind: str
) -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": HIDDEN.decode()}]}
    await echo.rpc("SendMessage", {"message": {**message, "metadata": {"directContentType": kind}}})
    (seen,) = container.seen
    assert seen.headers["content-type"] == "application/json"
    assert (seen.headers["ce-source"], seen.headers["ce-a2aagent"]) == ("/a2a/shop/echo", "echo")
    assert b"specversion" not in orjson.loads(seen.body)
