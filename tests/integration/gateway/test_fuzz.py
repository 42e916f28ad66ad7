"""Requests of both versions, broken at random: always the protocol's own error, never one of ours, never a hang."""

import asyncio
import copy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.gateway.streaming import BASE, TEXT, WAYS
from tests.integration.gateway.world import World
from tests.unit.a2a.schemas import check_v03

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
    """Method, path and body, well-formed but for tasks that are not there."""
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
    """Something within it is replaced, dropped, doubled, renamed or buried."""
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


@settings(max_examples=400, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=broken())
async def test_no_request_breaks_the_gateway(echo: World, request: tuple[str, str, bytes]) -> None:
    method, path, data = request
    headers = {"Content-Type": "application/json"}
    async with asyncio.timeout(10):
        async with echo.session.request(method, echo.url + path, data=data, headers=headers) as response:
            assert response.status < 500, await response.read()
            if response.content_type == "text/event-stream":
                assert b"data: " in await response.read()
                return
            body = await response.json()
    if path == BASE:
        assert response.status == 200
        assert "result" in body or body["error"]["code"] != -32603, body
        if "error" in body:
            check_v03(
                "JSONRPCErrorResponse", {**body, "id": body["id"] if isinstance(body["id"], (str, int)) else None}
            )
    elif response.status >= 400:
        assert body["error"]["code"] == response.status


@pytest.mark.parametrize("path", [BASE, f"{BASE}/message:send", f"{BASE}/v1/message:send"])
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
async def test_no_bytes_break_the_gateway(echo: World, path: str, data: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with asyncio.timeout(10):
        async with echo.session.post(echo.url + path, data=data, headers=headers) as response:
            assert response.status < 500
            await response.read()
