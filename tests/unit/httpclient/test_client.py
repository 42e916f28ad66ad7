"""The HTTP client against real sockets: what it reads, what it refuses, when it sends again, and what it holds."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from tests.parts.upstream import Conversation, raw_server, read_request

from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import (
    BadAnswerError,
    BadTargetError,
    BodyLengthError,
    BusyError,
    ConnectError,
    DroppedError,
    UpstreamError,
    UpstreamTimeoutError,
)
from lambdaagent.httpclient.pool import PoolLimits
from lambdaagent.httpclient.wire import Headers, Target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient(limits=PoolLimits(connections=2, header_bytes=2000, keep_idle=30))
    yield made
    await made.close()


def saying(*pieces: bytes, close: bool = False) -> Conversation:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if close:
                return

    return conversation


async def fetch(
    client: HttpClient, url: str, *, first_byte: float = 5, total: float = 5, **kwargs: object
) -> tuple[int, bytes]:
    response = await client.request(Target.parse(url), first_byte=first_byte, total=total, **kwargs)  # type: ignore[arg-type]
    async with response:
        return response.status, await response.read(limit=10_000_000)


@pytest.mark.parametrize(
    ("answer", "close", "body"),
    [
        pytest.param([OK], False, b"ok", id="a length"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nTransfer-Enc", b"oding: chunked\r\n\r\n1\r\no\r\n", b"1\r\nk\r\n0\r\n\r\n"],
            False,
            b"ok",
            id="chunks in pieces",
        ),
        pytest.param([b"HTTP/1.0 200 OK\r\n\r\nok"], True, b"ok", id="until the end of the connection"),
        pytest.param([b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n", OK], False, b"ok", id="after an interim answer"),
        pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], False, b"", id="no content"),
    ],
)
async def test_an_answer_is_read_to_its_end(client: HttpClient, answer: list[bytes], close: bool, body: bytes) -> None:
    async with raw_server(saying(*answer, close=close)) as url:
        assert (await fetch(client, url, body=b"x"))[1] == body
        assert (await fetch(client, url, body=b"x"))[1] == body


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        pytest.param(b"", DroppedError, "without answering", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", DroppedError, "middle", id="half of the body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Long: ", DroppedError, "middle", id="half of the head"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            BadAnswerError,
            "other than chunked",
            id="a transfer coding",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\nok",
            BadAnswerError,
            "other than chunked",
            id="an unknown transfer coding",
        ),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", BadAnswerError, "not HTTP", id="another protocol"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
            BadAnswerError,
            "headers over 2000",
            id="endless headers",
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            BadAnswerError,
            "switched|not HTTP",
            id="an upgrade",
        ),
    ],
)
async def test_nonsense_is_an_error_that_says_what_happened(
    client: HttpClient, answer: bytes, error: type[UpstreamError], says: str
) -> None:
    async with raw_server(saying(answer, close=True)) as url:
        with pytest.raises(error, match=says):
            await fetch(client, url)


async def test_a_body_over_the_limit_is_refused(client: HttpClient) -> None:
    async with raw_server(saying(OK)) as url:
        response = await client.request(Target.parse(url), first_byte=5, total=5)
        with pytest.raises(BadAnswerError, match="more than 1 bytes"):
            async with response:
                await response.read(limit=1)


async def test_connections_are_kept_and_reused(client: HttpClient) -> None:
    connections: set[asyncio.StreamWriter] = set()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        while True:
            await read_request(reader)
            writer.write(OK)

    async with raw_server(conversation) as url:
        for _ in range(5):
            await fetch(client, url, body=b"x")
    assert len(connections) == 1


@pytest.mark.parametrize("stray", [b"x", OK], ids=["bytes", "a second answer"])
async def test_a_connection_that_says_more_than_its_answer_is_not_used_again(client: HttpClient, stray: bytes) -> None:
    async with raw_server(saying(OK, stray)) as url:
        for _ in range(3):
            assert (await fetch(client, url))[1] == b"ok"


class Gate:
    """Answers when it is opened; `asked` has an entry per request that arrived."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[None] = asyncio.Queue()
        self.open = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            self.asked.put_nowait(None)
            await self.open.wait()
            writer.write(OK)


async def test_more_callers_than_connections_wait_and_then_hear_that_it_is_busy(client: HttpClient) -> None:
    gate = Gate()
    async with raw_server(gate) as url:
        held = [asyncio.create_task(fetch(client, url)) for _ in range(2)]
        for _ in held:
            await asyncio.wait_for(gate.asked.get(), 20)
        with pytest.raises(BusyError, match=r"all 2 connections to .* stayed in use for 0\.05 s"):
            await fetch(client, url, first_byte=0.05)
        waiting = asyncio.create_task(fetch(client, url))
        await asyncio.sleep(0)
        gate.open.set()
        assert [answer[1] for answer in await asyncio.gather(*held, waiting)] == [b"ok"] * 3


async def test_the_queue_of_waiting_callers_is_bounded_and_a_caller_that_leaves_it_passes_its_turn_on() -> None:
    client = HttpClient(limits=PoolLimits(connections=1, waiting=1))
    gate = Gate()
    async with raw_server(gate) as url:
        held = asyncio.create_task(fetch(client, url))
        await asyncio.wait_for(gate.asked.get(), 20)
        leaving = asyncio.create_task(fetch(client, url))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="are in use and 1 callers wait"):
            await fetch(client, url)
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        staying = asyncio.create_task(fetch(client, url))
        await asyncio.sleep(0)
        gate.open.set()
        assert (await held, await staying) == ((200, b"ok"), (200, b"ok"))
        await client.close()


async def test_closing_the_client_tells_those_who_use_it_and_those_who_wait() -> None:
    client = HttpClient(limits=PoolLimits(connections=1))
    gate = Gate()
    async with raw_server(gate) as url:
        held = asyncio.create_task(fetch(client, url))
        await asyncio.wait_for(gate.asked.get(), 20)
        waiting = asyncio.create_task(fetch(client, url))
        await asyncio.sleep(0)
        await client.close()
        outcomes = await asyncio.gather(held, waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DroppedError, ConnectError]


async def test_a_slow_answer_is_a_timeout_before_its_head_and_in_its_middle(client: HttpClient) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    async def halting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
        await reader.read()

    async with raw_server(silent) as url:
        with pytest.raises(UpstreamTimeoutError, match="did not begin to answer"):
            await fetch(client, url, first_byte=0.02, total=5)
    async with raw_server(halting) as url:
        with pytest.raises(UpstreamTimeoutError, match="did not finish"):
            await fetch(client, url, first_byte=5, total=0.05)


async def test_cancelling_closes_the_connection(client: HttpClient) -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        seen.put_nowait("asked")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        seen.put_nowait("closed")

    async with raw_server(conversation) as url:
        task = asyncio.create_task(fetch(client, url))
        assert await asyncio.wait_for(seen.get(), 20) == "asked"
        task.cancel()
        assert await asyncio.wait_for(seen.get(), 20) == "closed"


async def test_nobody_listening_and_an_unknown_host_are_connect_errors(client: HttpClient) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ConnectError, match="does not accept connections"):
        await fetch(client, url)
    with pytest.raises(ConnectError):
        await fetch(client, "http://no-such-host.invalid")


class Fickle:
    """A server in a thread, so that it can act while the client's loop is held still."""

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


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("length", [None, 4], ids=["chunked", "with a length"])
async def test_a_streamed_body_arrives_whole(client: HttpClient, length: int | None) -> None:
    got: list[bytes] = []

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append((await read_request(reader))[1])
        writer.write(OK)
        await reader.read()

    async with raw_server(conversation) as url:
        assert (await fetch(client, url, body=pieces(b"ab", b"", b"cd"), length=length))[1] == b"ok"
    assert got == [b"abcd"]


async def test_a_source_that_fails_fails_the_request_with_its_own_error(client: HttpClient) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("the client went away")

    async with raw_server(saying(OK)) as url:
        with pytest.raises(LookupError, match="went away"):
            await fetch(client, url, body=broken())


async def test_an_early_answer_ends_a_request_that_is_still_being_sent(client: HttpClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with raw_server(refusing) as url:
        assert (await fetch(client, url, body=endless()))[0] == 413


async def test_a_slow_reader_slows_the_container_and_not_this_process_memory(client: HttpClient) -> None:
    sent = 0

    async def flooding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n")
        for _ in range(640):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with raw_server(flooding) as url:
        response = await client.request(Target.parse(url), first_byte=5, total=30)
        async with response:
            held = -1
            while sent != held:
                held = sent
                await asyncio.sleep(0.1)
            assert held < 20_000_000
            assert len(await response.read(limit=64_000_000)) == 64_000_000


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        pytest.param([("x", "a\r\nInjected: 1")], "/", id="a line break in a value"),
        pytest.param([("x", "a\nb")], "/", id="a line feed in a value"),
        pytest.param([("x", "a\0b")], "/", id="a NUL"),
        pytest.param([("x\r\ny", "a")], "/", id="a line break in a name"),
        pytest.param([("bad name", "a")], "/", id="a space in a name"),
        pytest.param([("Content-Length", "7")], "/", id="framing of one's own"),
        pytest.param([("Host", "other")], "/", id="a host of one's own"),
        pytest.param([], "/ HTTP/1.1\r\nx: y\r\n\r\n", id="a line break in the path"),
        pytest.param([], "/a b", id="a space in the path"),
    ],
)
async def test_header_injection_is_refused_before_anything_is_sent(
    client: HttpClient, headers: Headers, path: str
) -> None:
    with pytest.raises(BadTargetError):
        await fetch(client, "http://127.0.0.1:1", headers=headers, path=path)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "nonsense", "http://x:99999", "http://x/a b"])
def test_a_url_that_cannot_be_called_is_named(url: str) -> None:
    with pytest.raises(BadTargetError, match="cannot be called"):
        Target.parse(url)


def test_a_target_knows_its_authority() -> None:
    assert Target.parse("http://h").authority == "h"
    assert Target.parse("https://h:8443/base/").authority == "h:8443"
    assert Target.parse("https://h:8443/base/").path == "/base"
    assert str(Target.parse("http://[::1]:80")) == "http://[::1]"


async def test_after_close_nothing_is_called_and_waiters_are_told(client: HttpClient) -> None:
    await client.close()
    with pytest.raises(UpstreamError, match="stopping"):
        await fetch(client, "http://127.0.0.1:1")


async def test_head_is_not_spoken(client: HttpClient) -> None:
    with pytest.raises(ValueError, match="HEAD"):
        await fetch(client, "http://127.0.0.1:1", method="HEAD")


async def test_idle_connections_are_closed_in_time(client: HttpClient) -> None:
    ended = asyncio.Event()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        ended.set()

    async with raw_server(conversation) as url:
        await fetch(client, url)
        pool = client._pool(Target.parse(url))
        pool.sweep(asyncio.get_running_loop().time())
        assert not pool.unused
        pool.sweep(asyncio.get_running_loop().time() + 31)
        assert pool.unused
        await asyncio.wait_for(ended.wait(), 20)
        client._sweep()
        assert client._pools == {}


async def test_tls_is_verified_unless_told_otherwise(tmp_path: object) -> None:
    certificate, key = _certificate()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    server = await asyncio.start_server(saying(OK), "127.0.0.1", 0, ssl=serving)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def trusting() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=certificate)

    strict, trusted = HttpClient(), HttpClient(tls=trusting)
    with pytest.raises(ConnectError, match=r"(?i)certificate"):
        await fetch(strict, url)
    assert await fetch(trusted, url) == (200, b"ok")
    assert await fetch(trusted, url) == (200, b"ok")
    await strict.close()
    await trusted.close()
    server.close()
    await server.wait_closed()


def _certificate() -> tuple[str, str]:
    import datetime
    import ipaddress
    import tempfile
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = Path(tempfile.mkdtemp())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.mark.parametrize("length", [0, 1, 5, 99_999])
@pytest.mark.parametrize("difference", [-1, 1, 50_000])
@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_body_that_is_not_as_long_as_was_said_is_not_finished_and_ends_the_connection(
    client: HttpClient, length: int, difference: int, pieces: int
) -> None:
    """The bytes beyond would be the container's next request, and its answer the next caller's."""
    actual = length + difference
    if actual < 0:
        actual = length + 1
    seen, ended = bytearray(), asyncio.Event()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(64 * 1024):
                seen.extend(piece)
        ended.set()

    async def body() -> AsyncIterator[bytes]:
        for at in range(0, actual, max(1, -(-actual // pieces))):
            yield b"x" * min(max(1, -(-actual // pieces)), actual - at)

    async with raw_server(conversation) as url:
        with pytest.raises(BodyLengthError, match=f"length of {length}"):
            await fetch(client, url, body=body(), length=length)
        await asyncio.wait_for(ended.wait(), 20)
    assert len(seen.partition(b"\r\n\r\n")[2]) <= length


async def test_a_caller_that_comes_again_at_once_does_not_overtake_those_who_wait() -> None:
    client, gate = HttpClient(limits=PoolLimits(connections=1)), Gate()
    order: list[str] = []

    async def calls(name: str, count: int, url: str) -> None:
        for _ in range(count):
            await fetch(client, url)
            order.append(name)

    async with raw_server(gate) as url:
        greedy = asyncio.create_task(calls("greedy", 10, url))
        await asyncio.wait_for(gate.asked.get(), 20)
        patient = [asyncio.create_task(calls(f"patient {number}", 1, url)) for number in range(3)]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(greedy, *patient)
    await client.close()
    assert order[:4] == ["greedy", "patient 0", "patient 1", "patient 2"]
