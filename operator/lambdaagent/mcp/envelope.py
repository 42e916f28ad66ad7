"""Reads a posted message: one request or notification, of either era of the protocol.

The revision 2026-07-28 repeats parts of the body in headers, by which proxies route (transports, "Streamable HTTP"). A
message whose headers differ from its body is refused: a proxy in front has decided by the headers.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lambdaagent import bounded_json
from lambdaagent.mcp.protocol import CAPABILITIES_KEY, HANDSHAKE, MODERN, VERSION_KEY, Code, McpError

Id = str | int
VERSION_HEADER, METHOD_HEADER, NAME_HEADER = "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"
ROUTING = (VERSION_HEADER, METHOD_HEADER, NAME_HEADER)
NAMED = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
_ENCODED = re.compile(r"=\?base64\?(?P<payload>[A-Za-z0-9+/]*={0,2})\?=")
_ID = 256  # characters


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is None for a notification."""

    id: Id | None
    method: str
    params: Mapping[str, Any]
    version: str
    modern: bool
    capabilities: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """A client's response to a request of ours, which only a client of a handshake revision gets.

    `result` is None if it is an error.
    """

    id: str
    result: Mapping[str, Any] | None


class BadMessageError(McpError):
    """The message is no request; `id` is its id, if it has one, for the response."""

    def __init__(self, code: Code, message: str, data: Any = None, *, id_: Id | None = None) -> None:
        super().__init__(code, message, data)
        self.id = id_


def read(body: bytes, headers: Mapping[str, Sequence[str]]) -> Message | Reply:
    """Return the message; `headers` has all values of the routing headers. Raises BadMessageError."""
    try:
        found = bounded_json.loads(body)
    except (bounded_json.BoundError, orjson.JSONDecodeError, RecursionError) as error:
        raise BadMessageError(Code.PARSE_ERROR, f"The body is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise BadMessageError(Code.INVALID_REQUEST, "The body is not one JSON-RPC message; batches are not supported.")
    id_, method, params = found.get("id"), found.get("method"), found.get("params")
    params = {} if params is None else params  # some clients write null for no parameters
    if "id" in found and not (isinstance(id_, str | int) and not isinstance(id_, bool) and len(str(id_)) <= _ID):
        raise BadMessageError(Code.INVALID_REQUEST, f"The id is not a number or a text of at most {_ID} characters.")
    if method is None and "id" in found and ("result" in found or "error" in found):
        return _reply(found, headers)
    if found.get("jsonrpc") != "2.0" or not isinstance(method, str) or not isinstance(params, dict):
        raise BadMessageError(Code.INVALID_REQUEST, "The body is no request of JSON-RPC 2.0.", id_=id_)
    try:
        return _of_its_era(id_, method, params, {name: list(values) for name, values in headers.items()})
    except BadMessageError:
        raise
    except McpError as error:
        raise BadMessageError(error.code, str(error), error.data, id_=id_) from None


def _reply(found: Mapping[str, Any], headers: Mapping[str, Sequence[str]]) -> Reply:
    if any(version in MODERN for version in headers.get(VERSION_HEADER, ())):
        raise BadMessageError(Code.INVALID_REQUEST, "This revision has no requests to clients, so no responses.")
    result = found.get("result")
    return Reply(str(found["id"]), result if isinstance(result, dict) else None)


def _of_its_era(id_: Id | None, method: str, params: dict[str, Any], headers: Mapping[str, list[str]]) -> Message:
    for name, values in headers.items():
        if len(values) > 1:
            raise McpError(Code.HEADER_MISMATCH, f"The header {name} occurs more than once.")
    meta = params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    said = next(iter(headers.get(VERSION_HEADER, ())), None)
    if VERSION_KEY in meta or said in MODERN or (said is not None and said not in HANDSHAKE):
        return _modern(id_, method, params, meta, headers)
    return Message(id_, method, params, said or HANDSHAKE[0], modern=False, capabilities={})


def _modern(
    id_: Id | None, method: str, params: dict[str, Any], meta: dict[str, Any], headers: Mapping[str, list[str]]
) -> Message:
    said = {name: values[0] for name, values in headers.items() if values}
    if id_ is None:  # the body of a notification need not have metadata
        version = str(said.get(VERSION_HEADER, meta.get(VERSION_KEY, "")))
        if version not in HANDSHAKE:
            _require_known(version)
        return Message(None, method, params, version, modern=True, capabilities={})
    if missing := [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]:
        raise McpError(Code.INVALID_PARAMS, f"params._meta lacks {' and '.join(missing)}.")
    version, capabilities = meta[VERSION_KEY], meta[CAPABILITIES_KEY]
    name_key = NAMED.get(method)
    expected = [(VERSION_HEADER, version), (METHOD_HEADER, method)]
    if name_key is not None and params.get(name_key) is not None:
        expected.append((NAME_HEADER, params[name_key]))
    for header, value in expected:
        if header not in said or decoded(said[header]) != value:
            raise McpError(Code.HEADER_MISMATCH, f"The header {header} is not what the body says.")
    if not isinstance(version, str) or not isinstance(capabilities, dict):
        raise McpError(Code.INVALID_PARAMS, f"{VERSION_KEY} must be a text, and {CAPABILITIES_KEY} an object.")
    _require_known(version)
    return Message(id_, method, params, version, modern=True, capabilities=capabilities)


def _require_known(version: str) -> None:
    if version not in MODERN:
        data = {
            "supported": [*reversed(MODERN), *reversed(HANDSHAKE)],
            "requested": version[:64].encode("utf-8", "replace").decode(),
        }
        raise McpError(Code.UNSUPPORTED_VERSION, "The gateway does not speak this version of the protocol.", data)


def decoded(value: str) -> str | None:
    """Return a header's value, which is encoded if it is not plain ASCII; None for what is encoded wrongly."""
    found = _ENCODED.fullmatch(value)
    if found is None:
        return value
    try:
        decoded = base64.b64decode(found["payload"], validate=True)
        return decoded.decode() if base64.b64encode(decoded).decode() == found["payload"] else None
    except (binascii.Error, UnicodeDecodeError):
        return None
