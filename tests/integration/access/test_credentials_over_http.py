"""Credentials in requests to a whole gateway: what is refused, how, when, and that none of it is repeated anywhere."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs
from tests.integration.gateway.raw import head, said
from tests.parts.access import Readings, bearer, guarded, of, write
from tests.parts.clocks import SetClock
from tests.parts.gateway import Answer, World, message
from tests.parts.issuer import Issuer, ec_key, issuing
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

from lambdaagent.access.rules import Mode
from lambdaagent.clock import rfc3339
from lambdaagent.identity import api_keys, jwts
from lambdaagent.identity.jwks import STALE

ECHO = "/agents/shop/echo"
A2A, SKILL, CARD = f"{ECHO}/api/a2a", f"{ECHO}/api/a2a/skills/say", f"{ECHO}/.well-known/agent-card.json"
KEY, SHORT, REVOKED = api_keys.create("ci"), api_keys.create("short"), api_keys.create("gone")
HMAC_KEY = b"h" * 40
SECRET = "s3cr3t-" * 6
CHALLENGE = re.compile(r'Bearer realm="lambdaagent"(?:, [a-z_]+="[^"\\\x00-\x1f\x7f-\U0010ffff]*")*')
BODY = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message()}}


@pytest.fixture
def time() -> SetClock:
    return SetClock()


@pytest.fixture
async def issuer(time: SetClock) -> AsyncIterator[Issuer]:
    async with issuing(key=ec_key(61), now=lambda: time.time) as found:
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.yaml"


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def installation(tmp_path: Path, issuer: Issuer, time: SetClock, audit: Path) -> dict[str, Any]:
    """Returns the content of the access file."""
    (tmp_path / "batch.key").write_bytes(HMAC_KEY)
    return {
        "issuers": [issuer.configured()],
        "apiKeys": [
            {"id": "ci", "sha256": api_keys.hash_of(KEY)},
            {"id": "short", "sha256": api_keys.hash_of(SHORT), "expires": rfc3339(time.time + 60)},
        ],
        "hmac": [{"id": "batch", "keyFile": str(tmp_path / "batch.key")}],
        "audit": {"sink": "file", "file": str(audit)},
    }


@pytest.fixture
async def gateway(
    file: Path, installation: dict[str, Any], time: SetClock, container: PlainAgent
) -> AsyncIterator[World]:
    async with guarded(file, installation, clock=time.clock) as world:
        world.agent(url=container.url, access={"grants": [{"principals": CALLERS}]})
        yield world


CALLERS = ["corp:alice", "key:ci", "key:short", "hmac:batch"]


async def call(gateway: World, headers: dict[str, str], path: str = SKILL, method: str = "POST") -> Answer:
    return await gateway.request(method, path, json={"text": "hi"} if method == "POST" else None, headers=headers)


def challenge(answer: Answer) -> dict[str, str]:
    """Returns the parameters of the one challenge of a 401."""
    assert answer.status == 401
    (found,) = answer.headers.getall("WWW-Authenticate")
    assert CHALLENGE.fullmatch(found), found
    pairs = re.findall(r'([a-z_]+)="([^"]*)"', found)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


async def test_each_kind_of_credential_is_accepted(gateway: World, issuer: Issuer, time: SetClock) -> None:
    token = jwts.hmac_token("batch", HMAC_KEY, now=time.time, seconds=60)
    accepted = [of(issuer), bearer(KEY), {"X-API-Key": KEY}, bearer(token)]
    for headers in accepted:
        assert (await call(gateway, headers)).status == 200
    for scheme in ("bearer", "BEARER", "Bearer  "):
        assert (await call(gateway, {"Authorization": f"{scheme} {KEY}"})).status == 200


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([f"Authorization: Bearer {KEY}", f"X-API-Key: {KEY}"], id="one in each header"),
        pytest.param([f"Authorization: Bearer {KEY}", "X-API-Key:"], id="an empty key beside"),
        pytest.param(["Authorization: Basic YTpi", f"X-API-Key: {KEY}"], id="another scheme beside"),
        pytest.param([f"Authorization: Bearer {KEY}", f"Authorization: Bearer {KEY}"], id="the same twice"),
        pytest.param([f"Authorization: Bearer {KEY}", "authorization: Bearer x"], id="two bearers"),
        pytest.param(["Authorization:", f"Authorization: Bearer {KEY}"], id="an empty one before"),
        pytest.param([f"X-API-Key: {KEY}", f"x-api-key: {KEY}"], id="two keys"),
    ],
)
async def test_two_credentials_are_one_too_many(gateway: World, container: PlainAgent, lines: list[str]) -> None:
    """A proxy in front may look at the other one."""
    for path in (SKILL, A2A, CARD, f"{ECHO}/api/a2a/message:send", "/agents", "/events/shop"):
        request = head(path, "Content-Length: 0", *lines)
        if path in (CARD, "/agents"):
            request = request.replace(b"POST", b"GET", 1)
        status, answer = await said(gateway, request)
        assert status == 400, path
        assert KEY.encode() not in answer and b"WWW-Authenticate" not in answer
    assert container.seen == []


BAD = [
    pytest.param({"Authorization": ""}, id="an empty header"),
    pytest.param({"Authorization": "Bearer"}, id="no token"),
    pytest.param({"Authorization": "Bearer "}, id="a space as token"),
    pytest.param({"Authorization": KEY}, id="no scheme"),
    pytest.param({"Authorization": f"Basic {base64.b64encode(f'ci:{KEY}'.encode()).decode()}"}, id="Basic"),
    pytest.param({"Authorization": f"Basic {KEY}"}, id="a key with Basic"),
    pytest.param({"Authorization": f'Digest key="{KEY}"'}, id="Digest"),
    pytest.param({"Authorization": f"DPoP {KEY}"}, id="DPoP"),
    pytest.param({"Authorization": f"Token {KEY}"}, id="another scheme"),
    pytest.param({"Authorization": f"Bearer,{KEY}"}, id="a comma"),
    pytest.param({"Authorization": f"Bearer={KEY}"}, id="an equals sign"),
    pytest.param({"Authorization": f"Bearer\t{KEY}"}, id="a tab"),
    pytest.param({"Authorization": f"Bearer {KEY}, Bearer {KEY}"}, id="a list"),
    pytest.param({"Authorization": f'Bearer "{KEY}"'}, id="quotes"),
    pytest.param({"Authorization": f"Bearer {REVOKED}"}, id="a key that is not in the file"),
    pytest.param({"Authorization": f"Bearer {KEY}x"}, id="a key and a letter"),
    pytest.param({"X-API-Key": ""}, id="an empty key"),
    pytest.param({"X-API-Key": f"Bearer {KEY}"}, id="a scheme before the key"),
    pytest.param({"X-API-Key": REVOKED}, id="another key"),
    pytest.param({"Authorization": f"Bearer {SECRET}"}, id="no token at all"),
    pytest.param({"Authorization": f"Bearer {SECRET}.{SECRET}.{SECRET}"}, id="three words"),
    pytest.param({"Authorization": f'Bearer {SECRET}"\\, error="x'}, id="quotes and a backslash"),
    pytest.param({"Authorization": f"Bearer {SECRET * 400}"}, id="a token of 17 KB"),
]


def parts(headers: dict[str, str]) -> list[str]:
    """Returns what must not be repeated: the credential and its longer pieces."""
    (value,) = headers.values()
    return [piece for piece in re.split(r"[ ._,=\"\t]+", value) if len(piece) > 7]


@pytest.mark.parametrize("headers", BAD)
async def test_a_credential_that_is_none_is_refused_and_never_repeated(
    gateway: World, container: PlainAgent, audit: Path, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as lines:
        for path, method in (
            (SKILL, "POST"),
            (A2A, "POST"),
            (CARD, "GET"),
            ("/agents", "GET"),
            ("/events/shop", "POST"),
        ):
            answer = await call(gateway, headers, path, method)
            found = challenge(answer)
            assert found["error"] == "invalid_token"
            assert answer.content_type == "application/problem+json"
            assert (await answer.json())["type"] == "urn:lambdaagent:problem:invalid-credential"
            _silent(headers, str(answer.headers), answer.body.decode())
    metrics = (await (await call(gateway, {}, "/metrics", "GET")).read()).decode()
    await eventually(audit.exists)
    _silent(headers, str(lines), caplog.text, metrics, audit.read_text())
    assert container.seen == []


def _silent(headers: dict[str, str], *texts: str) -> None:
    for piece in parts(headers):
        for text in texts:
            assert piece not in text


async def test_a_good_credential_is_not_repeated_either(
    gateway: World,
    issuer: Issuer,
    container: PlainAgent,
    audit: Path,
    time: SetClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither to the container, which could use it elsewhere, nor to any log."""
    token = jwts.hmac_token("batch", HMAC_KEY, now=time.time, seconds=60)
    for headers in (of(issuer), bearer(KEY), {"X-API-Key": KEY}, bearer(token)):
        with capture_logs() as lines:
            direct = await call(gateway, headers)
            task = await gateway.rpc("SendMessage", {"message": message()}, **headers)
            missing = await call(gateway, headers, f"{ECHO}/nowhere")
            forbidden = await call(gateway, headers, "/events/shop")
        assert (direct.status, missing.status, forbidden.status) == (200, 404, 403) and task["result"]
        seen = "".join(f"{each.path}{each.headers}{each.body!r}" for each in container.seen)
        answers = "".join(f"{each.headers}{each.body!r}" for each in (direct, missing, forbidden))
        _silent(headers, str(lines), caplog.text, seen, answers, str(task))
        assert not any({"authorization", "x-api-key"} & set(each.headers) for each in container.seen)
    assert len(container.seen) == 8
    await eventually(lambda: audit.exists() and audit.read_text().count("hmac:batch") >= 3)
    for secret in (KEY, token, HMAC_KEY.decode()):
        assert secret not in audit.read_text()


@pytest.mark.parametrize("name", ["access_token", "token", "key", "api_key", "authorization", "X-API-Key"])
async def test_a_credential_in_the_url_is_none(
    gateway: World, container: PlainAgent, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as lines:
        answer = await call(gateway, {}, f"{SKILL}?{name}={KEY}")
    assert "error" not in challenge(answer)  # RFC 6750 section 3.1: the request has no credential
    assert KEY not in f"{answer.headers}{answer.body!r}{lines}{caplog.text}"
    assert (await call(gateway, {"Cookie": f"{name}={KEY}; Authorization={KEY}"})).status == 401
    assert (await call(gateway, {f"X-{name}": KEY, "Proxy-Authorization": f"Bearer {KEY}"})).status == 401
    assert container.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "/agents/shop%0d%0aX-Evil:%201/echo/api/a2a",
        "/agents/shop/echo%0d%0a%0d%0a<script>/api/a2a",
        "/agents/shop/echo%0aX-Evil:%201/api/a2a",
        "/agents/shop%22,%20resource_metadata=%22https:%3f%3fevil/echo/api/a2a",
        "/agents/shop/echo%22/api/a2a",
        "/agents/sh%c3%b6p/echo/api/a2a",
        "/agents/%ff%fe/echo/api/a2a",
        "/agents/shop%7f/echo/api/a2a",
        f"/agents/{'s' * 5000}/echo/api/a2a",
        "/agents/shop/echo%3bz=1/api/a2a",
    ],
)
@pytest.mark.parametrize("lines", [[], ["Authorization: Bearer x.y.z"], ["Authorization: Basic eDp5"]])
async def test_nothing_of_the_path_gets_into_the_challenge(gateway: World, path: str, lines: list[str]) -> None:
    """A client that follows a forged link would otherwise ask another server for a token."""
    with capture_logs() as logged:
        status, answer = await said(gateway, head(path, "Content-Length: 0", *lines))
    assert status == 401
    found = re.findall(rb"(?im)^WWW-Authenticate: ([^\r\n]*)\r\n", answer)
    assert len(found) == 1
    text = found[0].decode("ascii")
    assert CHALLENGE.fullmatch(text) and "evil" not in text.lower() and text.count("resource_metadata=") == 1
    assert text.endswith('resource_metadata="http://x/.well-known/oauth-protected-resource"')
    assert b"X-Evil" not in answer.partition(b"\r\n\r\n")[0]
    assert not [line for line in logged if line["log_level"] == "error"]


@pytest.mark.parametrize(
    "host", ['x"y', "x\\y", "x y", "x,y", "evil/a", "a@b", "[::1", "\N{LATIN SMALL LETTER E WITH ACUTE}"]
)
async def test_a_host_that_is_none_gets_no_challenge(gateway: World, host: str) -> None:
    request = f"POST {A2A} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    status, answer = await said(gateway, request.encode())
    assert status == 400
    assert b"WWW-Authenticate" not in answer


async def test_a_claims_name_does_not_break_the_challenge(
    file: Path, installation: dict[str, Any], issuer: Issuer, time: SetClock
) -> None:
    """The access file may name any claim, and the description says which one is missing."""
    named = {**installation, "issuers": [issuer.configured(subjectClaim='e"\\mail\r\nX: é')]}
    async with guarded(file, named, clock=time.clock) as world:
        found = challenge(await call(world, of(issuer)))
    assert found["error_description"] == "The token's claim emailX:  is not a text of at most 256 characters."


async def test_the_challenge_leads_to_the_issuers(gateway: World, issuer: Issuer) -> None:
    for path in (SKILL, "/agents/shop/none/api/a2a", "/agents"):
        found = challenge(await call(gateway, bearer("x"), path, "GET" if path == "/agents" else "POST"))
        assert found["error_description"] == "The credential is not a JWT."
        document = await call(gateway, bearer("x"), found["resource_metadata"].removeprefix(gateway.url), "GET")
        assert document.status == 200
        assert (await document.json())["authorization_servers"] == [issuer.url]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["Content-Length: 10000000"], id="a large body"),
        pytest.param(["Content-Length: 1000000000000"], id="1 TB"),
        pytest.param(["Transfer-Encoding: chunked"], id="a body without an end"),
        pytest.param(["Content-Length: 10", "Content-Encoding: gzip"], id="an encoded body"),
        pytest.param(["Content-Length: 10", "Content-Type: text/html"], id="another type"),
    ],
)
@pytest.mark.parametrize("credential", [[], [f"Authorization: Bearer {REVOKED}"]])
async def test_a_refusal_comes_before_the_body(
    gateway: World, container: PlainAgent, lines: list[str], credential: list[str]
) -> None:
    """No byte of the body is sent, so a gateway that waits for it would not answer."""
    for path in (SKILL, A2A, f"{ECHO}/api/a2a/message:send", "/agents/shop/none/api/a2a", "/events/shop"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        writer.write(head(path, *lines, *credential))
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert answer.startswith(b"HTTP/1.1 401 "), path
    assert container.seen == []


async def test_a_refused_request_does_not_become_another_one(gateway: World, container: PlainAgent) -> None:
    """The body of a refused request is not read as the next request of the connection."""
    second = head(SKILL, f"X-API-Key: {KEY}", "Content-Length: 2") + b"{}"
    first = head(SKILL, f"Content-Length: {len(second)}").replace(b"Connection: close\r\n", b"")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    writer.write(first + second)
    async with asyncio.timeout(5):
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert (await call(gateway, bearer(KEY))).status == 200  # whatever the gateway does with the body, it did by now
    writer.close()
    assert len(container.seen) == 1


@pytest.mark.parametrize(
    "value", [b"Bearer \xff\xfe", b"Bearer \xc3\xa9", b"\xff", b"Bearer \xed\xa0\x80", b"Bearer a\xa0b"]
)
async def test_bytes_that_are_no_text_are_refused(gateway: World, value: bytes) -> None:
    for name in (b"Authorization", b"X-API-Key"):
        request = head(A2A, "Content-Length: 0").replace(b"\r\n\r\n", b"\r\n" + name + b": " + value + b"\r\n\r\n", 1)
        status, answer = await said(gateway, request)
        assert status == 401
        assert value.split()[-1] not in answer


async def test_a_header_over_the_limit_is_refused_before_anything(gateway: World) -> None:
    status, answer = await said(gateway, head(A2A, f"Authorization: Bearer {SECRET * 20_000}", "Content-Length: 0"))
    assert status == 431
    assert SECRET.encode() not in answer


async def test_an_api_key_expires(gateway: World, time: SetClock) -> None:
    time.forward(59)
    assert (await call(gateway, bearer(SHORT))).status == 200
    time.forward(1)
    for headers in (bearer(SHORT), {"X-API-Key": SHORT}):
        answer = await call(gateway, headers)
        assert challenge(answer)["error_description"] == "The API key has expired."
    assert (await call(gateway, bearer(KEY))).status == 200


async def test_a_token_expires(gateway: World, issuer: Issuer, time: SetClock) -> None:
    headers = of(issuer)
    assert (await call(gateway, headers)).status == 200
    time.forward(330)
    assert challenge(await call(gateway, headers))["error_description"] == "The token has expired."


async def test_an_issuer_that_cannot_be_asked_is_no_fault_of_the_token(
    gateway: World, issuer: Issuer, time: SetClock, container: PlainAgent
) -> None:
    issuer.status = 500
    for path, method in ((SKILL, "POST"), (A2A, "POST"), ("/agents", "GET"), (CARD, "GET")):
        answer = await call(gateway, of(issuer), path, method)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "WWW-Authenticate" not in answer.headers
        assert issuer.url not in answer.body.decode()
    assert container.seen == []
    assert (await call(gateway, bearer(KEY))).status == 200  # other sources are not concerned
    issuer.status = 200
    time.forward(1)
    assert (await call(gateway, of(issuer))).status == 200
    issuer.status = 500
    time.forward(STALE + 1)
    assert (await call(gateway, of(issuer))).status == 503


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/.well-known/oauth-protected-resource"])
async def test_a_bad_credential_does_not_matter_where_none_is_asked_for(gateway: World, path: str) -> None:
    assert (await call(gateway, bearer("x"), path, "GET")).status == 200


async def test_in_the_mode_of_audit_a_bad_credential_is_that_of_nobody(
    file: Path,
    installation: dict[str, Any],
    time: SetClock,
    container: PlainAgent,
    audit: Path,
) -> None:
    async with guarded(file, installation, clock=time.clock, mode=Mode.AUDIT) as world:
        world.agent(url=container.url)
        task = (await world.rpc("SendMessage", {"message": message()}, **bearer(REVOKED)))["result"]["task"]
        stored = await world.store.get(task["id"])
        assert stored is not None and stored.owner == "anonymous"
    rules = [orjson.loads(line)["annotations"]["rule"] for line in audit.read_bytes().splitlines()]
    assert "credential.unknown-key" in rules


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch)


@pytest.mark.usefixtures("readings")
async def test_a_changed_access_file_takes_effect(
    file: Path, installation: dict[str, Any], issuer: Issuer, time: SetClock, container: PlainAgent
) -> None:
    async with guarded(file, installation, clock=time.clock) as world:
        world.agent(url=container.url, access={"grants": [{"principals": CALLERS}]})

        async def becomes(headers: dict[str, str], status: int) -> None:
            async def check() -> bool:
                return (await call(world, headers)).status == status

            await eventually(check, what=f"a response with status {status}")

        token, key = of(issuer), bearer(KEY)
        await becomes(key, 200)
        await becomes(token, 200)
        write(file, {**installation, "apiKeys": []})
        await becomes(key, 401)
        await becomes(token, 200)
        write(file, {**installation, "ceiling": {"namespaces": ["store"]}})
        await becomes(token, 404)
        await becomes(key, 404)
        write(file, {**installation, "issuers": []})
        await becomes(token, 401)
        write(file, installation)
        await becomes(token, 200)
        assert issuer.fetched == 2  # once for each time that the file had the issuer anew


async def test_an_invalid_access_file_changes_nothing_and_is_logged_once(
    file: Path,
    installation: dict[str, Any],
    issuer: Issuer,
    time: SetClock,
    container: PlainAgent,
    readings: Readings,
) -> None:
    with capture_logs() as lines:
        async with guarded(file, installation, clock=time.clock) as world:
            world.agent(url=container.url, access={"grants": [{"principals": CALLERS}]})
            assert (await call(world, of(issuer))).status == 200
            before = (await call(world, {}, "/.well-known/oauth-protected-resource", "GET")).body
            for number, broken in enumerate((b"issuers: [", b"admin: []\n", b"issuers:\n- name: system\n"), start=1):
                write(file, broken)
                await eventually(lambda wanted=number: len(_refused(lines)) == wanted)  # type: ignore[misc]
                await readings.more()
                assert len(_refused(lines)) == number
                assert (await call(world, of(issuer))).status == 200
                assert (await call(world, bearer(REVOKED))).status == 401
                assert (await call(world, {}, "/.well-known/oauth-protected-resource", "GET")).body == before
            write(file, {**installation, "issuers": []})
            await eventually(lambda: [line for line in lines if line["event"] == "access_file.loaded"])
            assert (await call(world, of(issuer))).status == 401
    assert len(_refused(lines)) == 3
    assert [line["error"].partition(": ")[0] for line in _refused(lines)] == [f"{file}:{at}" for at in (1, 1, 2)]


def _refused(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "access_file.refused"]
