"""Request targets that two parsers may read differently are refused, by both parsers of aiohttp; nothing is called."""

import pytest
from aiohttp import http_parser, web_protocol
from tests.integration.gateway.raw import head, problem, said
from tests.parts.gateway import World
from tests.parts.upstream import PlainAgent

ECHO = "/agents/shop/echo"


@pytest.fixture(params=["C", "Python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Python":
        monkeypatch.setattr(web_protocol, "HttpRequestParser", http_parser.HttpRequestParserPy)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/agents/shop%2fecho/api/a2a", id="an encoded slash"),
        pytest.param("/agents%2Fshop/echo/api/a2a", id="an encoded slash in upper case"),
        pytest.param("/agents/shop/echo%5capi/a2a", id="an encoded backslash"),
        pytest.param("/agents/shop\\echo/api/a2a", id="a backslash"),
        pytest.param("/agents/shop/echo%00/api/a2a", id="an encoded NUL"),
        pytest.param("//agents/shop/echo/api/a2a", id="an empty segment at the start"),
        pytest.param("/agents/shop//echo/api/a2a", id="an empty segment"),
        pytest.param(f"{ECHO}/../other/api/a2a", id="a dot segment"),
        pytest.param(f"{ECHO}/%2e%2e/other/api/a2a", id="an encoded dot segment"),
        pytest.param(f"{ECHO}/.%2E/other/api/a2a", id="a half encoded dot segment"),
        pytest.param(f"{ECHO}/api/a2a/skills/..", id="a dot segment at the end"),
        pytest.param("/events/shop/./from/echo", id="a single dot"),
    ],
)
async def test_an_odd_path_is_refused_and_not_repeated(echo: World, container: PlainAgent, path: str) -> None:
    status, answer = await said(echo, head(path, "Content-Length: 0"))
    assert status == 400
    found = problem(answer)
    assert found["type"] == "urn:lambdaagent:problem:bad-path"
    assert "echo" not in str(found)
    assert container.seen == []


@pytest.mark.parametrize("target", ["http://evil/agents", f"http://x{ECHO}/api/a2a", "evil"])
async def test_a_target_that_is_no_path_is_refused(echo: World, container: PlainAgent, target: str) -> None:
    status, answer = await said(echo, head(target, "Content-Length: 0"))
    assert status == 400
    assert b"evil" not in answer
    assert container.seen == []


@pytest.mark.parametrize("line", [f"POST http://x{ECHO}/api/a2a HTTP/1.1", "OPTIONS * HTTP/1.1"])
async def test_a_target_of_another_form_is_refused_as_such(echo: World, line: str) -> None:
    request = f"{line}\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
    status, answer = await said(echo, request)
    assert (status, problem(answer)["type"]) == (400, "urn:lambdaagent:problem:bad-target")


@pytest.mark.parametrize("name", ["Authorization", "authorization", "X-API-Key"])
async def test_a_header_that_decides_is_sent_once(echo: World, container: PlainAgent, name: str) -> None:
    lines = (f"{name}: text/plain", f"{name}: application/json", "Content-Length: 0")
    status, answer = await said(echo, head(f"{ECHO}/api/a2a/skills/say", *lines))
    assert status == 400
    assert problem(answer)["type"] == "urn:lambdaagent:problem:repeated-header"
    assert container.seen == []


@pytest.mark.parametrize("query", ["?next=//x/../y", "?q=%2f%00", "?a=1%5c"])
async def test_a_query_may_hold_what_a_path_may_not(echo: World, query: str) -> None:
    status, _ = await said(echo, head(f"{ECHO}/api/a2a/skills/say{query}", "Content-Length: 0"))
    assert status == 200
