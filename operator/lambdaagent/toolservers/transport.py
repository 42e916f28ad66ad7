"""HTTP requests to a tool server, at addresses that passed the check and nowhere else.

Redirects are not followed, and a compressed body is refused: nothing asked for one.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from lambdaagent.httpclient.errors import BadAnswerError, ConnectError, UpstreamError, UpstreamTimeoutError
from lambdaagent.mcp.client import Headers
from lambdaagent.webhooks import failure_text


class CheckedReply:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    def header(self, name: str) -> str | None:
        return self._response.headers.get(name)

    async def chunks(self) -> AsyncIterator[bytes]:
        coding = self._response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise BadAnswerError("its answer is compressed, which was not asked for")
        async for chunk in self._response.content.iter_any():
            yield chunk


class CheckedTransport:
    """`headers` hold the credential; they are sent with each request and appear in no error."""

    def __init__(self, session: aiohttp.ClientSession, url: str, headers: Sequence[tuple[str, str]]) -> None:
        self._session = session
        # As it is written: a decoded and encoded again path or query may be that of another route.
        self._url = URL(url, encoded=url.isascii())
        self._headers = headers

    @asynccontextmanager
    async def send(self, method: str, headers: Headers, body: bytes, *, seconds: float) -> AsyncIterator[CheckedReply]:
        sent = [*headers, ("accept-encoding", "identity"), *self._headers]
        try:
            async with self._session.request(
                method,
                self._url,
                headers=sent,
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                yield CheckedReply(response)
        except aiohttp.InvalidURL:
            raise UpstreamError("its URL cannot be called") from None  # the error's own text has the whole URL
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _kind(error)(failure_text.why(error, seconds=seconds)) from None


def _kind(error: Exception) -> type[UpstreamError]:
    if isinstance(error, TimeoutError):
        return UpstreamTimeoutError
    return ConnectError if isinstance(error, aiohttp.ClientConnectorError) else UpstreamError
