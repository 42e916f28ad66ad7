"""The official SDK's client, in both eras of the protocol and at the endpoint of each scope."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from tests.parts.access import guarded, of
from tests.parts.gateway import World, skill
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

ERAS = ["legacy", "2026-07-28"]
SCOPES = {"/mcp": "shop__echo__say", "/mcp/shop": "echo__say", "/agents/shop/echo/mcp": "say"}
GRANTS = [{"principals": ["corp:alice"]}, {"principals": ["corp:carol"], "skills": ["say"]}]


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file) as world:
        skills = [skill("say"), skill("sing")]
        world.agent(url=container.url, access={"grants": GRANTS}, skills=skills)
        world.agent("away", url=None, ready=False, access={"grants": GRANTS})
        world.agent("secret", url=container.url)
        world.agent("other", namespace="bank", url=container.url, access={"grants": GRANTS})
        yield world


@asynccontextmanager
async def client(gateway: World, path: str, era: str, headers: dict[str, str]) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=headers, timeout=20) as http,
        Client(streamable_http_client(gateway.url + path, http_client=http), mode=era) as found,
    ):
        yield found


def text(result: Any) -> str:
    (content,) = result.content
    return str(content.text)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("path", "name"), SCOPES.items())
async def test_a_skill_is_listed_and_called(gateway: World, issuer: Issuer, era: str, path: str, name: str) -> None:
    async with client(gateway, path, era, of(issuer)) as found:
        tools = {each.name: each for each in (await found.list_tools()).tools}
        assert tools[name].title == "Say"
        assert tools[name].input_schema["required"] == ["text"]
        result = await found.call_tool(name, {"text": "hello"})
    assert result.is_error in (None, False)
    assert json.loads(text(result))["you_said"] == "hello"


@pytest.mark.parametrize("era", ERAS)
async def test_the_list_is_what_the_caller_may_call(gateway: World, issuer: Issuer, era: str) -> None:
    expected = {
        "alice": [
            "bank__other__say", "shop__away__say", "shop__echo__say", "shop__echo__sing",
        ],
        "carol": ["bank__other__say", "shop__away__say", "shop__echo__say"],
        "eve": [],
    }  # fmt: skip
    for subject, names in expected.items():
        async with client(gateway, "/mcp", era, of(issuer, subject)) as found:
            assert [each.name for each in (await found.list_tools()).tools if "__" in each.name] == names


@pytest.mark.parametrize("era", ERAS)
async def test_what_the_caller_may_not_know_of_is_no_tool(gateway: World, issuer: Issuer, era: str) -> None:
    async with client(gateway, "/mcp", era, of(issuer, "carol")) as found:
        texts = set()
        for name in ("shop__secret__say", "shop__absent__say"):
            with pytest.raises(MCPError) as caught:
                await found.call_tool(name, {"text": "x"})
            texts.add(str(caught.value).replace(name, ""))
        assert len(texts) == 1
        with pytest.raises(MCPError, match="No grant allows"):
            await found.call_tool("shop__echo__sing", {"text": "x"})


@pytest.mark.parametrize("era", ERAS)
async def test_a_skill_with_a_long_name_is_a_tool_for_those_who_may_know_of_it(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str
) -> None:
    gateway.agent("long-" + "n" * 50, namespace="far" * 5, url=container.url, access={"grants": GRANTS})
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        (name,) = [each.name for each in (await found.list_tools()).tools if each.name.startswith("far")]
        result = await found.call_tool(name, {"text": "hello"})
        assert json.loads(text(result))["you_said"] == "hello"
    async with client(gateway, "/mcp", era, of(issuer, "eve")) as found:
        with pytest.raises(MCPError, match="There is no tool"):
            await found.call_tool(name, {"text": "x"})


@pytest.mark.parametrize("era", ERAS)
async def test_what_goes_wrong_at_the_agent_is_a_result_that_says_so(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str
) -> None:
    async with client(gateway, "/mcp/shop", era, of(issuer)) as found:
        away = await found.call_tool("away__say", {"text": "x"})
        assert (away.is_error, "cannot be called" in text(away)) == (True, True)
        container.respond = lambda _: (500, {"Content-Type": "text/plain"}, b"broken")
        failed = await found.call_tool("echo__say", {"text": "x"})
        assert (failed.is_error, "500" in text(failed)) == (True, True)


@pytest.mark.parametrize("era", ERAS)
async def test_a_context_goes_on(gateway: World, issuer: Issuer, container: PlainAgent, era: str) -> None:
    async with client(gateway, "/agents/shop/echo/mcp", era, of(issuer)) as found:
        first = await found.call_tool("say", {"text": "one"})
        context = (first.meta or {})["contextId"]
        await found.call_tool("say", {"text": "two", "context_id": context})
    contexts = {seen.headers["ce-a2acontextid"] for seen in container.seen}
    assert len(contexts) == 1
    listed = await gateway.rpc("ListTasks", {"contextId": context}, **of(issuer))
    assert listed["result"]["totalSize"] == 2


@pytest.mark.parametrize("era", ERAS)
async def test_many_tools_come_in_pages(gateway: World, issuer: Issuer, era: str) -> None:
    for number in range(130):
        gateway.agent(f"a{number:03}", namespace="many", url="http://x", access={"grants": GRANTS})
    names: list[str] = []
    async with client(gateway, "/mcp/many", era, of(issuer)) as found:
        cursor = None
        while True:
            page = await found.list_tools(cursor=cursor)
            names += [each.name for each in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert [name for name in names if "__" in name] == [f"a{number:03}__say" for number in range(130)]


async def test_without_a_credential_a_host_learns_where_to_get_one(gateway: World) -> None:
    for path in SCOPES:
        answer = await gateway.request("POST", path, json={})
        assert answer.status == 401
        named = answer.headers["WWW-Authenticate"].partition('resource_metadata="')[2].partition('"')[0]
        assert named.endswith(f"/.well-known/oauth-protected-resource{path}")
        metadata = await gateway.request("GET", named.removeprefix(gateway.url))
        assert (await metadata.json())["resource"] == gateway.url + path


@pytest.mark.parametrize("context", ["x" * 5_000, "a\x00b", "\ud800"])
async def test_an_odd_context_is_refused_and_reaches_no_container(
    gateway: World, issuer: Issuer, container: PlainAgent, context: str
) -> None:
    arguments = {"text": "x", "context_id": context}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "say", "arguments": arguments}}
    sent = json.dumps(body).encode()
    answer = await gateway.request("POST", "/agents/shop/echo/mcp", data=sent, headers=of(issuer))
    assert answer.status < 500
    found = await answer.json()
    assert "error" in found or found["result"]["isError"]
    assert container.seen == []
