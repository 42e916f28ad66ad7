"""What callers cannot learn, cost or break at the endpoint of the Model Context Protocol."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.integration.mcp.test_calls import asking
from tests.parts.access import bearer, guarded
from tests.parts.gateway import World, skill
from tests.parts.mcp_host import FORMS, TASKS, Host
from tests.parts.upstream import PlainAgent

from lambdaagent.gateway.access import authorization
from lambdaagent.identity import api_keys

KEY = api_keys.create("ci")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[World]:
    file = {"apiKeys": [{"id": "ci", "sha256": api_keys.hash_of(KEY)}], "audit": {"sink": "none"}}
    file |= {"limits": {"perAgent": {"requestsPerMinute": 1, "burst": 2}}}
    async with guarded(tmp_path / "access.yaml", file) as world:
        nowhere = "http://127.0.0.1:1"
        world.agent(url=nowhere, skills=[skill("say")], access={"grants": [{"principals": ["key:ci"]}]})
        world.agent("hidden", url=nowhere, skills=[skill("say")], access={"grants": [{"principals": ["key:no"]}]})
        yield world


async def _call(gateway: World, name: str, path: str = "/mcp") -> tuple[int, Any]:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {"text": "x"}}}
    answer = await gateway.request("POST", path, json=body, headers=bearer(KEY))
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(("path", "name"), [("/mcp", "shop__echo__say"), ("/agents/shop/echo/mcp", "say")])
async def test_a_call_counts_once_at_its_agent(gateway: World, path: str, name: str) -> None:
    assert [(await _call(gateway, name, path))[0] for _ in range(3)] == [200, 200, 429]


async def test_a_hidden_tool_is_asked_about_like_an_absent_one(gateway: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the question to the cluster takes time only if the agent is there."""
    seen, asked = authorization.seen, []

    async def noted(request: Any, entry: Any, **more: Any) -> Any:
        asked.append(entry is not None)
        return await seen(request, entry, **more)

    monkeypatch.setattr(authorization, "seen", noted)
    hidden, absent = [await _call(gateway, f"shop__{name}__say") for name in ("hidden", "absent")]
    assert asked == [True, False]
    assert json.dumps(hidden).replace("hidden", "absent") == json.dumps(absent)


async def test_a_version_that_is_no_text_is_refused(gateway: World) -> None:
    parts, body = urlsplit(gateway.url), json.dumps({"jsonrpc": "2.0", "method": "x"}).encode()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST /mcp HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: {len(body)}\r\n".encode()
    writer.write(head + b"MCP-Protocol-Version: \xff\r\n\r\n" + body)
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tasks/get", {"taskId": "TASK"}),
        ("tasks/update", {"taskId": "TASK", "inputResponses": {}}),
        ("tasks/cancel", {"taskId": "TASK"}),
        ("resources/read", {"uri": "lambdaagent://tasks/TASK"}),
        ("tools/call", {"name": "a2a_task_status", "arguments": {"task_id": "TASK"}}),
        ("tools/call", {"name": "a2a_task_cancel", "arguments": {"task_id": "TASK"}}),
        ("tools/call", {"name": "ask", "arguments": {}, "requestState": "TASK"}),
    ],
)
@pytest.mark.parametrize("path", ["/mcp", "/mcp/shop"])
async def test_what_a_task_is_asked_counts_at_its_agent(
    gateway: World, container: PlainAgent, path: str, method: str, params: dict[str, Any]
) -> None:
    container.respond = asking
    grants = {"grants": [{"principals": ["key:ci"]}]}
    gateway.agent("asker", url=container.url, skills=[skill("say")], access=grants)
    host = Host(gateway.session, gateway.url + path, capabilities={**TASKS, **FORMS}, headers=bearer(KEY))
    name = "shop__asker__say" if path == "/mcp" else "asker__say"
    state = (await host.result("tools/call", name=name, arguments={"text": "hello"}))["requestState"]
    given = json.loads(json.dumps(params).replace("TASK", state if "requestState" in params else state.split(".")[0]))
    statuses = []
    for _ in range(2):
        async with host.open(method, **given) as response:
            statuses.append(response.status)
    assert statuses == [200, 429]
    assert int(response.headers["Retry-After"]) > 0


async def test_a_response_of_a_host_counts_at_its_agent(gateway: World, container: PlainAgent) -> None:
    container.respond = asking
    grants = {"grants": [{"principals": ["key:ci"]}]}
    gateway.agent("asker", url=container.url, skills=[skill("say")], access=grants)
    old = Host(gateway.session, gateway.url + "/mcp", "2025-11-25", headers=bearer(KEY))
    async with old.open("tools/call", name="shop__asker__say", arguments={"text": "hello"}) as response:
        request = await anext(old.messages(response))
        answers = [await old.respond(request["id"], result={"action": "accept", "content": {}}) for _ in range(2)]
    assert answers == [202, 429]


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
async def test_a_tool_that_needs_tasks_is_refused_like_any_other(gateway: World, version: str) -> None:
    """Else the answer tells what the skill is to whom may not call it."""
    skills = [skill("say"), skill("long", invoke={"taskSupport": "required"}), skill("short")]
    grants = {"grants": [{"principals": ["key:ci"], "skills": ["say"]}]}
    gateway.agent("deep", url="http://127.0.0.1:1", skills=skills, access=grants)
    host = Host(gateway.session, gateway.url + "/mcp", version, headers=bearer(KEY))
    long, short = [await host.ask("tools/call", name=f"shop__deep__{name}", arguments={}) for name in ("long", "short")]
    assert long["error"]["code"] == -32001
    assert json.dumps(long["error"]).replace("long", "short") == json.dumps(short["error"])
