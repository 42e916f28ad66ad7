"""LAMBDAAGENT_CA_FILE: accepted files, messages of refused ones, and that it adds to the system's trust."""

import asyncio
import errno
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientConnectorError, ClientError, ServerDisconnectedError, web
from aiohttp.client_reqrep import ConnectionKey
from pydantic_settings import BaseSettings
from tests.parts.authority import Authority, authority
from tests.parts.http_servers import serving

from lambdaagent import trust
from lambdaagent.cli.processes import read_settings
from lambdaagent.errors import UsageError
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import ConnectError
from lambdaagent.httpclient.wire import Target
from lambdaagent.settings import (
    DispatcherSettings,
    EventsSettings,
    GatewaySettings,
    OperatorSettings,
    TaskSettings,
    TrustSettings,
)
from lambdaagent.webhooks import address_check

BEGIN, END = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("private"))


def faults(good: str) -> dict[str, tuple[str, str]]:
    head, _, _ = good.partition(END)
    return {
        "empty": ("", "is empty"),
        "blank": (" \n\n", "is empty"),
        "something else": ("ssh-ed25519 AAAA someone\n", "contains no certificate"),
        "a key": (good.replace("CERTIFICATE", "PRIVATE KEY"), "contains no certificate"),
        "cut off": (head, "cut off"),
        "the second is cut off": (good + head, "cut off"),
        "not base64": (good.replace("M", "%"), "not base64"),
        "not of certificates": (f"{BEGIN}AAAA\n{END}", "certificate 1 cannot be read"),
        "the second is none": (f"{good}{BEGIN}AAAA\n{END}", "certificate 2 cannot be read"),
        "too large": (good + "#" * 1024 * 1024, "larger than 1024 KiB"),
    }


@pytest.mark.parametrize("fault", faults("").keys())
def test_a_file_that_will_not_do_is_refused_with_its_fault(fault: str, private: Authority, tmp_path: Path) -> None:
    text, said = faults(private.ca.read_text())[fault]
    path = tmp_path / "ca.crt"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as refused:
        trust.read(str(path))
    assert str(path) in str(refused.value)


def test_a_path_that_is_no_file_is_refused(private: Authority, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "none", "cannot be read: No such file"),
        (tmp_path, "is not a file"),
        (tmp_path / "pipe", "is not a file"),
        (private.ca / "below", "cannot be read: Not a directory"),
    ):
        with pytest.raises(ValueError, match=said):
            trust.read(str(path))


@pytest.mark.parametrize(
    "model", [OperatorSettings, GatewaySettings, DispatcherSettings, EventsSettings, TaskSettings, TrustSettings]
)
def test_every_process_names_the_setting_and_the_fault(
    model: type[BaseSettings], private: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.crt").write_text("")
    monkeypatch.setenv("LAMBDAAGENT_CA_FILE", str(tmp_path / "ca.crt"))
    with pytest.raises(UsageError, match=r"LAMBDAAGENT_CA_FILE: .*ca\.crt is empty"):
        read_settings(model)
    monkeypatch.setenv("LAMBDAAGENT_CA_FILE", str(private.ca))
    settings = read_settings(model)
    assert isinstance(settings, TrustSettings)
    assert settings.trust.pem == private.ca.read_text()


def test_what_was_read_stays(private: Authority, tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_text(private.ca.read_text())
    settings = OperatorSettings(ca_file=str(path))
    path.write_text("changed meanwhile")
    assert settings.model_copy(update={"gateway_image": "i"}).trust.pem == private.ca.read_text()


def test_a_file_adds_to_what_the_system_trusts(private: Authority, tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes("# Häuser\n".encode("latin-1") + private.ca.read_bytes() * 2)
    system, more = trust.SYSTEM.context(), trust.read(str(tmp_path / "bundle")).context()
    assert more.cert_store_stats()["x509"] == system.cert_store_stats()["x509"] + 1
    assert trust.read("") == trust.SYSTEM


@asynccontextmanager
async def private_server(by: Authority) -> AsyncIterator[int]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    async with serving(app, tls=by.server()) as url:
        yield int(url.rpartition(":")[2])


async def test_clients_of_https_accept_it(private: Authority) -> None:
    trusted = trust.read(str(private.ca))

    async def by_session(url: str, known: trust.Trust) -> str:
        async with address_check.session(lambda _: None, seconds=5, trust=known) as session, session.get(url) as answer:
            return await answer.text()

    async def by_client(url: str, known: trust.Trust) -> str:
        client = HttpClient(tls=known.context)
        try:
            request = await client.request(Target.parse(url), method="GET", path="/", first_byte=5, total=5)
            async with request as answer:
                return (await answer.read(limit=100)).decode()
        finally:
            await client.close()

    async with private_server(private) as port:
        url = f"https://127.0.0.1:{port}/"
        assert (await by_session(url, trusted), await by_client(url, trusted)) == ("hello", "hello")
        with pytest.raises(ClientError, match="certificate verify failed"):
            await by_session(url, trust.SYSTEM)
        with pytest.raises(ConnectError):
            await by_client(url, trust.SYSTEM)


@pytest.mark.parametrize(
    ("names", "known", "said"),
    [
        (("127.0.0.1",), False, "name a file with its authority's certificate in LAMBDAAGENT_CA_FILE"),
        (("elsewhere.example",), True, "use a name that the certificate is for"),
        (("127.0.0.2",), True, "use a name that the certificate is for"),
    ],
)
async def test_an_error_says_what_to_do(names: tuple[str, ...], known: bool, said: str, tmp_path: Path) -> None:
    by = authority(tmp_path, names=names)
    context = (trust.read(str(by.ca)) if known else trust.SYSTEM).context()
    async with private_server(by) as port:
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            await asyncio.open_connection("127.0.0.1", port, ssl=context)
    text = trust.explain(refused.value)
    assert "certificate verification failed" in text
    assert said in text


def test_why_a_server_was_not_reached_names_no_address() -> None:
    key = ConnectionKey("h", 443, True, True, None, None, None)
    refused = ClientConnectorError(key, OSError(errno.ECONNREFUSED, "Connect call failed ('10.0.0.1', 443)"))
    assert trust.unreachable(refused) == "Connection refused"
    assert trust.unreachable(ServerDisconnectedError()) == "ServerDisconnectedError"
