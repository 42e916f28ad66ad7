"""What a posted message is: of which era, and why one is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.mcp.envelope import METHOD_HEADER, NAME_HEADER, ROUTING, VERSION_HEADER, BadMessageError, Reply, read
from lambdaagent.mcp.protocol import CAPABILITIES_KEY, MODERN, STATUS, VERSION_KEY, Code

META = {VERSION_KEY: MODERN[0], CAPABILITIES_KEY: {}}
HEADERS = {VERSION_HEADER: [MODERN[0]], METHOD_HEADER: ["tools/call"], NAME_HEADER: ["say"]}


def call(**changes: Any) -> bytes:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "say", "_meta": META}, **changes}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def refused(body: bytes, headers: Any = HEADERS) -> tuple[Code, Any]:
    with pytest.raises(BadMessageError) as caught:
        read(body, headers)
    return caught.value.code, caught.value.id


def test_a_request_of_each_era() -> None:
    found = read(call(), HEADERS)
    assert (found.id, found.method, found.modern, found.version) == (1, "tools/call", True, MODERN[0])
    before = read(call(params={"name": "say"}), {VERSION_HEADER: ["2025-06-18"]})
    assert (before.modern, before.version) == (False, "2025-06-18")
    assert read(call(params={}), {}).version == "2025-03-26"


@pytest.mark.parametrize("name", ["say", "日本", "a b", "=?base64?x?="])
def test_a_name_in_a_header_may_be_encoded(name: str) -> None:
    from base64 import b64encode

    encoded = f"=?base64?{b64encode(name.encode()).decode()}?="
    body = call(params={"name": name, "_meta": META})
    assert read(body, {**HEADERS, NAME_HEADER: [encoded]}).params["name"] == name


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({VERSION_HEADER: []}, Code.HEADER_MISMATCH),
        ({METHOD_HEADER: []}, Code.HEADER_MISMATCH),
        ({METHOD_HEADER: ["tools/list"]}, Code.HEADER_MISMATCH),
        ({NAME_HEADER: ["sing"]}, Code.HEADER_MISMATCH),
        ({NAME_HEADER: []}, Code.HEADER_MISMATCH),
        ({NAME_HEADER: ["say", "say"]}, Code.HEADER_MISMATCH),
        ({METHOD_HEADER: ["tools/call", "tools/call"]}, Code.HEADER_MISMATCH),
        ({VERSION_HEADER: [MODERN[0], MODERN[0]]}, Code.HEADER_MISMATCH),
        ({NAME_HEADER: ["=?base64?c2F5!?="]}, Code.HEADER_MISMATCH),
        ({NAME_HEADER: ["=?base64?/w==?="]}, Code.HEADER_MISMATCH),
        ({NAME_HEADER: ["=?base64?c2F5e===?="]}, Code.HEADER_MISMATCH),
        ({VERSION_HEADER: ["2025-11-25"]}, Code.HEADER_MISMATCH),
    ],
)
def test_headers_that_differ_from_the_body(headers: dict[str, list[str]], code: Code) -> None:
    assert refused(call(), {**HEADERS, **headers}) == (code, 1)


@pytest.mark.parametrize(
    ("body", "code", "id_"),
    [
        (b"", Code.PARSE_ERROR, None),
        (b"{", Code.PARSE_ERROR, None),
        (b"\xff", Code.PARSE_ERROR, None),
        (b"[" * 10_000 + b"]" * 10_000, Code.PARSE_ERROR, None),
        (b"[]", Code.INVALID_REQUEST, None),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', Code.INVALID_REQUEST, None),
        (call(jsonrpc="1.0"), Code.INVALID_REQUEST, 1),
        (call(method=...), Code.INVALID_REQUEST, 1),
        (call(method=3), Code.INVALID_REQUEST, 1),
        (call(params=[]), Code.INVALID_REQUEST, 1),
        (call(id=None), Code.INVALID_REQUEST, None),
        (call(id=True), Code.INVALID_REQUEST, None),
        (call(id={}), Code.INVALID_REQUEST, None),
        (call(id=1.5), Code.INVALID_REQUEST, None),
        (call(id="x" * 300), Code.INVALID_REQUEST, None),
        (call(params={"name": "say"}), Code.INVALID_PARAMS, 1),
        (call(params={"name": "say", "_meta": 3}), Code.INVALID_PARAMS, 1),
        (call(params={"name": "say", "_meta": {VERSION_KEY: MODERN[0]}}), Code.INVALID_PARAMS, 1),
        (call(params={"name": "say", "_meta": {**META, CAPABILITIES_KEY: 3}}), Code.INVALID_PARAMS, 1),
        (call(params={"name": 3, "_meta": META}), Code.HEADER_MISMATCH, 1),
    ],
)
def test_what_is_no_request(body: bytes, code: Code, id_: Any) -> None:
    assert refused(body) == (code, id_)


def test_an_unknown_version_is_told_the_known_ones() -> None:
    meta = {**META, VERSION_KEY: "2099-01-01"}
    with pytest.raises(BadMessageError) as caught:
        read(call(params={"name": "say", "_meta": meta}), {**HEADERS, VERSION_HEADER: ["2099-01-01"]})
    assert caught.value.code is Code.UNSUPPORTED_VERSION
    assert caught.value.data["requested"] == "2099-01-01"
    assert caught.value.data["supported"][0] == MODERN[0]


def test_a_notification_has_no_id() -> None:
    for headers in ({}, {VERSION_HEADER: ["2025-11-25"]}, {VERSION_HEADER: [MODERN[0]]}):
        assert read(call(id=..., method="notifications/cancelled"), headers).id is None
    assert refused(call(id=...), {VERSION_HEADER: ["2099-01-01"]}) == (Code.UNSUPPORTED_VERSION, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params", "x"]), JSON | st.just("2.0") | st.just(META)),
    st.dictionaries(st.sampled_from(ROUTING), st.lists(st.text(max_size=12) | st.just(MODERN[0]), max_size=2)),
)
def test_whatever_comes_is_read_or_refused_with_a_code(body: dict[str, Any], headers: dict[str, list[str]]) -> None:
    try:
        found = read(json.dumps(body).encode(), headers)
    except BadMessageError as error:
        assert error.code in STATUS
    else:
        assert isinstance(found, Reply) or isinstance(found.method, str)
