"""The bytes of a request's head: the target, the request line and the headers.

Hazard: header injection. A value from a client, an event or a custom resource that holds a line break would begin
another header or request. So the line breaks of the finished head are counted: there is exactly one per intended line,
whatever the values hold.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from lambdaagent.httpclient.errors import BadTargetError

Headers = Sequence[tuple[str, str]]

# RFC 9110 7.6.1, and others of one connection. `te` and `trailer` belong to the framing, which is made anew.
HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade", "expect")
)  # fmt: skip
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"/[!-~]*")
_OWN = frozenset(("host", "content-length", "transfer-encoding", "connection"))


@dataclass(frozen=True, slots=True)
class Target:
    """One container's address, parsed once per change of the agent and not once per call."""

    host: str
    port: int
    secure: bool = False
    path: str = ""
    authority: str = field(default="", compare=False)
    connections: int | None = field(default=None, compare=False)  # at once; None: the pool's limit
    _hash: int = field(init=False, compare=False, repr=False)  # needed by every call

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.host, self.port, self.secure, self.path)))

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    def parse(cls, url: str) -> "Target":
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadTargetError(f"the URL {url!r} cannot be called: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadTargetError(f"the URL {url!r} cannot be called: give http://host or https://host")
        path = parts.path.rstrip("/")
        if path and not _PATH.fullmatch(path):
            raise BadTargetError(f"the URL {url!r} cannot be called: its path needs percent-encoding")
        secure = parts.scheme == "https"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        default = 443 if secure else 80
        authority = host if port in (None, default) else f"{host}:{port}"
        return cls(host=parts.hostname, port=port or default, secure=secure, path=path, authority=authority)

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}"


def head(*, method: str, target: Target, path: str, headers: Headers, length: int | None, fixed: str = "") -> bytes:
    """Return the request's head; `length` None means chunked. Raises BadTargetError.

    Framing and Host are set here, and `headers` must not name them. `fixed` are header lines that `lines` made before,
    for what is the same in many requests.
    """
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    start = f"{method} {target.path}{path} HTTP/1.1\r\nHost: {target.authority}\r\n{framing}\r\n"
    # A space would split the request line.
    if start.count("\n") != 3 or start.count("\r") != 3 or "\0" in path or " " in path:
        raise BadTargetError("the path contains a line break, a NUL or a space; nothing was sent")
    return f"{start}{fixed}{lines(headers)}\r\n".encode("utf-8", "surrogateescape")


def lines(headers: Headers) -> str:
    """Return header lines, with exactly as many line breaks as headers. Raises BadTargetError."""
    text = "".join([f"{_name(name)}: {value}\r\n" for name, value in headers])
    count = len(headers)
    if text.count("\n") != count or text.count("\r") != count or "\0" in text:
        raise BadTargetError("a header contains a line break or a NUL; nothing was sent")
    return text


@lru_cache(1024)
def _name(name: str) -> str:
    if name.lower() in _OWN or not _TOKEN.fullmatch(name):
        raise BadTargetError(f"the header {name[:64]!r} cannot be sent")
    return name


def end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers without those of one connection, including names listed in Connection (RFC 9110 7.6.1)."""
    kept, named = [], ""
    for pair in headers:
        low = pair[0].lower()
        if low not in HOP_BY_HOP:
            kept.append(pair)
        elif low == "connection":
            named = f"{named},{pair[1]}"
    if not named or named.lower() in (",keep-alive", ",close"):
        return kept
    listed = {token.strip().lower() for token in named.split(",")}
    return [pair for pair in kept if pair[0].lower() not in listed]
