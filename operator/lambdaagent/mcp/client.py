"""What a client sends to an MCP server of either era, and how it reads the messages of the answers.

Which era a server speaks is found by asking: `server/discover` first, which only servers of 2026-07-28 know, and the
handshake of the revisions before if the answer is no sign of the newer era.

Hazard: what a server answers is chosen by others. It is parsed within the limits of `bounded_json`, and nothing of
it is trusted but its form.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from typing import Any

import orjson

from lambdaagent import bounded_json, media_types
from lambdaagent.a2a import Json
from lambdaagent.errors import PermanentError
from lambdaagent.mcp.envelope import METHOD_HEADER, NAME_HEADER, VERSION_HEADER
from lambdaagent.mcp.protocol import CAPABILITIES_KEY, CLIENT_KEY, HANDSHAKE, MODERN, VERSION_KEY, Code

SESSION_HEADER = "Mcp-Session-Id"
CLIENT: Json = {"name": "lambdaagent", "version": version("lambdaagent")}
_ACCEPT = f"{media_types.JSON}, {media_types.EVENT_STREAM}"
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_PLAIN = re.compile(r"[!-~]([ -~]*[!-~])?")
# Servers of the first revision answer over this transport too.
_ANSWERED = ("2024-11-05", *HANDSHAKE)
_SESSION = re.compile(r"[!-~]{1,1024}")
# Statuses without a JSON-RPC message that say nothing about the era: a credential, a limit or an outage.
_OTHER_CAUSES = frozenset((401, 403, 407, 408, 425, 429))
_TEXT = 512  # characters of a server's own words in an error
_DATA = 4096  # bytes of what it adds for programs

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A server as it is spoken to: the revision, and the session that a server of a handshake revision may begin."""

    version: str
    session: str = ""
    capabilities: Mapping[str, Any] = field(default_factory=dict)

    @property
    def modern(self) -> bool:
        return self.version in MODERN


PROBED = Peer(MODERN[-1])


class ServerError(PermanentError):
    """The server answered with an error of JSON-RPC; the message is its own, shortened."""

    def __init__(self, code: int, text: str, data: Any = None) -> None:
        super().__init__(f"{text} (code {code})")
        self.code = code
        self.text = text
        self.data = data


class MessageError(ValueError):
    """An answer is no message of the protocol."""


class Kind(StrEnum):
    RESULT = "result"
    ERROR = "error"
    NOTIFICATION = "notification"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Message:
    """`body` is the result, the error, or the parameters."""

    kind: Kind
    body: Json
    method: str = ""
    id: str | int | None = None


def request(
    peer: Peer,
    method: str,
    params: Json,
    *,
    id_: str | int,
    capabilities: Mapping[str, Any] | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[Headers, bytes]:
    """Return the headers and the body of a request; `capabilities` are those of the client, `headers` further ones."""
    headers = [*_headers(peer, method), *headers]
    if peer.modern:
        said = {VERSION_KEY: peer.version, CLIENT_KEY: CLIENT, CAPABILITIES_KEY: dict(capabilities or {})}
        params = {**params, "_meta": {**params.get("_meta", {}), **said}}
        name = params.get(_NAMED[method]) if method in _NAMED else None
        if isinstance(name, str):
            headers.append((NAME_HEADER, header_value(name)))
    return headers, orjson.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})


def notification(peer: Peer, method: str, params: Json | None = None) -> tuple[Headers, bytes]:
    said = {"jsonrpc": "2.0", "method": method} | ({"params": params} if params else {})
    return _headers(peer, method), orjson.dumps(said)


def response(
    peer: Peer, id_: str | int, *, result: Json | None = None, error: Json | None = None
) -> tuple[Headers, bytes]:
    """Return the answer to a request that a server of a handshake revision made."""
    said: Json = {"jsonrpc": "2.0", "id": id_} | ({"error": error} if error is not None else {"result": result or {}})
    return _headers(peer, ""), orjson.dumps(said)


def ending(peer: Peer) -> Headers:
    """Return the headers of the DELETE that ends the session."""
    return _headers(peer, "")


def initialize() -> Json:
    """Return the parameters of `initialize`."""
    return {"protocolVersion": HANDSHAKE[-1], "capabilities": {}, "clientInfo": CLIENT}


def _headers(peer: Peer, method: str) -> Headers:
    headers = [("content-type", media_types.JSON), ("accept", _ACCEPT)]
    if method != "initialize":
        headers.append((VERSION_HEADER, peer.version))
    if peer.modern and method:
        headers.append((METHOD_HEADER, method))
    if peer.session:
        headers.append((SESSION_HEADER, peer.session))
    return headers


def header_value(text: str) -> str:
    """Return the text as a header has it: as it is, or in base64 if it is no plain ASCII (transports, "Encoding")."""
    if _PLAIN.fullmatch(text) and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode('utf-8', 'surrogatepass')).decode()}?="


def parse(body: bytes | str) -> Message:
    """Return the message. Raises MessageError."""
    try:
        found = bounded_json.loads(body.encode() if isinstance(body, str) else body)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"its answer cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise MessageError("its answer is no message of JSON-RPC")
    method, id_ = found.get("method"), found.get("id")
    if id_ is not None and (isinstance(id_, bool) or not isinstance(id_, str | int)):
        raise MessageError("the id of its answer is neither a text nor a number")
    if isinstance(method, str):
        params = found.get("params")
        kind = Kind.NOTIFICATION if id_ is None else Kind.REQUEST
        return Message(kind, params if isinstance(params, dict) else {}, method, id_)
    for kind in (Kind.RESULT, Kind.ERROR):
        if isinstance(found.get(kind), dict):
            return Message(kind, found[kind], id=id_)
    raise MessageError("its answer is no message of JSON-RPC")


def result(message: Message) -> Json:
    """Return the result of a response. Raises ServerError."""
    if message.kind is Kind.ERROR:
        raise error_of(message)
    return message.body


def error_of(message: Message) -> ServerError:
    code, text = message.body.get("code"), message.body.get("message")
    known = code if isinstance(code, int) and not isinstance(code, bool) else int(Code.INTERNAL_ERROR)
    data = message.body.get("data")
    data = data if data is not None and len(orjson.dumps(data)) <= _DATA else None
    return ServerError(known, one_line(text) if isinstance(text, str) and text else "no reason given", data)


def one_line(text: str, *, most: int = _TEXT) -> str:
    """Return a server's words for people: shortened, on one line, without control characters."""
    return " ".join("".join(each if each.isprintable() else " " for each in text[: most * 4]).split())[:most]


def says_handshake(status: int) -> bool:
    """Whether an HTTP status without a JSON-RPC message is that of a server which does not know `server/discover`."""
    return 400 <= status < 500 and status not in _OTHER_CAUSES


def is_modern_only(error: ServerError) -> bool:
    """Whether the server refuses the version and knows no revision with a handshake either."""
    supported = error.data.get("supported") if isinstance(error.data, dict) else None
    return (
        error.code == Code.UNSUPPORTED_VERSION
        and isinstance(supported, list)
        and not any(each in _ANSWERED for each in supported)
    )


def of_discovery(found: Json) -> Peer | None:
    """Return the server that answered `server/discover`; None if it names no revision of the newer era."""
    versions = found.get("supportedVersions")
    known = [each for each in MODERN if isinstance(versions, list) and each in versions]
    return Peer(known[-1], capabilities=_object(found.get("capabilities"))) if known else None


def of_handshake(found: Json, session: str | None) -> Peer:
    """Return the server that answered `initialize`. Raises MessageError."""
    spoken = found.get("protocolVersion")
    if spoken not in _ANSWERED:
        shown = one_line(spoken, most=64) if isinstance(spoken, str) else "none"
        raise MessageError(f"it speaks no revision of the protocol that is known here, but {shown}")
    if session and not _SESSION.fullmatch(session):
        raise MessageError("the id of its session has characters that no header can have")
    return Peer(spoken, session or "", _object(found.get("capabilities")))


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
