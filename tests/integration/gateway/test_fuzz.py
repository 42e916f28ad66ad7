"""Requests of both versions, broken at random: always the protocol's own error, never one of ours, never a hang.

No answer is much larger than its request, and none holds up the gateway's loop.
"""

import copy
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.gateway.streaming import BASE, TEXT, WAYS
from tests.parts.a2a_schemas import check_v03
from tests.parts.gateway import World
from tests.parts.lag import MOST_LAG, Watched, watched_gateway
from tests.parts.upstream import plain_agent

# The gateway runs in a thread of its own, whose back-off may draw a random number while hypothesis draws an example.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")
MOST_ANSWER = 64 * 1024  # bytes, beside what the request itself had
_REPEATED = 8  # a task holds the message and its echo, and writes 1e5 as 100000.0

CONFIGURATION = {
    "acceptedOutputModes": ["text/plain"],
    "historyLength": 1,
    "returnImmediately": True,
    "taskPushNotificationConfig": {"url": "http://127.0.0.1:9/x", "authentication": {"scheme": "Bearer"}},
}
OLD_CONFIGURATION = {
    "blocking": False,
    "pushNotificationConfig": {"url": "http://127.0.0.1:9/x", "authentication": {"schemes": ["Bearer"]}},
}
PARTS = [{"text": "x", "metadata": {}}, {"raw": "aGk=", "mediaType": "x/y"}, {"data": {"n": [1]}}, {"url": "http://x"}]
OLD_PARTS = [
    {"kind": "text", "text": "x"},
    {"kind": "data", "data": {"n": [1]}},
    {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "x/y", "name": "f"}},
]
REST_PARTS = [{"text": "x"}, {"data": {"data": {"n": [1]}}}, {"file": {"fileWithBytes": "aGk=", "mimeType": "x/y"}}]
SENDS = {
    "1.0": {"message": {**TEXT["1.0"], "parts": PARTS, "extensions": ["x"]}, "configuration": CONFIGURATION},
    "0.3 JSON-RPC": {
        "message": {**TEXT["0.3 JSON-RPC"], "parts": OLD_PARTS},
        "configuration": OLD_CONFIGURATION,
    },
    "0.3 REST": {
        "message": {**TEXT["0.3 REST"], "content": REST_PARTS},
        "configuration": {"blocking": False, "pushNotification": {"url": "http://127.0.0.1:9/x"}},
    },
}
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("\0"), st.just("x" * 2000),
    st.just([]), st.just({}), st.just([[]]), st.just({"": {}}), st.just(2**64), st.just(-1), st.just("\N{SNOWMAN}"),
)  # fmt: skip


def requests() -> list[tuple[str, str, Any]]:
    """Returns method, path and body of requests that are well formed, about tasks that do not exist."""
    found: list[tuple[str, str, Any]] = []
    for way in WAYS:
        sends = SENDS["1.0" if way.version == "1.0" else way.name]
        for operation in ("send", "stream", "get", "list", "cancel", "subscribe", "push", "pushed", "pushes", "drop"):
            if (way.name, operation) == ("0.3 JSON-RPC", "list"):
                continue
            method, path, body = way.call(operation, task="t", push="p", url="http://127.0.0.1:9/x")
            if operation in ("send", "stream"):
                body = sends if way.rest else {**body, "params": sends}
            found.append((method, path, body if body is not None else {}))
    return found


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, str, bytes]:
    method, path, body = draw(st.sampled_from(requests()))
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        body = _mutated(draw, body)
    try:
        data = orjson.dumps(body)
    except TypeError:
        data = b"{"
    if draw(st.integers(0, 9)) == 0 and data:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=4)) + data[at + 1 :]
    return method, path, data


def _mutated(draw: st.DrawFn, value: Any) -> Any:
    """Returns the value with a part replaced, removed, doubled, renamed or nested."""
    if isinstance(value, (dict, list)) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else list(range(len(value)))))
        value[key] = _mutated(draw, value[key])
        return value
    match draw(st.integers(0, 4)):
        case 0 if isinstance(value, dict) and value:
            value.pop(draw(st.sampled_from(sorted(value))))
            return value
        case 1 if isinstance(value, dict):
            value[draw(st.text(max_size=5))] = copy.deepcopy(draw(JUNK))
            return value
        case 2 if isinstance(value, list):
            return value + value
        case 3:
            for _ in range(draw(st.sampled_from([1, 3, 90, 260]))):
                value = [value]
            return value
    return copy.deepcopy(draw(JUNK))


@pytest.fixture(scope="module")
def echo() -> Iterator[tuple[Watched, httpx.Client]]:
    with plain_agent() as agent, watched_gateway() as gateway:

        async def add(world: World) -> None:
            world.agent(url=agent.url)

        gateway.run(add)
        with httpx.Client(base_url=gateway.world.url, timeout=10) as client:
            yield gateway, client


def ask(echo: tuple[Watched, httpx.Client], method: str, path: str, data: bytes) -> httpx.Response:
    gateway, client = echo
    gateway.begin()
    headers = {"Content-Type": "application/json"}
    response = gateway.least(lambda: client.request(method, path, content=data, headers=headers), most=MOST_LAG)
    assert response.status_code < 500, response.content
    assert len(response.content) < MOST_ANSWER + _REPEATED * len(data)
    assert gateway.worst < MOST_LAG, (gateway.worst, method, path, data[:2000])
    return response


# Hypothesis takes the gateway's jitter, drawn in its own thread meanwhile, for the strategy's.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@settings(max_examples=400, deadline=None, database=None)
@given(request=broken())
def test_no_request_breaks_the_gateway(echo: tuple[Watched, httpx.Client], request: tuple[str, str, bytes]) -> None:
    method, path, data = request
    response = ask(echo, method, path, data)
    if response.headers["content-type"].startswith("text/event-stream"):
        assert b"data: " in response.content
        return
    body = response.json()
    if path == BASE:
        assert response.status_code == 200
        assert "result" in body or body["error"]["code"] != -32603, body
        if "error" in body:
            check_v03(
                "JSONRPCErrorResponse", {**body, "id": body["id"] if isinstance(body["id"], (str, int)) else None}
            )
    elif response.status_code >= 400:
        assert body["error"]["code"] == response.status_code


@pytest.mark.parametrize("path", [BASE, f"{BASE}/message:send", f"{BASE}/v1/message:send"])
@settings(max_examples=60, deadline=None, database=None)
@given(data=st.binary(max_size=200))
def test_no_bytes_break_the_gateway(echo: tuple[Watched, httpx.Client], path: str, data: bytes) -> None:
    ask(echo, "POST", path, data)


ELEMENTS = [b"{}", b"[]", b"1", b'""', b'{"text":"x"}', b'{"kind":"text","text":"x"}', b'{"a":1}', b"null", b"1e5"]


@settings(max_examples=60, deadline=None, database=None)
@given(
    element=st.sampled_from(ELEMENTS),
    size=st.sampled_from([1_000, 30_000, 300_000, 3_000_000]),
    levels=st.sampled_from([0, 1, 150, 260]),
    where=st.sampled_from(["parts", "content", "metadata", "extensions", "referenceTaskIds"]),
    path=st.sampled_from([BASE, f"{BASE}/message:send", f"{BASE}/v1/message:send"]),
)
def test_no_number_of_things_breaks_the_gateway(
    echo: tuple[Watched, httpx.Client], element: bytes, size: int, levels: int, where: str, path: str
) -> None:
    many = b"[" * levels + b"[" + b",".join([element] * (size // (len(element) + 1))) + b"]" + b"]" * levels
    message = b'{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"}],"%b":%b}' % (where.encode(), many)
    body = b'{"message":%b}' % message
    if path == BASE:
        body = b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":%b}' % body
    ask(echo, "POST", path, body)
