"""Tells which protocol a request to the unified endpoint speaks.

The order matters, because protocols share words: `tasks/get` and `tasks/cancel` are methods of A2A 0.3 and of MCP's
Tasks extension, and a body with `jsonrpc` may be either. What marks a request decides before what it may also mean.
"""

from collections.abc import Mapping
from enum import StrEnum

from lambdaagent.a2a import extension_methods, jsonrpc, versions
from lambdaagent.events import http as cloudevents
from lambdaagent.mcp.envelope import METHOD_HEADER, VERSION_HEADER
from lambdaagent.mcp.protocol import VERSION_KEY

_MESSAGE = "agent_message"


class Protocol(StrEnum):
    MCP = "mcp"
    CLOUDEVENTS = "cloudevents"
    A2A = "a2a"
    MESSAGE = "message"


def of_headers(headers: Mapping[str, str]) -> Protocol | None:
    """Return the protocol that headers mark, in a mapping that ignores case; None: the body decides."""
    if METHOD_HEADER in headers or VERSION_HEADER in headers:
        return Protocol.MCP
    if cloudevents.mode(headers) is not None:
        return Protocol.CLOUDEVENTS
    return Protocol.A2A if versions.HEADER in headers else None


def of_body(body: object) -> Protocol | None:
    """Return the protocol of a JSON body without such headers; None if it is of none.

    A method that no protocol knows is MCP's, whose error for it is the same as A2A's.
    """
    if not isinstance(body, dict):
        return None
    if "jsonrpc" in body:
        params = body.get("params")
        meta = params.get("_meta") if isinstance(params, dict) else None
        if isinstance(meta, dict) and VERSION_KEY in meta:
            return Protocol.MCP
        method = body.get("method")
        of_a2a = isinstance(method, str) and (method in jsonrpc.METHODS or method in extension_methods.NAMES)
        return Protocol.A2A if of_a2a else Protocol.MCP
    is_message = body.get("type") == _MESSAGE or {"from", "to", "content"} <= body.keys()
    return Protocol.MESSAGE if is_message else None
