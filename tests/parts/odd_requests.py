"""Requests that two HTTP parsers may read differently, each with a second request, the canary, hidden in it.

If a server reads a request in another way than a proxy in front of it, it takes a part of the body for the beginning of
the next request on the connection, which is another client's. The canary is that part: it calls the skill `canary`.
"""

from dataclasses import dataclass, field

import pytest
from aiohttp import web

from lambdaagent.gateway.http import request_target
from lambdaagent.http_server import HeadParser

BASE = "/agents/shop/echo/api/a2a/skills"
SAY, CANARY = f"{BASE}/say", f"{BASE}/canary"
WHOLE = f"POST {CANARY} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode()
OPEN = f"POST {CANARY} HTTP/1.1\r\nHost: x\r\nX-Ignored: ".encode()
"""The next request on the connection continues the canary, which gets its credential and its body."""


@dataclass(frozen=True)
class Odd:
    name: str
    request: bytes
    direct: frozenset[int]  # the statuses that the gateway itself may answer with

    @property
    def has_a_second(self) -> bool:
        """Whether, by HTTP/1.1, the canary is a request of its own behind a complete one."""
        return bool(self.direct & {200, 401}) and WHOLE in self.request


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    credentials: tuple[str, ...]
    connection: object  # the address of the other end

    @property
    def canary(self) -> bool:
        return "canary" in self.target


@dataclass
class Recording:
    """What the gateway took for requests: those that it parsed, and how often its parser refused bytes."""

    received: list[Received] = field(default_factory=list)
    refused: int = 0

    @property
    def canaries(self) -> list[Received]:
        return [each for each in self.received if each.canary]


def record(monkeypatch: pytest.MonkeyPatch) -> Recording:
    found = Recording()
    require_plain, feed_data = request_target.require_plain, HeadParser.feed_data

    def received(request: web.Request) -> None:
        assert request.transport is not None
        credentials = tuple(request.headers.getall("Authorization", ()))
        peer = request.transport.get_extra_info("peername")
        found.received.append(Received(request.method, request.raw_path, credentials, peer))
        require_plain(request)

    def fed(self: HeadParser, data: bytes) -> object:
        try:
            return feed_data(self, data)
        except Exception:
            found.refused += 1
            raise

    monkeypatch.setattr(request_target, "require_plain", received)
    monkeypatch.setattr(HeadParser, "feed_data", fed)
    return found


def _made(
    name: str,
    *lines: str,
    body: bytes = b"",
    status: int | tuple[int, ...] = 400,
    first: str = f"POST {SAY} HTTP/1.1",
    host: tuple[str, ...] = ("Host: x",),
) -> Odd:
    head = "".join(f"{line}\r\n" for line in (first, *host, *lines)).encode("latin-1") + b"\r\n"
    return Odd(name, head + body, frozenset((status,) if isinstance(status, int) else status))


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def _framings(hidden: bytes, kind: str) -> list[Odd]:
    """Returns the requests whose body ends at different places for different readers."""
    after_end = b"0\r\n\r\n" + hidden
    in_chunk = _chunk(hidden) + b"0\r\n\r\n"
    chunked, length = "Transfer-Encoding: chunked", f"Content-Length: {len(after_end)}"
    found = [
        _made("length and chunked", length, chunked, body=after_end),
        _made("chunked and length", chunked, "Content-Length: 4", body=in_chunk),
        _made("chunked twice", chunked, chunked, body=after_end),
        _made("chunked twice in one line", "Transfer-Encoding: chunked, chunked", body=after_end, status=(400, 501)),
        _made("identity and chunked", length, "Transfer-Encoding: identity", chunked, body=after_end),
        _made("chunked and identity", length, "Transfer-Encoding: chunked, identity", body=after_end),
        _made("xchunked", length, "Transfer-Encoding: xchunked", body=after_end),
        _made("chunked in quotes", length, 'Transfer-Encoding: "chunked"', body=after_end),
        _made("chunked after a vertical tab", length, "Transfer-Encoding: \x0bchunked", body=after_end),
        _made("a space before the colon", length, "Transfer-Encoding : chunked", body=after_end),
        _made("a tab before the colon", length, "Transfer-Encoding\t: chunked", body=after_end),
        _made("a folded coding", length, "X-A: b", " Transfer-Encoding: chunked", body=after_end),
        _made("a coding on a folded line", length, "Transfer-Encoding:", " chunked", body=after_end),
        _made("a coding behind a bare CR", length, "X-A: b\rTransfer-Encoding: chunked", body=after_end),
        _made("a coding behind a bare LF", length, "X-A: b\nTransfer-Encoding: chunked", body=after_end),
        _made("a coding behind a NUL", length, "X-A: b\0Transfer-Encoding: chunked", body=after_end),
        _made("a coding spelled with underscores", "Content-Length: 2", "Transfer_Encoding: chunked",
              body=b"{}" + hidden, status=200),
        _made("two lengths", "Content-Length: 0", f"Content-Length: {len(hidden)}", body=hidden),
        _made("the same length twice", "Content-Length: 2", "Content-Length: 2", body=b"{}" + hidden),
        _made("a list of lengths", "Content-Length: 2, 2", body=b"{}" + hidden),
        _made("a length with a sign", f"Content-Length: +{len(hidden)}", body=hidden),
        _made("a negative length", "Content-Length: -1", body=hidden),
        _made("a length with an underscore", "Content-Length: 1_0", body=b"0123456789" + hidden),
        _made("a hexadecimal length", "Content-Length: 0x2", body=b"{}" + hidden),
        _made("a length of no digits", "Content-Length: ", body=hidden),
        _made("a length that overflows", f"Content-Length: {2**64 + 2}", body=b"{}" + hidden, status=(400, 413)),
        _made("a chunk of 0x1", chunked, body=b"0x1\r\na\r\n0\r\n\r\n" + hidden),
        _made("a chunk with a sign", chunked, body=b"+1\r\na\r\n0\r\n\r\n" + hidden),
        _made("a chunk with an underscore", chunked, body=b"0_0\r\n\r\n" + hidden),
        _made("a chunk with a space", chunked, body=b"1 \r\na\r\n0\r\n\r\n" + hidden, status=(200, 400)),
        _made("a chunk that overflows", chunked, body=b"10000000000000000\r\n" + hidden, status=(200, 400)),
        _made("LF in a chunk extension", chunked, body=b"1;x\n1\r\na\r\n0\r\n\r\n" + hidden),
        _made("chunks that end with LF", chunked, body=b"1\na\n0\n\n" + hidden),
        _made("a chunk longer than it says", chunked, body=b"1\r\naXX\r\n0\r\n\r\n" + hidden),
        _made("a body of GET", f"Content-Length: {len(hidden)}", body=hidden, first="GET /agents HTTP/1.1",
              status=(200, 401)),
        _made("chunked in HTTP/1.0", length, chunked, body=after_end, first=f"POST {SAY} HTTP/1.0"),
        _made("an upgrade to h2c", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk",
              "Content-Length: 2", body=b"{}" + hidden, status=200),
        _made("an upgrade to WebSocket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Content-Length: 2", body=b"{}" + hidden, status=200),
    ]  # fmt: skip
    return [Odd(f"{each.name}, {kind}", each.request, each.direct) for each in found]


FRAMINGS = _framings(WHOLE, "a whole request hidden") + _framings(OPEN, "the beginning of one hidden")
_EMPTY = "Content-Length: 0"
OTHERS = [
    Odd("lines that end with LF", f"POST {SAY} HTTP/1.1\nHost: x\nContent-Length: 0\n\n".encode(), frozenset((400,))),
    _made("a folded header", "X-A: b", " c", _EMPTY),
    _made("a NUL in a value", "X-A: b\0c", _EMPTY),
    _made("two hosts", _EMPTY, host=("Host: x", "Host: y")),
    _made("no host", _EMPTY, host=()),
    _made("a path in Host", _EMPTY, host=("Host: x/agents",), status=(200, 400)),
    _made("a user in Host", _EMPTY, host=("Host: a@evil",), status=(200, 400)),
    _made("an absolute target", _EMPTY, first=f"POST http://evil{SAY} HTTP/1.1"),
    _made("an absolute target with a path of its own", _EMPTY, first=f"POST http://evil/{CANARY} HTTP/1.1"),
    _made("an encoded slash", _EMPTY, first="POST /agents/shop/echo%2fapi/a2a/skills/canary HTTP/1.1"),
    _made("an encoded backslash", _EMPTY, first="POST /agents/shop/echo%5capi/a2a/skills/canary HTTP/1.1"),
    _made("an empty segment", _EMPTY, first="POST /agents/shop//echo/api/a2a/skills/canary HTTP/1.1"),
    _made("two slashes at the beginning", _EMPTY, first=f"POST /{CANARY} HTTP/1.1"),
    _made("dot segments", _EMPTY, first=f"POST {SAY}/../canary HTTP/1.1"),
    _made("encoded dot segments", _EMPTY, first=f"POST {SAY}/%2e%2e/canary HTTP/1.1"),
    _made("Authorization twice", "Authorization: Bearer a", "Authorization: Bearer b", _EMPTY),
    _made("another method in a header", "X-HTTP-Method-Override: POST", "X-Method-Override: POST",
          first=f"GET {CANARY} HTTP/1.1", status=(401, 405)),
    _made("another path in a header", f"X-Original-URL: {CANARY}", f"X-Rewrite-URL: {CANARY}", _EMPTY,
          first="POST /agents HTTP/1.1", status=(401, 405)),
    _made("an unknown expectation", "Expect: canary", _EMPTY, status=417),
    _made("two spaces in the request line", _EMPTY, first=f"POST  {SAY} HTTP/1.1", status=(200, 400, 401)),
    _made("a space in the target", _EMPTY, first=f"POST {SAY} {CANARY} HTTP/1.1"),
    _made("HTTP/0.9", first=f"GET {CANARY}", host=()),
    _made("HTTP/2", body=b"SM\r\n\r\n", first="PRI * HTTP/2.0", host=()),
    _made("credentials in a trailer", "Transfer-Encoding: chunked", "Trailer: Authorization",
          body=b"0\r\nAuthorization: Bearer a\r\nContent-Length: 9\r\n\r\n", status=(200, 400, 401)),
]  # fmt: skip
ODD = FRAMINGS + OTHERS
