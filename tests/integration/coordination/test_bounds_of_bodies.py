"""No body of the endpoints for coordination holds the loop, however its bytes are used."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.parts.lag import MOST_LAG, Watched, watched_gateway

LARGEST = 1024 * 1024


def filled(begin: str, piece: str, between: str, end: str, *, size: int = LARGEST - 600) -> str:
    number = (size - len(begin) - len(end)) // (len(piece) + len(between))
    return begin + between.join([piece] * number) + end


def numbered(size: int = LARGEST - 600, value: str = "1") -> str:
    members, length = [], 2
    for number in range(size):
        members.append(f'"{number:x}":{value}')
        length += len(members[-1]) + 1
        if length > size:
            return "{" + ",".join(members[:-1]) + "}"
    raise AssertionError


VALUES = {
    "numbers": filled("[", "1", ",", "]"),
    "lists": filled("[", "[]", ",", "]"),
    "lists in lists": filled("[", "[" * 100 + "]" * 100, ",", "]"),
    "objects": filled("[", '{"a":{}}', ",", "]"),
    "members": numbered(),
    "members with members": numbered(value='{"a":[1]}'),
    "a text": '"' + "x" * (LARGEST - 600) + '"',
    "escapes": filled('"', "\\u00e9", "", '"'),
    "texts": filled("[", '"a"', ",", "]"),
}
ENVELOPE = '{"from":"ann","to":"bob","content":{"type":"query","data":{}},"metadata":{}}'
BODIES = {
    "/a2a/register": ("agent_id", ["capabilities", "metadata", "access", "description", "agent_card"]),
    "/a2a/discover": ("", ["capability", "skill", "tags"]),
    "/a2a/message": ("from", ["content", "metadata", "to"]),
    "/a2a/context": ("", ["data", "strategies", "participants"]),
    "/a2a/context/known": ("", ["a"]),
    "/a2a/context/known/merge": ("", ["data"]),
    "/a2a/proposals": ("title", ["electorate", "options", "content", "metadata"]),
    "/a2a/tasks": ("name", ["input_data", "output_schema", "required_capabilities", "metadata"]),
    "/a2a/jobs": ("task_type", ["input_data", "metadata"]),
    "/a2a/sessions": ("", ["participants", "metadata"]),
    "/a2a/workflows/none/runs": ("", ["input"]),
    "/a2a": ("jsonrpc", ["params"]),
    "/a2a/subscriptions": ("agent_id", ["topic"]),
}


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with watched_gateway() as found:
        yield found


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("path", BODIES)
def test_no_body_holds_the_loop(watched: Watched, path: str, kind: str) -> None:
    first, fields = BODIES[path]
    for field in fields:
        head = f'"{first}":"2.0",' if first else ""
        body = f'{{{head}"{field}":{VALUES[kind]}}}'.encode()
        if field in ("content", "metadata") and path == "/a2a/message":
            whole = json.loads(ENVELOPE) | {field: 0}
            body = json.dumps(whole).replace(f'"{field}": 0', f'"{field}":{VALUES[kind]}').encode()
        assert len(body) < LARGEST

        def sent(body: bytes = body) -> Any:
            method = "PATCH" if path.endswith("known") else "POST"
            return httpx.request(
                method, watched.world.url + path, content=body, headers={"content-type": "application/json"}, timeout=30
            )

        answer = watched.least(sent, most=MOST_LAG)
        assert answer.status_code < 500, answer.text[:300]
        assert watched.worst < MOST_LAG, f"{path} {field}: {answer.status_code} {answer.text[:200]}"
