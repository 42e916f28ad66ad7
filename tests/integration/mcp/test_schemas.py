"""Tools whose skills have schemas: arguments and results are checked, for the official SDK's client in both eras."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from tests.integration.mcp.test_sdk import ERAS, client, text
from tests.parts.access import guarded, of
from tests.parts.gateway import World, skill
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

WEATHER = {
    "inputSchema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "pattern": "^[A-Z]"},
            "days": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
    "outputSchema": {
        "type": "object",
        "properties": {"degrees": {"type": "number"}},
        "required": ["degrees"],
    },
}

ALICE = {"grants": [{"principals": ["corp:alice"]}]}


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file) as world:
        grants = [{"principals": ["corp:alice"]}, {"principals": ["corp:carol"], "skills": ["other"]}]
        skills = [skill("weather", **WEATHER), skill("list", outputSchema={"type": "array"}), skill("other")]
        world.agent("sky", url=container.url, skills=skills, access={"grants": grants})
        answers(container, {"degrees": 21.5})
        yield world


def answers(container: PlainAgent, value: Any) -> None:
    container.respond = lambda _: (200, {"Content-Type": "application/json"}, json.dumps(value).encode())


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_has_the_schemas_of_its_skill(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str
) -> None:
    async with client(gateway, "/mcp/shop", era, of(issuer)) as found:
        (tool,) = [each for each in (await found.list_tools()).tools if each.name == "sky__weather"]
        assert (tool.input_schema, tool.output_schema) == (WEATHER["inputSchema"], WEATHER["outputSchema"])
        result = await found.call_tool("sky__weather", {"city": "Zurich", "days": [1, 2]})
    assert (result.is_error in (None, False), result.structured_content) == (True, {"degrees": 21.5})
    (seen,) = container.seen
    assert json.loads(seen.body) == {"city": "Zurich", "days": [1, 2]}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "arguments.city: is required"),
        ({"city": "zurich"}, "arguments.city: 'zurich' does not match"),
        ({"city": "Zurich", "days": [1, "2"]}, "arguments.days[1]: '2' is not of type 'integer'"),
        ({"city": "Zurich", "text": "x"}, "arguments.text: is not known to the schema"),
        ({"city": "Z", "days": ["x" * 10_000_000]}, "arguments.days[0]: 'xx"),
        ({"city": "Z", "days": list(range(210_000))}, "arguments: has more than 200000 values"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_wrong_arguments_are_named_and_reach_no_container(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str, arguments: dict[str, Any], named: str
) -> None:
    async with client(gateway, "/agents/shop/sky/mcp", era, of(issuer)) as found:
        result = await found.call_tool("weather", arguments)
    assert (result.is_error, named in text(result)) == (True, True)
    assert container.seen == []


@pytest.mark.parametrize("era", ERAS)
async def test_who_may_not_call_the_tool_learns_nothing_of_its_schema(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str
) -> None:
    async with client(gateway, "/mcp", era, of(issuer, "carol")) as found:
        with pytest.raises(MCPError, match="No grant allows"):
            await found.call_tool("shop__sky__weather", {})
    assert container.seen == []


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"degrees": "warm"}, "result.degrees: 'warm' is not of type"),
        ({}, "result.degrees: is required"),
        ([1], "result: an array of 1 is not of type"),
    ],
)
async def test_a_result_that_does_not_match_is_shown_as_an_error(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str, value: Any, why: str
) -> None:
    answers(container, value)
    async with client(gateway, "/mcp", era, of(issuer)) as found:
        await found.list_tools()  # by it, the SDK learns the schema
        result = await found.call_tool("shop__sky__weather", {"city": "Zurich"})
    shown, said = (each.text for each in result.content)
    assert json.loads(shown) == value
    assert (result.is_error, result.structured_content) == (True, None)
    assert "outputSchema" in said
    assert era == "legacy" or why in said


async def test_a_result_may_be_any_json_since_2026(gateway: World, issuer: Issuer, container: PlainAgent) -> None:
    answers(container, [1, 2])
    async with client(gateway, "/mcp", "2026-07-28", of(issuer)) as found:
        await found.list_tools()
        assert (await found.call_tool("shop__sky__list", {"text": "x"})).structured_content == [1, 2]
    async with client(gateway, "/mcp", "legacy", of(issuer)) as found:
        tools = {each.name: each for each in (await found.list_tools()).tools}
        assert tools["shop__sky__list"].output_schema is None
        assert text(await found.call_tool("shop__sky__list", {"text": "x"})) == "[1,2]"


@pytest.mark.parametrize("era", ERAS)
async def test_metadata_continues_a_conversation(
    gateway: World, issuer: Issuer, container: PlainAgent, era: str
) -> None:
    async with client(gateway, "/agents/shop/sky/mcp", era, of(issuer)) as found:
        first = await found.call_tool("weather", {"city": "Zurich"})
        context = (first.meta or {})["contextId"]
        meta: Any = {"lambda.knative.io/contextId": context}
        again = await found.call_tool("weather", {"city": "Basel"}, meta=meta)
    assert (again.meta or {})["contextId"] == context


async def test_a_costly_check_does_not_hold_others(gateway: World, issuer: Issuer, container: PlainAgent) -> None:
    heavy = {"type": "object", "properties": {"a": {"items": {"allOf": [{"type": "integer"}] * 90}}}}
    gateway.agent("heavy", url=container.url, skills=[skill("weigh", inputSchema=heavy)], access=ALICE)
    params = {"name": "weigh", "arguments": {"a": list(range(15_000))}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers, longest = of(issuer), 0.0
    calls = asyncio.gather(
        *(gateway.request("POST", "/agents/shop/heavy/mcp", json=body, headers=headers) for _ in range(3))
    )
    while not calls.done():
        begun = time.perf_counter()
        await gateway.request("GET", "/healthz")
        longest = max(longest, time.perf_counter() - begun)
    for answer in await calls:
        found = json.loads(answer.body)["result"]
        assert found["isError"]
        assert "too long to check" in found["content"][0]["text"]
    assert longest < 1
    assert container.seen == []
