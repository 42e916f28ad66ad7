"""Requests to a container that is an MCP server. Only connecting is repeated: its pod may be starting."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from lambdaagent.containers.callee import Callee
from lambdaagent.containers.cold_start import until_connected
from lambdaagent.httpclient.client import HttpClient, Response
from lambdaagent.httpclient.codings import ACCEPT_ENCODING
from lambdaagent.httpclient.wire import Target
from lambdaagent.mcp.client import Headers

_DEFAULT_PATH = "/mcp"


def path(callee: Callee) -> str:
    """Return the path at which a container is an MCP server."""
    return callee.container_path or _DEFAULT_PATH


class ContainerReply:
    def __init__(self, response: Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    def header(self, name: str) -> str | None:
        return self._response.header(name)

    def chunks(self) -> AsyncIterator[bytes]:
        return self._response.decoded(limit=None)


class ContainerTransport:
    """`headers` are for each request: who asks, and an external server's own credential, but never the caller's."""

    def __init__(
        self, client: HttpClient, target: Target, path: str, *, headers: Sequence[tuple[str, str]], patience: float
    ) -> None:
        self._client = client
        self._target = target
        self._path = path
        self._headers = headers
        self._patience = patience

    @asynccontextmanager
    async def send(
        self, method: str, headers: Headers, body: bytes, *, seconds: float
    ) -> AsyncIterator[ContainerReply]:
        response = await until_connected(
            lambda left: self._client.request(
                self._target,
                method=method,
                path=self._path,
                headers=[*headers, ACCEPT_ENCODING, *self._headers],
                body=body,
                first_byte=left,
                total=left,
            ),
            seconds=seconds,
            patience=self._patience,
        )
        async with response:
            yield ContainerReply(response)
