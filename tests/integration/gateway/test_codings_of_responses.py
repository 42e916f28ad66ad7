"""Responses of containers with a content coding: they pass through as they are, or are decoded."""

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

import pytest
from tests.parts.content_codings import ENCODINGS, EVENT, SKILL, RawContainer, beside
from tests.parts.gateway import World, message
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, Seen, raw_server


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
async def test_answers_without_a_body_pass_the_sidecar(raw: RawContainer, method: str, status: int) -> None:
    coded = gzip.compress(b"answer")
    length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(coded)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 %d X\r\nContent-Encoding: gzip\r\nETag: e\r\n%b\r\n" % (status, length))
            if status == 200:
                writer.write(coded)

    async with raw_server(talk) as url, beside(RawContainer(url)) as found:
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
    await eventually(lambda: container.seen)
    task = await echo.ended(task["id"]) if status == 500 else (await echo.rpc("GetTask", {"id": task["id"]}))["result"]
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
