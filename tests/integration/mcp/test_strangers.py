"""What callers cannot learn, cost or break at the endpoint of the Model Context Protocol."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.parts.access import bearer, guarded
from tests.parts.gateway import World, skill

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
