"""What the client needs of HTTP: one request, and its response as it arrives.

A transport decides where a request may go and never follows a redirect. It raises UpstreamError if there is no
response.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from lambdaagent.mcp.client import Headers


class Reply(Protocol):
    """The head has arrived. Leaving the context of `Transport.send` ends the response, complete or not."""

    @property
    def status(self) -> int: ...

    def header(self, name: str) -> str | None:
        """Return the value of a header; the name is in small letters."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the decoded body. Its reader limits the size."""
        ...


class Transport(Protocol):
    def send(self, method: str, headers: Headers, body: bytes, *, seconds: float) -> AbstractAsyncContextManager[Reply]:
        """Send the request; `seconds` are for the whole response."""
        ...
