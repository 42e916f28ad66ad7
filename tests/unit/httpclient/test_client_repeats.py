"""Which requests the client sends again after a connection has closed, and which never."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from tests.parts.http_client import OK, fetch
from tests.parts.upstream import raw_server

from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import DroppedError


class Fickle:
    """A server in a thread, which can act while the event loop of the client is blocked."""

    def __init__(self, second: Callable[[socket.socket], None]) -> None:
        self.requests: list[bytes] = []
        self._second = second
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.may_act, self.acted = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        first, _ = self._listener.accept()
        self.requests.append(first.recv(65536))
        first.sendall(OK)
        self.may_act.wait(5)
        self._second(first)
        self.acted.set()
        self._listener.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            again, _ = self._listener.accept()
            self.requests.append(again.recv(65536))
            again.sendall(OK)
            again.close()

    def close(self) -> None:
        self.may_act.set()
        self._thread.join(5)
        self._listener.close()


@pytest.fixture
def fickle() -> AsyncIterator[Callable[[Callable[[socket.socket], None]], Fickle]]:
    made: list[Fickle] = []

    def make(second: Callable[[socket.socket], None]) -> Fickle:
        made.append(Fickle(second))
        return made[-1]

    yield make  # type: ignore[misc]
    for each in made:
        each.close()


async def test_a_request_that_met_a_connection_just_closed_as_idle_is_sent_again(
    client: HttpClient, fickle: Callable[..., Fickle]
) -> None:
    server = fickle(lambda kept: kept.close())
    assert (await fetch(client, server.url, body=b"one"))[1] == b"ok"
    # The loop is held, so that the request goes out before the client can hear of the close.
    server.may_act.set()
    server.acted.wait(5)
    assert (await fetch(client, server.url, body=b"two"))[1] == b"ok"
    assert [request[-3:] for request in server.requests] == [b"one", b"two"]


async def test_a_request_that_the_container_may_have_read_is_never_sent_again(
    client: HttpClient, fickle: Callable[..., Fickle]
) -> None:
    def read_and_die(kept: socket.socket) -> None:
        kept.recv(65536)
        kept.close()

    server = fickle(read_and_die)
    assert (await fetch(client, server.url, body=b"one"))[1] == b"ok"
    server.may_act.set()
    with pytest.raises(DroppedError, match="without answering"):
        await fetch(client, server.url, body=b"two")
    assert len(server.requests) == 1


async def test_a_first_request_is_never_sent_again(client: HttpClient) -> None:
    count = 0

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1

    async with raw_server(conversation) as url:
        with pytest.raises(DroppedError):
            await fetch(client, url)
    assert count == 1
