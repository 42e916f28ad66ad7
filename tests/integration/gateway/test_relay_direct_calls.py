"""Direct calls of skills whose container is an A2A server: the artifact becomes the response."""

import json
from typing import Any

import pytest
from tests.integration.gateway.remote import AGENT, CARD, Json, relayed, send
from tests.parts.gateway import world
from tests.parts.upstream import PlainAgent, Seen


def answering(result: Json, *, version: str = "1.0") -> Any:
    """Returns a `respond` for a container without streams, whose tasks all end with this result."""
    old = {"protocolVersion": "0.3.0", "url": "http://x/rpc", "preferredTransport": "JSONRPC"}
    card = CARD if version == "1.0" else old

    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        if seen.method == "GET":
            return 200, {"Content-Type": "application/json"}, json.dumps(card | {"capabilities": {}}).encode()
        answer = {"jsonrpc": "2.0", "id": json.loads(seen.body)["id"], "result": result}
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    return respond


def ended(part: Json, state: str = "COMPLETED", said: Json | None = None) -> Json:
    status = {"state": f"TASK_STATE_{state}"} | ({"message": said} if said else {})
    return {
        "task": {"id": "t", "contextId": "c", "status": status, "artifacts": [{"artifactId": "a", "parts": [part]}]}
    }


@pytest.mark.parametrize(
    ("part", "kind", "body"),
    [
        pytest.param({"raw": "aGk=", "mediaType": "text/csv; charset=latin-1"}, "text/csv; charset=latin-1", b"hi"),
        pytest.param({"raw": "-_-_", "mediaType": "a/b"}, "a/b", b"\xfb\xff\xbf", id="the URL-safe alphabet"),
        pytest.param({"raw": "aGk", "mediaType": "a/b\r\nX: y"}, "application/octet-stream", b"hi", id="a line break"),
        pytest.param({"raw": "aGk", "mediaType": "a\0b"}, "application/octet-stream", b"hi", id="a NUL"),
        pytest.param({"url": "http://x/\r\nX: y"}, "text/plain; charset=utf-8", b"http://x/\r\nX: y", id="a URL"),
        pytest.param({"url": "javascript:1"}, "text/plain; charset=utf-8", b"javascript:1", id="another scheme"),
    ],
)
async def test_a_direct_call_is_answered_whatever_the_container_calls_its_artifact(
    container: PlainAgent, part: Json, kind: str, body: bytes
) -> None:
    container.respond = answering(ended(part))
    async with world() as found:
        relayed(found, container.url)
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, kind, body)


async def test_a_failure_of_a_direct_call_repeats_some_of_the_containers_words(container: PlainAgent) -> None:
    said = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "no " * 1_000_000}]}
    container.respond = answering(ended({"text": "x"}, "FAILED", said))
    async with world() as found:
        relayed(found, container.url)
        answer = await found.request("POST", f"{AGENT}/skills/say", data="x")
    assert answer.status == 502
    assert len(answer.body) < 4096


async def test_a_part_that_an_old_container_gets_wrong_is_its_own_fault(container: PlainAgent) -> None:
    bad = {"parts": [{"kind": "file", "file": 5}]}
    task = {"kind": "task", "id": "t", "contextId": "c", "status": {"state": "completed"}, "artifacts": [bad]}
    container.respond = answering(task, version="0.3")
    async with world() as found:
        relayed(found, container.url)
        assert (await found.request("POST", f"{AGENT}/skills/say", data="x")).status == 502
        status = (await send(found, "x"))["status"]
    assert status["state"] == "TASK_STATE_FAILED"
    assert "its response is not A2A 0.3" in status["message"]["parts"][0]["text"]
