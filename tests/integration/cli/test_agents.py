"""`lambdaagent agents` and `card`, as processes against a gateway."""

import asyncio
import json
import os
import pty
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.parts.access import guarded, of
from tests.parts.commands import Done, run
from tests.parts.gateway import World, skill, world
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

SCHEMA = {"type": "object", "properties": {"amount": {"type": "integer"}}}


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=container.url, skills=[skill("say"), skill("sum", inputSchema=SCHEMA)])
        found.agent("echo", namespace="other", url=None, ready=False, description="Grüße \x1b[31m\x07")
        found.agent("single", url=container.url)
        yield found


async def call(gateway: World, *args: str, **more: Any) -> Done:
    return await run(*args, gateway_url=gateway.url, **more)


async def test_agents_are_listed_in_every_form(gateway: World) -> None:
    table = (await call(gateway, "agents", "list")).out.splitlines()
    assert table[0].split() == ["AGENT", "READY", "SKILLS", "DESCRIPTION", "URL"]
    assert [line.split()[:3] for line in table[1:]] == [
        ["other/echo", "false", "say"],
        ["shop/echo", "true", "say,sum"],
        ["shop/single", "true", "say"],
    ]
    assert table[2].endswith(f"{gateway.url}/agents/shop/echo/api/a2a")
    names = await call(gateway, "agents", "list", "-n", "shop", "-o", "name")
    assert names.out == "shop/echo\nshop/single\n"
    found = json.loads((await call(gateway, "agents", "list", "--skill", "sum", "-o", "json")).out)["items"]
    assert [(each["agent"], each["skills"][1]["id"]) for each in found] == [("shop/echo", "sum")]
    shown = yaml.safe_load((await call(gateway, "agents", "get", "single", "-o", "yaml")).out)
    assert (shown["name"], shown["ready"]) == ("single", True)


async def test_what_an_agent_says_of_itself_reaches_no_terminal_raw(
    gateway: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await call(gateway, "agents", "get", "other/echo")
    assert ("Grüße [31m" in done.out, "\x1b" in done.out) == (True, False)
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    for form in ("json", "yaml"):
        done = await call(gateway, "agents", "get", "other/echo", "-o", form)
        assert (done.code, done.out.isascii()) == (0, True)
        assert yaml.safe_load(done.out)["description"] == "Grüße \x1b[31m\x07"
    assert "Gr\\xfc\\xdfe" in (await call(gateway, "agents", "get", "other/echo")).out


async def test_an_agent_is_described_with_its_schemas_and_how_to_call_it(gateway: World) -> None:
    text = (await call(gateway, "agents", "describe", "shop/echo")).out
    assert "Protocols:      A2A 1.0 JSONRPC, A2A 1.0 HTTP+JSON" in text
    assert "    Accepts:        text/plain\n" in text
    assert "        amount:\n          type: integer\n" in text
    assert "  lambdaagent call shop/echo --skill sum TEXT\n" in text
    assert "  lambdaagent call shop/single TEXT\n" in (await call(gateway, "agents", "describe", "single")).out


async def test_a_card_is_printed(gateway: World) -> None:
    card = json.loads((await call(gateway, "card", "single")).out)
    assert card["supportedInterfaces"][0]["url"] == f"{gateway.url}/agents/shop/single/api/a2a"
    assert yaml.safe_load((await call(gateway, "card", "single", "-o", "yaml")).out) == card
    refused = await call(gateway, "card", "single", "--extended")
    assert (refused.code, "leave --extended out" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["agents", "get", "echo"], 2, "2 agents have the name echo: other/echo, shop/echo"),
        (["agents", "get", "absent"], 1, "lists no agent absent; `lambdaagent agents list`"),
        (["card", "shop/absent"], 1, "`lambdaagent agents list` lists the agents"),
        (["agents", "describe", "a/b/c"], 2, "give NAMESPACE/NAME or NAME"),
        (["agents", "list", "--url", "http://127.0.0.1:9"], 1, "name the gateway with --url"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_an_error_names_the_cause_and_the_next_step(
    gateway: World, arguments: list[str], code: int, said: str
) -> None:
    done = await call(gateway, *arguments)
    assert (done.code, said in done.err, done.out) == (code, True, ""), done.err


async def test_agents_are_those_of_the_caller(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        gateway.agent(
            url=container.url,
            privateSkills=["secret"],
            skills=[skill("say"), skill("secret")],
            access={"grants": [{"principals": ["corp:ann"]}]},
        )
        ann = of(issuer, "ann")["Authorization"].removeprefix("Bearer ")
        assert (await call(gateway, "agents", "list", "-o", "name", token=ann, secrets=(ann,))).out == "shop/echo\n"
        bob = of(issuer, "bob")["Authorization"].removeprefix("Bearer ")
        nothing = await call(gateway, "agents", "list", token=bob, secrets=(bob,))
        assert (nothing.code, nothing.out, nothing.err) == (0, "", "nothing found\n")
        wrong = await call(gateway, "call", "shop/echo", "hi", token="nonsense-token", secrets=("nonsense-token",))
        assert (wrong.code, "--token-file or LAMBDAAGENT_TOKEN" in wrong.err) == (1, True), wrong.err
        card = await call(gateway, "card", "echo", "--extended", token=ann, secrets=(ann,))
        assert [each["id"] for each in json.loads(card.out)["skills"]] == ["say", "secret"]


async def test_a_list_is_watched(gateway: World, container: PlainAgent) -> None:
    watching = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambdaagent", "agents", "list", "--watch", "-o", "name",
        env={**os.environ, "LAMBDAAGENT_GATEWAY_URL": gateway.url}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert watching.stdout is not None
    try:
        lines = [await asyncio.wait_for(watching.stdout.readline(), 60) for _ in range(3)]
        assert lines == [b"other/echo\n", b"shop/echo\n", b"shop/single\n"]
        gateway.agent("late", url=container.url)
        assert await asyncio.wait_for(watching.stdout.readline(), 60) == b"shop/late\n"
    finally:
        watching.kill()
        await watching.wait()


async def test_a_narrow_terminal_gets_whole_lines(gateway: World) -> None:
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (10, 20))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambdaagent", "agents", "list",
        env={**os.environ, "LAMBDAAGENT_GATEWAY_URL": gateway.url, "COLUMNS": "20"}, stdout=terminal,
    )  # fmt: skip
    try:
        assert await asyncio.wait_for(process.wait(), 60) == 0
        lines = os.read(controller, 65536).decode().split("\r\n")
        assert lines[2].endswith(f"{gateway.url}/agents/shop/echo/api/a2a")
    finally:
        os.close(terminal)
        os.close(controller)
