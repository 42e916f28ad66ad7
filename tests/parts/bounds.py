"""Requests and responses of great size, number or depth, and the limits that the gateway keeps with them."""

import ssl
from collections.abc import Callable

import httpx
from tests.parts.lag import Watched

MOST_ANSWER = 64 * 1024  # bytes
MIB = 1024 * 1024
BASE = "/agents/shop/echo/api/a2a"
JSON = {"Content-Type": "application/json"}
V1 = JSON | {"A2A-Version": "1.0"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
EVENT = {"Content-Type": "application/cloudevents+json"}
# No test here uses https, and a context with all public authorities takes longer to make than most responses.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def post(gateway: Watched, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(gateway.world.url + path, content=body, headers=headers, timeout=30, verify=TLS)


def rpc(
    parts: bytes, *, method: str = "SendMessage", name: str = "parts", more: bytes = b"", message: bytes = b""
) -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":1,"method":"%b","params":{"message":{"messageId":"m","role":"ROLE_USER","%b":%b%b}%b}}'
        % (method.encode(), name.encode(), parts, message, more)
    )


def rest(parts: bytes, *, name: str = "parts") -> bytes:
    return b'{"message":{"messageId":"m","role":"ROLE_USER","%b":%b}}' % (name.encode(), parts)


def many(element: bytes, *, size: int = 6 * MIB) -> bytes:
    """Returns a JSON array of this element that has about `size` bytes."""
    return b"[" + b",".join([element] * (size // (len(element) + 1))) + b"]"


def members(count: int) -> bytes:
    return b"{" + b",".join(b'"%d":1' % n for n in range(count)) + b"}"


TEXT = b'[{"text":"x"}]'
Body = Callable[[], bytes]
"""Built when its test runs, because every worker of a run collects every case."""


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels
