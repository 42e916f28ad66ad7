"""The gateway's own certificate: real handshakes, a new pair without a lost connection, and clients that misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.parts.authority import Authority, authority
from tests.parts.gateway import served
from tests.parts.polling import eventually

from lambdaagent import http_server
from lambdaagent.cancellation import cancel
from lambdaagent.gateway.certificate import CertificateError, CertificateFiles, ServerCertificate
from lambdaagent.gateway.serving import RunningGateway


@pytest.fixture
def pair(tmp_path: Path) -> Authority:
    return authority(tmp_path / "first")


@pytest.fixture
async def gateway(pair: Authority) -> AsyncIterator[RunningGateway]:
    async with served(tls=files(pair), plain_port=0, metrics_port=0) as running:
        yield running


def files(pair: Authority) -> CertificateFiles:
    return CertificateFiles(str(pair.certificate), str(pair.key))


def trusting(*pairs: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pairs[0].ca))
    for each in pairs[1:]:
        context.load_verify_locations(str(each.ca))
    return context


async def get(url: str, context: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context or True) as response:
        return response.status, await response.read()


def replace(pair: Authority, other: Authority) -> None:
    for mine, theirs in ((pair.certificate, other.certificate), (pair.key, other.key)):
        mine.write_bytes(theirs.read_bytes())


async def test_clients_are_served_over_tls_and_the_cluster_and_probes_without(
    gateway: RunningGateway, pair: Authority
) -> None:
    status, body = await get(f"https://localhost:{gateway.port}/.well-known/api-catalog", trusting(pair))
    assert status == 200
    assert f"https://localhost:{gateway.port}".encode() in body
    status, body = await get(f"http://localhost:{gateway.ports.plain}/.well-known/api-catalog")
    assert status == 200
    assert b"https://" not in body
    assert (await get(f"http://localhost:{gateway.ports.metrics}/readyz"))[0] == 200


async def test_a_client_that_does_not_trust_it_is_not_served(gateway: RunningGateway) -> None:
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await get(f"https://localhost:{gateway.port}/agents")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
async def test_before_tls_1_2_there_is_no_handshake(gateway: RunningGateway, pair: Authority) -> None:
    context = trusting(pair)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    for version, served_ in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context.maximum_version = version
        try:
            assert (await get(f"https://localhost:{gateway.port}/agents", context))[0] == 200
        except aiohttp.ClientConnectorError:
            assert not served_
        else:
            assert served_


@pytest.mark.parametrize("name", ["localhost", None])
async def test_a_new_pair_is_used_from_the_next_handshake_and_ends_no_connection(
    pair: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    monkeypatch.setattr("lambdaagent.gateway.certificate.EVERY", 0.02)
    other = authority(tmp_path / "second")
    async with served(tls=files(pair)) as gateway:
        reader, writer = await connected(gateway.port, trusting(pair), name)
        replace(pair, other)

        async def is_new() -> bool:
            try:
                _, newer = await connected(gateway.port, trusting(other), name)
            except ssl.SSLCertVerificationError:
                return False
            newer.close()
            return True

        await eventually(is_new)
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_the_links_of_a_mounted_secret_are_followed(tmp_path: Path) -> None:
    first, second = authority(tmp_path / "first"), authority(tmp_path / "second")
    data = tmp_path / "mounted" / "..data"
    data.parent.mkdir()
    data.symlink_to(first.certificate.parent)
    for name in (first.certificate.name, first.key.name):
        (data.parent / name).symlink_to(Path("..data") / name)
    mounted = CertificateFiles(str(data.parent / first.certificate.name), str(data.parent / first.key.name))
    certificate = ServerCertificate(mounted)
    assert certificate.refresh() is False
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context)
    port = server.sockets[0].getsockname()[1]
    new = data.with_name("..new")
    new.symlink_to(second.certificate.parent)
    new.replace(data)
    assert certificate.refresh() is True
    _, writer = await connected(port, trusting(second), "localhost")
    writer.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await connected(port, trusting(first), "localhost")
    server.close()
    await server.wait_closed()


async def test_an_error_that_nobody_thought_of_does_not_end_the_reading(
    pair: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdaagent.gateway.certificate.EVERY", 0.01)
    certificate, refresh, failures = ServerCertificate(files(pair)), ServerCertificate.refresh, [0]

    def fails(self: ServerCertificate) -> bool:
        if failures[0] < 3:
            failures[0] += 1
            raise AttributeError("nobody thought of it")
        return refresh(self)

    monkeypatch.setattr(ServerCertificate, "refresh", fails)
    following = asyncio.create_task(certificate.follow())
    other = authority(tmp_path / "second")
    replace(pair, other)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context)
    port = server.sockets[0].getsockname()[1]

    async def is_in_use() -> bool:
        try:
            _, writer = await connected(port, trusting(other), "localhost")
        except ssl.SSLCertVerificationError:
            return False
        writer.close()
        return True

    await eventually(is_in_use)
    assert failures == [3]
    await cancel(following)
    server.close()
    await server.wait_closed()


async def connected(
    port: int, context: ssl.SSLContext, name: str | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connects with or without a server name in the handshake."""
    context.check_hostname = name is not None
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name or "")


async def test_a_broken_pair_is_refused_once_and_the_last_good_one_stays(pair: Authority, tmp_path: Path) -> None:
    other, good = authority(tmp_path / "second"), pair.key.read_bytes()
    certificate = ServerCertificate(files(pair))
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context)
    port, trusted = server.sockets[0].getsockname()[1], trusting(pair)
    for broken in (b"", b"no PEM", good[:-30], other.key.read_bytes()):
        pair.key.write_bytes(broken)
        with pytest.raises(CertificateError, match=r"server\.key"):
            certificate.refresh()
        assert certificate.refresh() is False  # said once
        _, writer = await connected(port, trusted, "localhost")
        writer.close()
    pair.key.unlink()
    with pytest.raises(CertificateError, match="cannot be read"):
        certificate.refresh()
    pair.key.write_bytes(good)
    assert certificate.refresh() is True
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("missing", "No such file"),
        ("a folder", "is not a file"),  # nor is a pipe, which would block
        ("another key", "key values mismatch"),
        ("an encrypted key", "cannot be used"),
    ],
)
def test_at_the_start_a_broken_pair_is_an_error(pair: Authority, tmp_path: Path, what: str, said: str) -> None:
    if what == "missing":
        pair.key.unlink()
    elif what == "a folder":
        pair.key.unlink()
        pair.key.mkdir()
    elif what == "another key":
        pair.key.write_bytes(authority(tmp_path / "second").key.read_bytes())
    else:
        from cryptography.hazmat.primitives import serialization

        key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
    with pytest.raises(CertificateError, match=rf"server\.key.*{said}") as raised:
        ServerCertificate(files(pair))
    assert "BEGIN" not in str(raised.value)


async def test_a_client_that_does_not_finish_its_handshake_is_disconnected_and_delays_nobody(
    pair: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_HANDSHAKE", 0.5)
    async with served(tls=files(pair)) as gateway:
        slow = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(20)]
        slow[0][1].write(b"\x16\x03\x01\x02")  # the beginning of a ClientHello
        assert (await get(f"https://localhost:{gateway.port}/agents", trusting(pair)))[0] == 200
        async with asyncio.timeout(5):
            for reader, writer in slow:
                assert await reader.read() == b""
                writer.close()


async def test_plain_http_to_the_port_is_closed_and_others_are_served(gateway: RunningGateway, pair: Authority) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"GET /agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert b"HTTP/1.1" not in answer
    assert b"secret" not in answer
    assert (await get(f"https://localhost:{gateway.port}/agents", trusting(pair)))[0] == 200


@pytest.mark.parametrize("tls", [True, False])
async def test_a_client_that_does_not_read_is_disconnected_and_one_that_reads_is_not(
    pair: Authority, tls: bool
) -> None:
    size = 16 * 1024 * 1024
    app = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=bytes(size))

    app.router.add_get("/", answer)
    runner = http_server.ServerRunner(app, limits=http_server.HeadLimits(), refusal=http_server.plain, stalled=0.5)
    await runner.setup()
    try:
        context = ServerCertificate(files(pair)).context if tls else None
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        assert runner.server is not None
        place = {"host": "localhost", "port": runner.addresses[0][1], "ssl": trusting(pair) if tls else None}
        # With TLS, the event loop takes a response of one piece as a whole; the end of the connection is limited there.
        for close in () if tls else (b"", b"Connection: close\r\n"):
            reader, writer = await asyncio.open_connection(**place, limit=1024)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n%b\r\n" % close)
            await eventually(lambda: runner.server.connections)
            await eventually(lambda: not runner.server.connections, within=10)
            writer.transport.abort()
        reader, writer = await asyncio.open_connection(**place)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(size // (256 * 1024)):  # longer than the limit in all
                await reader.readexactly(256 * 1024)
                await asyncio.sleep(0.015)
            await asyncio.sleep(0.7)  # an idle connection is not one that does not read
        writer.close()
    finally:
        await runner.cleanup()
