"""Bodies with a content coding: they pass through byte for byte, or are decoded, and nobody gets another's answer.

The container reads by the length that it is told, as containers do. A gateway that changes a body and not its length
makes it read a second request out of the first one's body.
"""

import asyncio
import gzip
import os
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.gateway.test_respond_async import ended
from tests.parts import cloudevent_bodies
from tests.parts.gateway import CHANGED, Answer, World, manifest, message, skill, world
from tests.parts.upstream import PlainAgent, Seen, raw_server, read_request

from lambdaagent.api.agent import parse
from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway import sidecar
from lambdaagent.gateway.directory import make_entry

A2A = "/agents/shop/echo/api/a2a"
SKILL = f"{A2A}/skills/say"
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
GZIP = {"Content-Encoding": "gzip"}
V1 = {"A2A-Version": "1.0", "Content-Type": "application/json"}
STOLEN = b"POST /stolen HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Container:
    """Shows the bytes of every request that it reads, and answers each with its number."""

    url: str = ""
    seen: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            self.seen.append((head.lstrip(), body))
            answer = b"answer %d to %b" % (len(self.seen), body[:20])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(answer))
            writer.write(answer)


def header(head: bytes, name: bytes) -> list[bytes]:
    pairs = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [value.strip() for key, _, value in pairs if key.lower() == name]


@pytest.fixture
async def raw(gateway: World) -> AsyncIterator[Container]:
    container = Container()
    async with raw_server(container.talk) as container.url:
        gateway.agent(url=container.url)
        yield container


@asynccontextmanager
async def beside(container: Container) -> AsyncIterator[World]:
    """The gateway as the sidecar of this container."""
    agent = parse(manifest(a2a={"enabled": True, "mode": "sidecar", "skills": [skill("say")]}))
    entry = make_entry(agent, url=container.url, ready=True, last_modified=CHANGED)
    async with world(table=sidecar.table(entry, sink="")) as made:
        yield made


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 10_000):
        yield body[at : at + 10_000]


def crafted(noise: bytes) -> bytes:
    """gzip of a body that is longer decoded, and whose end a container that counts the coded length reads as a request.

    Empty lines before a request are skipped by those who read it.
    """
    body = gzip.compress(noise + b"\r\n" * 50_000 + STOLEN)
    assert len(noise) < len(body) < len(noise) + 100_000
    return body


SIZES = [pytest.param(b"", id="small"), pytest.param(os.urandom(150_000), id="big")]


@pytest.mark.parametrize("noise", SIZES)
@pytest.mark.parametrize("streamed", [False, True], ids=["a length", "chunks"])
@pytest.mark.parametrize("place", ["direct call", "sidecar"])
async def test_a_crafted_body_is_one_request_and_the_next_caller_gets_its_own_answer(
    gateway: World, raw: Container, noise: bytes, streamed: bool, place: str
) -> None:
    body = crafted(noise)

    async def attack(found: World, path: str) -> None:
        sent: Any = chunked(body) if streamed else body
        answer = await found.request("POST", path, data=sent, headers={**GZIP, "Content-Type": "a/b"})
        assert (answer.status, answer.body[:12]) == (200, b"answer 1 to ")
        for number in range(2, 5):
            own = await found.request("POST", path, data=b"caller %d" % number)
            assert (own.status, own.body) == (200, b"answer %d to caller %d" % (number, number))

    if place == "sidecar":
        async with beside(raw) as found:
            await attack(found, "/anything")
    else:
        await attack(gateway, SKILL)
    head, came = raw.seen[0]
    assert len(raw.seen) == 4
    assert came == body
    assert header(head, b"content-encoding") == [b"gzip"]
    assert header(head, b"content-length") == ([] if streamed else [b"%d" % len(body)])


@pytest.mark.parametrize("noise", SIZES)
@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param(SKILL, {"Prefer": "respond-async"}, 202, id="skill as a task"),
        pytest.param("/events/shop/to/echo", EVENT, 202, id="event"),
    ],
)
async def test_a_crafted_body_that_is_read_here_is_decoded_and_is_one_request(
    gateway: World, raw: Container, noise: bytes, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await gateway.request(
        "POST", path, data=crafted(noise), headers={**GZIP, **headers, "Content-Type": "a/b"}
    )
    assert answer.status == status
    async with asyncio.timeout(10):
        while not raw.seen:
            await asyncio.sleep(0.01)
    own = await gateway.request("POST", SKILL, data=b"mine")
    assert own.body == b"answer 2 to mine"
    head, came = raw.seen[0]
    assert came == noise + b"\r\n" * 50_000 + STOLEN
    assert header(head, b"content-encoding") == []
    assert header(head, b"content-length") == [b"%d" % len(came)]


async def test_codings_in_several_headers_all_go_on(gateway: World, raw: Container) -> None:
    body = zlib.compress(gzip.compress(b"x"))
    labels = [("Content-Encoding", "gzip"), ("Content-Encoding", "deflate")]
    await gateway.request("POST", SKILL, data=body, headers=labels)
    async with beside(raw) as found:
        await found.request("POST", "/p", data=body, headers=labels)
    assert [(header(head, b"content-encoding"), came) for head, came in raw.seen] == [([b"gzip", b"deflate"], body)] * 2


def rpc(text: str) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": message(text)}})


def rest(text: str) -> bytes:
    return orjson.dumps({"message": message(text)})


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
    "identity": lambda body: body,
    "gzip, deflate": lambda body: zlib.compress(gzip.compress(body)),
    "gzip, identity,, gzip": lambda body: gzip.compress(gzip.compress(body)),
}


@pytest.mark.parametrize("label", ENCODINGS)
@pytest.mark.parametrize("streamed", [False, True], ids=["a length", "chunks"])
async def test_what_is_read_here_is_decoded(echo: World, container: PlainAgent, label: str, streamed: bool) -> None:
    queue, text = echo.broker.bind("shop/shared", "t"), "grüß dich " * 9_000

    async def post(path: str, body: bytes, **headers: str) -> Answer:
        coded = ENCODINGS[label](body)
        sent: Any = chunked(coded) if streamed else coded
        return await echo.request("POST", path, data=sent, headers={"Content-Encoding": label, **headers})

    for path, written in ((A2A, rpc(text)), (f"{A2A}/message:send", rest(text))):
        answer = await (await post(path, written, **V1)).json()
        task = answer["result"]["task"] if path == A2A else answer["task"]
        assert task["artifacts"][0]["parts"][0]["data"]["you_said"] == text
    event = Event(id="1", source="/s", type="t", data=text.encode(), datacontenttype="text/plain")
    for headers, written in (http.binary(event), cloudevent_bodies.structured(event), cloudevent_bodies.batch([event])):
        assert (await post("/events/shop", written, **dict(headers))).status == 202
        assert queue.pop() == event
    answer = await post(SKILL, text.encode(), **{"Content-Type": "text/plain", "Prefer": "respond-async"})
    container.respond = lambda _: (200, {}, b"")
    await ended(echo, (await answer.json())["id"])
    assert container.seen[-1].body == text.encode()
    assert "content-encoding" not in container.seen[-1].headers


READ_HERE = [
    pytest.param(A2A, V1, id="JSON-RPC"),
    pytest.param(f"{A2A}/message:send", V1, id="REST"),
    pytest.param("/events/shop", {**EVENT, "Content-Type": "a/b"}, id="event"),
    pytest.param("/events/shop/from/echo", {**EVENT, "Content-Type": "a/b"}, id="an agent's event"),
    pytest.param(SKILL, {"Prefer": "respond-async"}, id="skill as a task"),
]


@pytest.mark.parametrize(("path", "headers"), READ_HERE)
@pytest.mark.parametrize(
    ("label", "body", "refused", "says"),
    [
        pytest.param("br", b"x" * 50, 415, b"'br' is not supported", id="unknown"),
        pytest.param("gzip, zstd", b"x" * 50, 415, b"'zstd' is not supported", id="one unknown"),
        pytest.param("gzip", b"s3cr3t" * 50, 400, b"it is not gzip", id="not what it says"),
        pytest.param("gzip", gzip.compress(os.urandom(999))[:-20], 400, b"ends too early", id="cut"),
        pytest.param("deflate", zlib.compress(b"x") + b"x", 400, b"bytes follow", id="too long"),
    ],
)
async def test_what_cannot_be_decoded_is_refused_with_its_reason(
    echo: World,
    container: PlainAgent,
    path: str,
    headers: dict[str, str],
    label: str,
    body: bytes,
    refused: int,
    says: bytes,
) -> None:
    answer = await echo.request("POST", path, data=body, headers={**headers, "Content-Encoding": label})
    found = await answer.json()
    assert says in answer.body
    assert b"s3cr3t" not in answer.body
    assert container.seen == []
    assert answer.headers.get("Accept-Encoding") == ("gzip, deflate" if refused == 415 else None)
    if path == A2A:
        assert (answer.status, found["error"]["code"]) == (200, -32005 if refused == 415 else -32700)
    elif "message:send" in path:
        assert (answer.status, found["error"]["code"]) == (400, 400)  # as the protocol maps both
    else:
        assert (answer.status, found["status"], answer.content_type) == (refused, refused, "application/problem+json")


@pytest.mark.parametrize(("path", "headers"), READ_HERE)
@pytest.mark.parametrize("depth", [1, 2])
async def test_a_bomb_is_refused_by_its_decoded_size(
    container: PlainAgent, path: str, headers: dict[str, str], depth: int
) -> None:
    body = bytes(5_000_000)
    for _ in range(depth):
        body = gzip.compress(body)
    async with world(max_body=100_000) as gateway:
        gateway.agent(url=container.url)
        label = ", ".join(["gzip"] * depth)
        answer = await gateway.request("POST", path, data=body, headers={**headers, "Content-Encoding": label})
    assert (answer.status, answer.content_type) == (413, "application/problem+json")
    assert container.seen == []


async def test_a_body_within_the_limit_is_taken_though_its_coding_makes_it_longer(container: PlainAgent) -> None:
    body = os.urandom(2_000)
    async with world(max_body=2_000) as gateway:
        queue = gateway.broker.bind("shop/shared", "t")
        coded = gzip.compress(body)
        assert len(coded) > 2_000
        answer = await gateway.request("POST", "/events/shop", data=coded, headers={**EVENT, **GZIP})
        assert (answer.status, queue[0].data) == (202, body)


@pytest.mark.parametrize("path", ["/events/shop/to/echo", "/events/shop/dead-letters"])
@pytest.mark.parametrize("label", ["br", "gzip"])
async def test_a_delivery_that_cannot_be_decoded_is_buried_as_it_came(echo: World, path: str, label: str) -> None:
    """A broker would drop it without a word at any 4xx."""
    answer = await echo.request("POST", path, data=b"as it came", headers={**EVENT, "Content-Encoding": label})
    assert answer.status == 202
    (letter,) = await echo.store.letters("shop")
    assert (letter.data, letter.attributes["content-encoding"]) == (b"as it came", label)


@given(
    body=st.one_of(st.binary(max_size=300), st.integers(0, 200_000).map(lambda size: os.urandom(size // 2) * 2)),
    labels=st.lists(st.sampled_from(["gzip", "deflate", "br", "identity", "aws-chunked"]), max_size=3),
    streamed=st.booleans(),
    place=st.sampled_from(["direct call", "sidecar"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_body_of_any_coding_and_length_passes_through_as_it_came(
    gateway: World, raw: Container, body: bytes, labels: list[str], streamed: bool, place: str
) -> None:
    """Whether the label is true is the container's to judge."""
    raw.seen.clear()
    sent: Any = chunked(body) if streamed else body
    headers = [("Content-Type", "a/b"), *(("Content-Encoding", label) for label in labels)]
    if place == "sidecar":
        async with beside(raw) as found:
            answer = await found.request("PUT", "/x?y=%20", data=sent, headers=headers)
    else:
        answer = await gateway.request("POST", SKILL, data=sent, headers=headers)
    assert answer.body == b"answer 1 to %b" % body[:20]
    ((head, came),) = raw.seen
    assert came == body
    assert header(head, b"content-encoding") == [label.encode() for label in labels]


# Answers


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_an_answers_coding_and_label_pass_through_together(
    echo: World, container: PlainAgent, accepted: str
) -> None:
    coded = gzip.compress(b"answer")
    container.respond = lambda seen: (
        200,
        {"Content-Encoding": "gzip", "X-Asked": seen.headers["accept-encoding"]},
        coded,
    )
    headers = {"Accept-Encoding": accepted}
    async with echo.session.post(echo.url + SKILL, headers=headers, data=b"") as answer:
        assert (answer.headers["Content-Encoding"], answer.headers["X-Asked"]) == ("gzip", accepted)
        assert await answer.read() == b"answer"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 204, 304])
async def test_answers_without_a_body_pass_the_sidecar(raw: Container, method: str, status: int) -> None:
    coded = gzip.compress(b"answer")
    length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(coded)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 %d X\r\nContent-Encoding: gzip\r\nETag: e\r\n%b\r\n" % (status, length))
            if status == 200:
                writer.write(coded)

    async with raw_server(talk) as url, beside(Container(url)) as found:
        for _ in range(2):
            answer = await found.request(method, "/page", headers={"Accept-Encoding": "gzip"})
            assert (answer.status, answer.headers["ETag"]) == (status, "e")
            assert answer.body == (b"answer" if (method, status) == ("GET", 200) else b"")
            assert answer.headers.get("Content-Encoding") == "gzip"


def coded(kind: str, body: bytes, label: str) -> Callable[[Seen], tuple[int, dict[str, str], bytes]]:
    return lambda _: (200, {"Content-Type": kind, "Content-Encoding": label}, ENCODINGS[label](body))


@pytest.mark.parametrize("label", ENCODINGS)
@pytest.mark.parametrize(
    ("kind", "body", "part"),
    [
        pytest.param("text/plain", "grüß".encode(), {"text": "grüß"}, id="text"),
        pytest.param("text/plain; charset=iso-8859-1", "grüß".encode("latin-1"), {"text": "grüß"}, id="Latin-1"),
        pytest.param("text/plain; charset=utf-16", "grüß".encode("utf-16"), {"text": "grüß"}, id="UTF-16"),
        pytest.param("application/json", b'\xef\xbb\xbf{"a":1}', {"data": {"a": 1}}, id="JSON with a mark"),
        pytest.param(
            "application/json; charset=utf-16", '{"a":1}'.encode("utf-16-be"), {"data": {"a": 1}}, id="wide JSON"
        ),
        pytest.param("image/png", b"\0\1", {"raw": "AAE=", "mediaType": "image/png"}, id="bytes"),
        pytest.param(
            "application/xml; charset=iso-8859-1",
            b"<a/>",
            {"raw": "PGEvPg==", "mediaType": "application/xml; charset=iso-8859-1"},
            id="bytes with a charset",
        ),
        pytest.param("text/event-stream", b"data: one\n\ndata: two\n\n", {"text": "one"}, id="a stream"),
    ],
)
async def test_a_coded_answer_is_decoded_before_it_is_kept(
    echo: World, container: PlainAgent, label: str, kind: str, body: bytes, part: dict[str, Any]
) -> None:
    container.respond = coded(kind, body, label)
    task = (await echo.rpc("SendMessage", {"message": message()}))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED", task
    assert task["artifacts"][0]["parts"][0] == part
    assert container.seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("headers", "body", "says"),
    [
        pytest.param({"Content-Encoding": "br"}, b"x", "'br' is not supported", id="unknown coding"),
        pytest.param({"Content-Encoding": "gzip"}, b"plain", "it is not gzip", id="broken"),
        pytest.param({"Content-Encoding": "gzip"}, gzip.compress(bytes(99))[:-9], "ends too early", id="cut"),
        pytest.param({"Content-Encoding": "gzip"}, gzip.compress(bytes(11 * 2**20)), "more than 10485760", id="bomb"),
        pytest.param({"Content-Type": "text/plain; charset=klingon"}, b"x", "'klingon' is not supported", id="charset"),
        pytest.param({"Content-Type": "text/plain; charset=utf-8"}, b"\xff", "are not utf-8", id="not its charset"),
        pytest.param(
            {"Content-Type": "text/event-stream", "Content-Encoding": "br"}, b"x", "'br' is not", id="unknown, a stream"
        ),
    ],
)
async def test_an_answer_that_cannot_be_read_fails_the_task_and_says_why(
    echo: World, container: PlainAgent, headers: dict[str, str], body: bytes, says: str
) -> None:
    container.respond = lambda _: (200, headers, body)
    task = (await echo.rpc("SendMessage", {"message": message()}))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert says in task["status"]["message"]["parts"][0]["text"]


@pytest.mark.parametrize(("status", "state"), [(500, "FAILED"), (202, "WORKING")])
async def test_a_status_counts_though_its_body_cannot_be_decoded(
    echo: World, container: PlainAgent, status: int, state: str
) -> None:
    container.respond = lambda _: (status, {"Content-Encoding": "br"}, b"x")
    sent = {"message": message(), "configuration": {"returnImmediately": True}}
    task = (await echo.rpc("SendMessage", sent))["result"]["task"]
    async with asyncio.timeout(10):
        while not container.seen or (status == 500 and task["status"]["state"] == "TASK_STATE_WORKING"):
            task = (await echo.rpc("GetTask", {"id": task["id"]}))["result"]
            await asyncio.sleep(0.01)
    assert task["status"]["state"] == f"TASK_STATE_{state}"
    if status == 500:
        assert task["status"]["message"]["parts"][0]["text"] == "The agent answered 500."


async def test_an_events_answer_is_decoded_and_one_that_cannot_be_is_not_delivered_again(
    echo: World, container: PlainAgent
) -> None:
    queue = echo.broker.bind("shop/shared", "reply")
    reply = {**EVENT, "ce-type": "reply", "Content-Type": "text/plain", "Content-Encoding": "gzip"}
    container.respond = lambda _: (200, reply, gzip.compress(b"hello"))
    assert (await echo.request("POST", "/events/shop/to/echo", headers=EVENT)).status == 202
    assert queue[0].data == b"hello"
    container.respond = lambda _: (200, {**reply, "Content-Encoding": "br"}, b"x")
    assert (await echo.request("POST", "/events/shop/to/echo", headers=EVENT)).status == 202
    assert len(queue) == 1


# Charsets of requests


@pytest.mark.parametrize("name", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
async def test_json_of_any_unicode_form_is_read(echo: World, name: str) -> None:
    declared = f"application/json; charset={name}" if name == "utf-16-le" else "application/json"
    for path, written in ((A2A, rpc("grüß")), (f"{A2A}/message:send", rest("grüß"))):
        body = written.decode().encode(name)
        answer = await echo.request("POST", path, data=body, headers={**V1, "Content-Type": declared})
        assert "grüß" in answer.body.decode(), answer


async def test_an_unknown_charset_of_a_request_is_named(echo: World) -> None:
    headers = {**V1, "Content-Type": "application/json; charset=klingon"}
    for path in (A2A, f"{A2A}/message:send"):
        answer = await echo.request("POST", path, data=rpc("x"), headers=headers)
        assert b"'klingon' is not supported" in answer.body
        assert b"error" in answer.body


@pytest.mark.parametrize(
    ("kind", "body", "then", "arrives"),
    [
        pytest.param(
            "text/plain; charset=iso-8859-1",
            "grüß".encode("latin-1"),
            "text/plain; charset=utf-8",
            "grüß".encode(),
            id="Latin-1",
        ),
        pytest.param(
            "application/json; charset=utf-16",
            '{"a":"ü"}'.encode("utf-16"),
            "application/json; charset=utf-8",
            '{"a":"ü"}'.encode(),
            id="wide JSON",
        ),
        pytest.param("audio/x; charset=utf-16", b"\0\1", "audio/x; charset=utf-16", b"\0\1", id="bytes"),
    ],
)
async def test_a_text_that_goes_on_as_utf8_says_so(
    echo: World, container: PlainAgent, kind: str, body: bytes, then: str, arrives: bytes
) -> None:
    container.respond = lambda _: (200, {}, b"")
    headers = {"Content-Type": kind, "Prefer": "respond-async"}
    answer = await echo.request("POST", SKILL, data=body, headers=headers)
    await ended(echo, (await answer.json())["id"])
    assert (container.seen[0].headers["content-type"], container.seen[0].body) == (then, arrives)
