"""A host of either era calls an agent whose container is an MCP server of either era: nothing is lost between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import types
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from tests.parts.access import guarded, of
from tests.parts.gateway import World, manifest, skill, world
from tests.parts.issuer import Issuer
from tests.parts.mcp_servers import ERAS, Recorded, mcp_server
from tests.parts.mcp_tools import toolbox

from lambdaagent.containers import own_card

MODES = ["legacy", "auto"]


class Box:
    def __init__(self, gateway: World, url: str, asked: Recorded, era: str) -> None:
        self.gateway, self.url, self.asked, self.era = gateway, url, asked, era

    @asynccontextmanager
    async def host(self, mode: str, **more: Any) -> AsyncIterator[Client]:
        url = f"{self.gateway.url}/agents/shop/tools/mcp"
        async with (
            httpx2.AsyncClient(timeout=20) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode, **more) as found,
        ):
            yield found


ASKING = pytest.mark.parametrize("box", ["modern"], indirect=True)  # only servers of 2026-07-28 ask


@pytest.fixture(params=ERAS)
async def box(request: pytest.FixtureRequest) -> AsyncIterator[Box]:
    made = toolbox()
    async with world() as gateway:
        with mcp_server(made.server, request.param) as (url, asked):
            base = url.removesuffix("/mcp")
            obj = manifest("tools", a2a={"enabled": True, "protocol": "mcp"})
            card = await own_card.read(gateway.client, gateway.add(obj, url=base), base, revision="1")
            gateway.add({**obj, "status": {"a2aStatus": {"containerCard": card}}}, url=base)
            asked.seen.clear()
            yield Box(gateway, base, asked, request.param)


def plain(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize("mode", MODES)
async def test_tools_and_results_are_the_containers_own(box: Box, mode: str) -> None:
    async with Client(streamable_http_client(f"{box.url}/mcp"), mode="auto") as direct, box.host(mode) as host:
        theirs = {tool.name: tool for tool in (await direct.list_tools()).tools}
        ours = {tool.name: tool for tool in (await host.list_tools()).tools}
        assert ours.keys() == theirs.keys()
        for name, tool in ours.items():
            assert (tool.input_schema, tool.output_schema) == (theirs[name].input_schema, theirs[name].output_schema)
        for name, given in (
            ("add", {"a": 1, "b": 2}),
            ("shout", {"what": "hey"}),
            ("show", {}),
            ("fail", {"why": "x"}),
        ):
            found, known = plain(await host.call_tool(name, given)), plain(await direct.call_tool(name, given))
            assert {**found, "_meta": None} == {**known, "_meta": None}
        with pytest.raises(MCPError, match="no tool"):
            await host.call_tool("absent", {})


@pytest.mark.parametrize("mode", MODES)
async def test_progress_reaches_the_host_as_the_tool_tells_it(box: Box, mode: str) -> None:
    told: list[Any] = []

    async def progress(now: float, total: float | None, message: str | None) -> None:
        told.append((now, total, message))

    with pytest.warns(match="logging"):
        async with box.host(mode) as host:
            await host.call_tool("climb", {}, progress_callback=progress)
    assert told == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


@ASKING
@pytest.mark.parametrize("mode", MODES)
async def test_a_question_reaches_the_host_and_its_answer_the_tool(box: Box, mode: str) -> None:
    asked: list[Any] = []

    async def elicit(_: Any, params: Any) -> Any:
        asked.append((params.message, params.requested_schema["required"]))
        return types.ElicitResult(action="accept", content={"seats": 4})

    async with box.host(mode, elicitation_callback=elicit) as host:
        result = await host.call_tool("book", {"where": "Opera"})
    assert plain(result.content[0])["text"] == "Opera: 4 (round-1)"
    assert asked == [("How many seats?", ["seats"])]


@pytest.mark.parametrize("mode", MODES)
async def test_prompts_resources_and_completions_are_passed_on(box: Box, mode: str) -> None:
    async with box.host(mode) as host:
        assert host.server_capabilities.prompts is not None
        assert {prompt.name for prompt in (await host.list_prompts()).prompts} == {"greeting", "asking"}
        prompt = await host.get_prompt("greeting", {"name": "Ann"})
        assert plain(prompt.messages[0].content) == {"type": "text", "text": "Greet Ann."}
        assert [str(each.uri) for each in (await host.list_resources()).resources] == ["memo://note"]
        templates = (await host.list_resource_templates()).resource_templates
        assert [each.uri_template for each in templates] == ["memo://notes/{name}"]
        for uri, text in (("memo://note", "remember"), ("memo://notes/ann", "remember ann")):
            (content,) = (await host.read_resource(uri)).contents
            assert plain(content)["text"] == text
        reference = types.PromptReference(type="ref/prompt", name="greeting")
        found = await host.complete(reference, {"name": "name", "value": "a"})
        assert found.completion.values == ["ax", "ay"]
        with pytest.raises(MCPError):
            await host.get_prompt("absent", {})
        with pytest.raises(MCPError):
            await host.read_resource("memo://absent")


@ASKING
@pytest.mark.parametrize("mode", MODES)
async def test_a_prompts_question_reaches_the_host(box: Box, mode: str) -> None:

    async def elicit(_: Any, __: Any) -> Any:
        return types.ElicitResult(action="accept", content={"who": "Bea"})

    async with box.host(mode, elicitation_callback=elicit) as host:
        if mode == "legacy":
            with pytest.raises(MCPError):
                await host.get_prompt("asking", {})
            return
        prompt = await host.get_prompt("asking", {})
        assert plain(prompt.messages[0].content)["text"] == "Greet Bea (prompt-1)."


async def test_these_methods_are_those_of_such_an_agent_alone(box: Box) -> None:
    box.gateway.agent("echo", url=box.url)
    for path, known in (("/agents/shop/tools/mcp", True), ("/agents/shop/echo/mcp", False), ("/mcp/shop", False)):
        body = {"jsonrpc": "2.0", "id": 1, "method": "prompts/list", "params": {}}
        answer = await box.gateway.request("POST", path, json=body)
        assert ("result" in await answer.json()) is known


async def test_the_hosts_credential_is_not_passed_on(box: Box) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "prompts/list", "params": {"_meta": {"mine": 1, "progressToken": 7}}}
    headers = {"Authorization": "Bearer mine", "Mcp-Session-Id": "mine"}
    await box.gateway.request("POST", "/agents/shop/tools/mcp", json=body, headers=headers)
    assert box.asked.seen
    for _, _, seen in box.asked.seen:
        assert "authorization" not in seen
        assert seen.get("mcp-session-id") != "mine"


async def test_a_container_that_is_away_is_an_error(box: Box) -> None:
    box.gateway.add(manifest("tools", a2a={"enabled": True, "protocol": "mcp"}), url=None, ready=False)
    body = {"jsonrpc": "2.0", "id": 1, "method": "prompts/list", "params": {}}
    answer = await (await box.gateway.request("POST", "/agents/shop/tools/mcp", json=body)).json()
    assert "it is not ready" in answer["error"]["message"]


async def test_who_may_call_single_skills_gets_no_prompts(tmp_path: Path, issuer: Issuer) -> None:
    made = toolbox()
    grants = [{"principals": ["corp:alice"]}, {"principals": ["corp:carol"], "skills": ["shout"]}]
    a2a = {"protocol": "mcp", "access": {"grants": grants}, "skills": [skill("shout")]}
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    with mcp_server(made.server, "modern") as (url, asked):
        async with guarded(tmp_path / "access.yaml", file) as gateway:
            gateway.agent("tools", url=url.removesuffix("/mcp"), **a2a)
            for subject, status in (("alice", 200), ("carol", 403), ("eve", 404)):
                body = {"jsonrpc": "2.0", "id": 1, "method": "prompts/list", "params": {}}
                before = len(asked.seen)
                answer = await gateway.request("POST", "/agents/shop/tools/mcp", json=body, headers=of(issuer, subject))
                assert answer.status == status
                assert ("result" in await answer.json()) is (subject == "alice")
                assert (len(asked.seen) > before) is (subject == "alice")
                assert not any("authorization" in seen for _, _, seen in asked.seen)
