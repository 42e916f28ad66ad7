"""Resources and the completion of their templates, for the official SDK's client in both eras, by rights."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceTemplateReference
from tests.integration.mcp.test_sdk import ERAS, client
from tests.parts.access import guarded, of
from tests.parts.gateway import World, skill
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

from lambdaagent.mcp import resources

ALICE = {"grants": [{"principals": ["corp:alice"]}]}
AGENTS, CARD, TASK = resources.AGENTS, "lambdaagent://agents/shop/echo/card", "lambdaagent://tasks/"


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file) as world:
        world.agent(url=container.url, access=ALICE, skills=[skill("say"), skill("sing")])
        world.agent("other", namespace="bank", url=container.url, access=ALICE)
        world.agent("quiet", url=container.url, access=ALICE, endpoint={"discoveryEnabled": False})
        world.agent("secret", url=container.url)
        yield world


def read(result: Any) -> Any:
    (content,) = result.contents
    assert content.mime_type == "application/json"
    return json.loads(content.text)


@pytest.mark.parametrize("era", ERAS)
async def test_what_lists_show_can_be_read(gateway: World, issuer: Issuer, era: str) -> None:
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        uris = [each.uri for each in (await found.list_resources()).resources]
        assert uris == [AGENTS, "lambdaagent://agents/bank/other/card", CARD]
        agents = read(await found.read_resource(AGENTS))["agents"]
        assert [(each["agent_id"], each["skills"], each["card"]) for each in agents] == [
            ("bank/other", ["say"], uris[1]),
            ("shop/echo", ["say", "sing"], uris[2]),
        ]
        assert read(await found.read_resource(CARD))["name"] == "echo"
        templates = (await found.list_resource_templates()).resource_templates
        assert [each.uri_template for each in templates] == [resources.CARD, resources.TASK]
    for path, expected in {"/mcp/shop": [AGENTS, CARD], "/agents/shop/echo/mcp": [CARD]}.items():
        async with client(gateway, path, era, of(issuer)) as found:
            assert [each.uri for each in (await found.list_resources()).resources] == expected
    async with client(gateway, "/mcp", era, of(issuer, "eve")) as found:
        assert [each.uri for each in (await found.list_resources()).resources] == [AGENTS]
        assert read(await found.read_resource(AGENTS)) == {"agents": []}


@pytest.mark.parametrize("era", ERAS)
async def test_a_task_is_read_by_its_owner(gateway: World, issuer: Issuer, era: str) -> None:
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        called = await found.call_tool("shop__echo__say", {"text": "hello"})
        uri = TASK + (called.meta or {})["taskId"]
        task = read(await found.read_resource(uri))
        assert (TASK + task["id"], task["status"]["state"]) == (uri, "TASK_STATE_COMPLETED")
    for path, subject in (("/mcp", "eve"), ("/mcp/bank", "alice"), ("/agents/bank/other/mcp", "alice")):
        async with client(gateway, path, era, of(issuer, subject)) as found:
            with pytest.raises(MCPError, match="no such resource"):
                await found.read_resource(uri)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "uri",
    [
        "lambdaagent://agents/shop/secret/card",
        "lambdaagent://agents/shop/absent/card",
        "lambdaagent://agents/shop/quiet/card",
        "lambdaagent://agents/shop/echo",
        "lambdaagent://agents/../echo/card",
        "lambdaagent://agents/a/b/c/card",
        "lambdaagent://tasks/absent",
        "lambdaagent://tasks/",
        "lambdaagent://tasks/a/b",
        "lambdaagent://tasks/é\u0001",
        "file:///etc/passwd",
        "http://169.254.169.254/",
    ],
)
async def test_what_cannot_be_read_gets_one_error(gateway: World, issuer: Issuer, era: str, uri: str) -> None:
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        with pytest.raises(MCPError) as caught:
            await found.read_resource(uri)
    assert caught.value.error.code == (-32002 if era == "legacy" else -32602)
    assert (caught.value.error.message, caught.value.error.data) == ("There is no such resource.", {"uri": uri})


@pytest.mark.parametrize("era", ERAS)
async def test_many_resources_come_in_pages(gateway: World, issuer: Issuer, era: str) -> None:
    for number in range(150):
        gateway.agent(f"a{number:03}", namespace="many", url="http://x", access=ALICE)
    uris: list[str] = []
    async with client(gateway, "/mcp/many", era, of(issuer)) as found:
        cursor = None
        while True:
            page = await found.list_resources(cursor=cursor)
            uris += [each.uri for each in page.resources]
            cursor = page.next_cursor
            if cursor is None:
                break
        reference = ResourceTemplateReference(type="ref/resource", uri=resources.CARD)
        completed = (await found.complete(reference, {"name": "name", "value": "a"})).completion
        assert (len(completed.values), completed.total, completed.has_more) == (100, 150, True)
    assert uris == [AGENTS, *(resources.card_uri("many", f"a{number:03}") for number in range(150))]


@pytest.mark.parametrize("era", ERAS)
async def test_arguments_are_completed_with_what_the_caller_may_know(gateway: World, issuer: Issuer, era: str) -> None:
    card = ResourceTemplateReference(type="ref/resource", uri=resources.CARD)
    task = ResourceTemplateReference(type="ref/resource", uri=resources.TASK)
    async with client(gateway, "/mcp", era, of(issuer)) as found:

        async def values(reference: Any, name: str, value: str, **chosen: str) -> list[str]:
            argument = {"name": name, "value": value}
            result = await found.complete(reference, argument, context_arguments=chosen or None)
            return list(result.completion.values)

        assert await values(card, "namespace", "") == ["bank", "shop"]
        assert await values(card, "namespace", "sh") == ["shop"]
        assert await values(card, "name", "") == ["echo", "other"]
        assert await values(card, "name", "", namespace="bank") == ["other"]
        assert await values(task, "id", "") == []
        with pytest.raises(MCPError, match="must be one of"):
            await values(card, "absent", "")
    async with client(gateway, "/mcp", era, of(issuer, "eve")) as found:
        assert await values(card, "namespace", "") == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {}),
        ("resources/read", {"uri": 3}),
        ("resources/read", {"uri": "x" * 3_000}),
        ("resources/list", {"cursor": "?"}),
        ("resources/list", {"cursor": 3}),
        ("resources/templates/list", {"cursor": "YS9i"}),
        ("completion/complete", {}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}}),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "x"}, "argument": {"name": "a", "value": ""}}),
        (
            "completion/complete",
            {"ref": {"type": "ref/resource", "uri": resources.CARD}, "argument": {"name": "name", "value": 3}},
        ),
    ],
)
async def test_wrong_parameters_are_refused(
    gateway: World, issuer: Issuer, method: str, params: dict[str, Any]
) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = await gateway.request("POST", "/mcp", json=body, headers=of(issuer))
    error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (200, -32602)


async def test_results_say_how_long_they_are_fresh_and_for_whom(gateway: World, issuer: Issuer) -> None:
    version = "2026-07-28"
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    for method, params, fresh in (
        ("resources/list", {}, 60_000),
        ("resources/templates/list", {}, 60_000),
        ("resources/read", {"uri": CARD}, 60_000),
    ):
        headers = of(issuer) | {"MCP-Protocol-Version": version, "Mcp-Method": method}
        headers |= {"Mcp-Name": CARD} if params else {}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        result = (await (await gateway.request("POST", "/mcp", json=body, headers=headers)).json())["result"]
        assert (result["ttlMs"], result["cacheScope"]) == (fresh, "private")
