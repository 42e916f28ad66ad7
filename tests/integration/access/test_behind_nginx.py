"""Behind a real nginx, which keeps its connections to the gateway: what nginx forwards is one request to the gateway.

A client sends requests that parsers read differently, with a canary in them (`tests.parts.odd_requests`), and another
client uses the same connection after it. The figures are printed: what was tried and forwarded, and how many canaries
became requests that nginx had not seen, which is none.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from multidict import CIMultiDict
from tests.parts.access import bearer, guarded
from tests.parts.gateway import World, skill
from tests.parts.nginx import HEADERS, Forwarded, Nginx, nginx
from tests.parts.odd_requests import ODD, SAY, Odd, Recording, record
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, plain_agent, raw_server

from lambdaagent.a2a import extension_methods
from lambdaagent.identity import api_keys

VICTIM = api_keys.create("victim")
VICTIMS = "from=victim"
STREAMED = "proxy_request_buffering off"
LENIENT = ("underscores_in_headers on", "ignore_invalid_headers off")
CONFIGURED = {"as installed": (), "streamed and lenient": (STREAMED, *LENIENT)}


@dataclass
class Figures:
    tried: int = 0
    forwarded: int = 0
    smuggled: int = 0


@pytest.fixture(scope="module")
def figures() -> Iterator[Figures]:
    found = Figures()
    yield found
    print(
        f"\nbehind nginx: {found.tried} odd requests sent, {found.forwarded} requests forwarded, "
        f"{found.smuggled} smuggled"
    )


@pytest.fixture
def container() -> Iterator[PlainAgent]:
    with plain_agent() as agent:
        yield agent


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    return record(monkeypatch)


@pytest.fixture
async def gateway(tmp_path: Path, container: PlainAgent, recording: Recording) -> AsyncIterator[World]:
    file = {
        "apiKeys": [{"id": "victim", "sha256": api_keys.hash_of(VICTIM)}],
        "audit": {"sink": "file", "file": str(tmp_path / "audit.log")},
    }
    async with guarded(tmp_path / "access.yaml", file, trust_forwarded=True) as world:
        skills = [skill("say"), skill("canary")]
        world.agent(url=container.url, skills=skills, access={"grants": [{"principals": ["key:victim"]}]})
        yield world


@pytest.fixture(params=CONFIGURED)
async def proxy(request: pytest.FixtureRequest, tmp_path: Path, gateway: World) -> AsyncIterator[Nginx]:
    with nginx(tmp_path / "nginx", gateway.url, settings=CONFIGURED[request.param]) as found:
        yield found


async def sent(port: int, request: bytes) -> bytes:
    """Returns what comes until nginx closes the connection or has nothing more to say.

    The body is sent after the head: what nginx has of a body when it passes on the head, it gives a length.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = b""
    try:
        head, end, body = request.partition(b"\r\n\r\n")
        writer.write(head + end)
        await asyncio.sleep(0.02)
        writer.write(body)
        while True:
            async with asyncio.timeout(0.06 if found else 0.25):
                if not (piece := await reader.read(64 * 1024)):
                    return found
                found += piece
    except (TimeoutError, ConnectionError):
        return found
    finally:
        writer.close()


async def calls(world: World, proxy: Nginx, nonce: str) -> None:
    """The other client's request, which must get the answer to itself."""
    async with world.session.post(
        f"{proxy.url}{SAY}?{VICTIMS}", json={"text": nonce}, headers=bearer(VICTIM)
    ) as response:
        assert response.status == 200
        assert (await response.json())["you_said"] == nonce


async def forwarded(proxy: Nginx, recording: Recording, number: int) -> list[Forwarded]:
    """Returns what nginx forwarded: it logs a request after its answer, and the client may have it by then."""

    def logged() -> list[Forwarded]:
        requests = proxy.requests()
        found = [each for each in requests if each.upstream]
        complete = sum(VICTIMS in each.line for each in requests) == number and len(found) >= len(recording.received)
        return found if complete else []

    try:
        return await eventually(logged, within=3)
    except AssertionError:
        return [each for each in proxy.requests() if each.upstream]


def target(line: str) -> str:
    return re.sub(r"^http://[^/]*", "", line.split()[1])


async def test_what_nginx_forwards_is_one_request(
    gateway: World, proxy: Nginx, container: PlainAgent, recording: Recording, figures: Figures
) -> None:
    for number, odd in enumerate(ODD):
        await calls(gateway, proxy, f"before {number}")
        await sent(proxy.port, odd.request)
        for time in range(2):
            await calls(gateway, proxy, f"after {number} {time}")
        passed = await forwarded(proxy, recording, 3 * (number + 1))
        figures.tried += 1
        _compare(odd, passed, recording, figures)
        assert [each for each in container.seen if b"canary" in each.body] == [], odd.name
    figures.forwarded += len(passed)
    of_victim = [each.connection for each in recording.received if each.credentials]
    assert len(set(of_victim)) < len(of_victim) / 2, "nginx did not keep its connections, so nothing was tried"


def _compare(odd: Odd, passed: list[Forwarded], recording: Recording, figures: Figures) -> None:
    seen = [each.target for each in recording.received]
    known = [target(each.line) for each in passed]
    figures.smuggled += max(0, len(seen) - len(known))
    assert len(seen) <= len(known) <= len(seen) + recording.refused, odd.name
    assert not Counter(seen) - Counter(known), odd.name
    assert all(not each.credentials for each in recording.canaries), odd.name


async def test_a_server_that_reads_lengths_only_would_be_deceived(tmp_path: Path) -> None:
    """The same requests reach a server that ignores Transfer-Encoding: there the canary is a request."""
    heads: list[bytes] = []

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head)
            if length := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
                await reader.readexactly(int(length[1]))
            await asyncio.sleep(0.1)  # nginx sends the body meanwhile; after an answer it would not
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    hidden = next(each for each in ODD if each.name.startswith("chunked and length"))
    request = hidden.request.replace(b"Content-Length: 4\r\n", b"", 1)
    async with raw_server(conversation) as url:
        with nginx(tmp_path / "nginx", url, settings=(STREAMED,)) as proxy:
            await sent(proxy.port, request)
            known = await eventually(proxy.requests)
    assert [b"canary" in head for head in heads] == [False, True]
    assert [SAY in each.line for each in known] == [True]


# What a client claims, which nginx appends its own word to or replaces.
CLAIMS = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "X_Forwarded_For": "203.0.113.8",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=https",
    "X-Real-IP": "203.0.113.10",
    "True-Client-IP": "203.0.113.11",
    "X-Forwarded-Port": "1",
    "X-Client-Cert": "alice",
}
CARD = "/agents/shop/echo/.well-known/agent-card.json"


def said_by(card: str) -> str:
    """Returns the card without the URI of the extension, which no header changes."""
    return card.replace(extension_methods.URI, "")


@pytest.mark.parametrize("trusted", [True, False])
async def test_what_a_client_says_about_itself_never_counts(
    tmp_path: Path, container: PlainAgent, trusted: bool
) -> None:
    """Neither the rate of an address, nor the address in the audit log, nor the URLs of cards."""
    audit = tmp_path / "audit.log"
    file = {
        "ceiling": {"allowPublic": True},
        "limits": {"perPeer": {"requestsPerMinute": 1, "burst": 5}},
        "audit": {"sink": "file", "file": str(audit)},
    }
    async with guarded(tmp_path / "access.yaml", file, trust_forwarded=trusted) as gateway:
        gateway.agent(url=container.url, access={"public": True})
        with nginx(tmp_path / "nginx", gateway.url, settings=LENIENT) as proxy:
            found = []
            for number in range(8):
                claimed = CLAIMS | {"X-Forwarded-For": f"203.0.113.{number}"}
                async with gateway.session.get(proxy.url + CARD, headers=claimed) as response:
                    found.append((response.status, said_by(await response.text())))
            assert [status for status, _ in found] == [200] * 5 + [429] * 3
            assert all("evil" not in card and "https" not in card for _, card in found[:5])
            assert all(proxy.url in card for _, card in found[:5])

        def logged() -> list[str]:
            return audit.read_text().splitlines() if audit.exists() else []

        lines = [orjson.loads(line) for line in await eventually(logged)]
    assert {tuple(line["sourceIPs"]) for line in lines} == {("127.0.0.1",)}


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"])
async def test_a_proxy_that_appends_has_the_last_word(tmp_path: Path, container: PlainAgent, name: str) -> None:
    """Some proxies append to these headers, as all do to X-Forwarded-For, in the same line or in another one."""
    appended = [f'{name} "$http_{name.lower().replace("-", "_")}, {APPENDED[name]}"']
    others = [header for header in HEADERS if not header.startswith(f"{name} ")]
    async with guarded(tmp_path / "access.yaml", {"ceiling": {"allowPublic": True}}, trust_forwarded=True) as gateway:
        gateway.agent(url=container.url, access={"public": True})
        with nginx(tmp_path / "nginx", gateway.url, headers=[*others, *appended]) as proxy:
            async with gateway.session.get(proxy.url + CARD, headers={name: CLAIMS[name]}) as response:
                card = said_by(await response.text())
        said = CIMultiDict([(name, CLAIMS[name]), (name, APPENDED[name])])
        async with gateway.session.get(gateway.url + CARD, headers=said) as response:
            direct = said_by(await response.text())
    for each in (card, direct):
        assert "evil" not in each
        assert ("https" in each) is False
        assert APPENDED[name] in each


APPENDED = {"X-Forwarded-Host": "gateway.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/below"}
