"""Bodies with a content coding: they pass through byte for byte, or are decoded, and nobody gets another's answer.

The container reads by the length that it is told, as containers do. A gateway that changes a body and not its length
makes it read a second request out of the first one's body.
"""

import gzip
import os
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.parts import cloudevent_bodies
from tests.parts.content_codings import (
    A2A,
    ENCODINGS,
    EVENT,
    GZIP,
    SKILL,
    V1,
    RawContainer,
    beside,
    chunked,
    header,
    rest,
    rpc,
)
from tests.parts.gateway import Answer, World, world
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

from lambdaagent.events import http
from lambdaagent.events.cloudevents import Event
from lambdaagent.store.records import Letters

STOLEN = b"POST /stolen HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


def crafted(noise: bytes) -> bytes:
    """Returns gzip whose decoded body ends with a request, for a container that reads it by the length of the gzip.

    Servers skip empty lines before a request.
    """
    body = gzip.compress(noise + b"\r\n" * 50_000 + STOLEN)
    assert len(noise) < len(body) < len(noise) + 100_000
    return body


SIZES = [pytest.param(b"", id="small"), pytest.param(os.urandom(150_000), id="big")]


@pytest.mark.parametrize("noise", SIZES)
@pytest.mark.parametrize("streamed", [False, True], ids=["a length", "chunks"])
@pytest.mark.parametrize("place", ["direct call", "sidecar"])
async def test_a_crafted_body_is_one_request_and_the_next_caller_gets_its_own_answer(
    gateway: World, raw: RawContainer, noise: bytes, streamed: bool, place: str
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
    gateway: World, raw: RawContainer, noise: bytes, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await gateway.request(
        "POST", path, data=crafted(noise), headers={**GZIP, **headers, "Content-Type": "a/b"}
    )
    assert answer.status == status
    await eventually(lambda: raw.seen)
    own = await gateway.request("POST", SKILL, data=b"mine")
    assert own.body == b"answer 2 to mine"
    head, came = raw.seen[0]
    assert came == noise + b"\r\n" * 50_000 + STOLEN
    assert header(head, b"content-encoding") == []
    assert header(head, b"content-length") == [b"%d" % len(came)]


async def test_codings_in_several_headers_all_go_on(gateway: World, raw: RawContainer) -> None:
    body = zlib.compress(gzip.compress(b"x"))
    labels = [("Content-Encoding", "gzip"), ("Content-Encoding", "deflate")]
    await gateway.request("POST", SKILL, data=body, headers=labels)
    async with beside(raw) as found:
        await found.request("POST", "/p", data=body, headers=labels)
    assert [(header(head, b"content-encoding"), came) for head, came in raw.seen] == [([b"gzip", b"deflate"], body)] * 2


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
    await echo.ended((await answer.json())["id"])
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
    (letter,) = await echo.store.find_letters(Letters("shop"))
    assert (letter.data, letter.attributes["content-encoding"]) == (b"as it came", label)


@given(
    body=st.one_of(st.binary(max_size=300), st.integers(0, 200_000).map(lambda size: os.urandom(size // 2) * 2)),
    labels=st.lists(st.sampled_from(["gzip", "deflate", "br", "identity", "aws-chunked"]), max_size=3),
    streamed=st.booleans(),
    place=st.sampled_from(["direct call", "sidecar"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_body_of_any_coding_and_length_passes_through_as_it_came(
    gateway: World, raw: RawContainer, body: bytes, labels: list[str], streamed: bool, place: str
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
