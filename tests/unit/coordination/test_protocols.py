"""Which protocol a request speaks, where their words are the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from lambdaagent.a2a import jsonrpc
from lambdaagent.a2a.extension_methods import ExtensionMethod
from lambdaagent.coordination.agent_message import BadAgentMessageError, read
from lambdaagent.coordination.protocols import Protocol, of_body, of_headers
from lambdaagent.mcp.protocol import VERSION_KEY

META = {"_meta": {VERSION_KEY: "2026-07-28"}}


def rpc(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rpc("tasks/get", id="x"), Protocol.A2A),
        (rpc("tasks/get", taskId="x", **META), Protocol.MCP),
        (rpc("tasks/cancel", id="x"), Protocol.A2A),
        (rpc("tasks/cancel", taskId="x", **META), Protocol.MCP),
        (rpc("message/send"), Protocol.A2A),
        (rpc("SendMessage"), Protocol.A2A),
        (rpc("SendMessage", **META), Protocol.MCP),
        (rpc("initialize"), Protocol.MCP),
        (rpc("tools/list"), Protocol.MCP),
        (rpc("nonsense"), Protocol.MCP),
        (rpc("agent.discover", **META), Protocol.MCP),
        ({"jsonrpc": "2.0", "id": 1, "method": ["agent.discover"]}, Protocol.MCP),
        ({"jsonrpc": "2.0", "id": "x", "result": {}}, Protocol.MCP),
        ({"from": "a", "to": "b", "content": {}}, Protocol.MESSAGE),
        ({"type": "agent_message"}, Protocol.MESSAGE),
        ({"from": "a", "to": "b"}, None),
        ([rpc("tools/list")], None),
        ({}, None),
        (None, None),
        ("text", None),
    ],
)
def test_a_body_tells_its_protocol(body: object, expected: Protocol | None) -> None:
    assert of_body(body) is expected


@pytest.mark.parametrize("method", [*sorted(jsonrpc.METHODS), *ExtensionMethod])
def test_every_method_of_a2a_is_its_own_without_a_mark(method: str) -> None:
    assert of_body(rpc(method)) is Protocol.A2A


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Mcp-Method": "tasks/get", "A2A-Version": "1.0"}, Protocol.MCP),
        ({"mcp-protocol-version": "2025-11-25"}, Protocol.MCP),
        ({"Mcp-Method": "x", "ce-id": "1"}, Protocol.MCP),
        ({"ce-specversion": "1.0", "A2A-Version": "1.0"}, Protocol.CLOUDEVENTS),
        ({"Content-Type": "application/cloudevents+json"}, Protocol.CLOUDEVENTS),
        ({"a2a-version": "0.3"}, Protocol.A2A),
        ({"Content-Type": "application/json"}, None),
    ],
)
def test_headers_decide_in_the_contracts_order(headers: dict[str, str], expected: Protocol | None) -> None:
    assert of_headers(CIMultiDict(headers)) is expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)
FIELDS = st.sampled_from(["version", "from", "to", "content", "sequence_id", "conversation_id", "type"])


@given(st.dictionaries(FIELDS, JSON))
def test_whatever_comes_is_a_message_or_refused_by_name(body: dict[str, Any]) -> None:
    try:
        found = read(body)
    except BadAgentMessageError as error:
        assert str(error)
    else:
        assert found.sender
        assert found.receiver
