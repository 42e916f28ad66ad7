"""What the gateway says about a decision: to the caller itself, or about anybody to an administrator."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import Result
from tests.parts.access import guarded, of
from tests.parts.gateway import World, skill, world
from tests.parts.issuer import Issuer
from typer.testing import CliRunner

from lambdaagent.cli.main import app
from lambdaagent.identity import api_keys

KEY = api_keys.create("ci")
GRANTS = [
    {"principals": ["corp:alice"], "actions": ["invoke", "read"]},
    {"principals": ["corp:carol"], "skills": ["say"]},
    {"groups": ["builders"]},
    {"claims": {"team": ["payments"]}, "actions": ["read"]},
]


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer) -> AsyncIterator[World]:
    keys = [{"id": "ci", "sha256": api_keys.hash_of(KEY), "groups": ["builders"]}]
    file = {
        "issuers": [issuer.configured()],
        "apiKeys": keys,
        "admins": ["corp:root"],
        "ceiling": {"namespaces": ["shop"]},
        "audit": {"sink": "none"},
    }
    async with guarded(tmp_path / "access.yaml", file) as found:
        found.agent(url="http://x", access={"grants": GRANTS}, skills=[skill("say"), skill("sing")])
        found.agent("outside", namespace="bank", url="http://x", access={"grants": GRANTS})
        yield found


async def asked(gateway: World, headers: dict[str, str], *more: tuple[str, str], agent: str = "shop/echo") -> Any:
    path = f"/access/explain?{urlencode([('agent', agent), *more])}"
    answer = await gateway.request("GET", path, headers=headers)
    if answer.status != 200:
        return answer.status
    found = await answer.json()
    return found["caller"], found["allowed"], found["rule"]


async def test_a_caller_learns_of_itself(gateway: World, issuer: Issuer) -> None:
    alice = of(issuer)
    assert await asked(gateway, alice, ("skill", "say")) == ("corp:alice", True, "grants[0]")
    assert await asked(gateway, alice, ("action", "cancel")) == ("corp:alice", False, "default")
    carol = of(issuer, "carol")
    assert await asked(gateway, carol) == ("corp:carol", False, "skills")
    assert await asked(gateway, carol, ("skill", "say")) == ("corp:carol", True, "grants[1]")
    paid = of(issuer, "dora", team="payments")
    assert await asked(gateway, paid, ("action", "read")) == ("corp:dora", True, "grants[3]")


async def test_nobody_learns_of_what_it_may_not_see(gateway: World, issuer: Issuer) -> None:
    assert await asked(gateway, {}) == 401
    for agent in ("shop/echo", "shop/absent", "bank/outside"):
        assert await asked(gateway, of(issuer, "eve"), agent=agent) == 404
    assert await asked(gateway, of(issuer), agent="bank/outside") == 404
    for name, value in (("as", "corp:root"), ("group", "builders"), ("claim", "team=payments")):
        assert await asked(gateway, of(issuer), (name, value)) == 403


async def test_an_administrator_learns_of_everybody(gateway: World, issuer: Issuer) -> None:
    root = of(issuer, "root")
    assert await asked(gateway, root) == ("corp:root", True, "admins")
    assert await asked(gateway, root, ("as", "corp:eve")) == ("corp:eve", False, "default")
    assert await asked(gateway, root, ("as", "key:ci")) == ("key:ci", True, "grants[2]")
    assert await asked(gateway, root, ("as", "key:other")) == ("key:other", False, "default")
    assert await asked(gateway, root, ("as", "corp:x"), ("group", "builders")) == ("corp:x", True, "grants[2]")
    claimed = [("as", "corp:x"), ("claim", "team=payments"), ("action", "read")]
    assert await asked(gateway, root, *claimed) == ("corp:x", True, "grants[3]")
    assert await asked(gateway, root, ("as", "anonymous")) == ("anonymous", False, "anonymous")


@pytest.mark.parametrize(
    ("agent", "more"),
    [
        ("", ()),
        ("shop", ()),
        ("shop/echo/x", ()),
        ("shop/" + "x" * 100, ()),
        ("shop/echo", (("action", "fly"),)),
        ("shop/echo", (("as", ""),)),
        ("shop/echo", (("as", "x"),)),
        ("shop/echo", (("as", "gateway:x"),)),
        ("shop/echo", (("as", "system:masters"),)),
        ("shop/echo", (("as", "corp:x"), ("claim", "no value"))),
        ("shop/echo", (("as", "key:ci"), ("claim", "a=b"))),
    ],
)
async def test_odd_questions_are_refused(
    gateway: World, issuer: Issuer, agent: str, more: tuple[tuple[str, str], ...]
) -> None:
    assert await asked(gateway, of(issuer, "root"), *more, agent=agent) == 400


async def test_without_access_control_all_is_allowed() -> None:
    async with world() as open_:
        open_.agent(url="http://x")
        assert await asked(open_, {}) == ("anonymous", True, "off")


async def command(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["access", *arguments])


async def test_the_command_asks_a_gateway(gateway: World, issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "root").write_text(issuer.token("root"))
    at = ("--gateway", gateway.url, "--agent", "shop/echo", "--token-file", str(tmp_path / "root"))
    found = await command("explain", *at)
    assert found.output == "shop/echo: allowed by admins: the installation names the caller as an administrator\n"
    assert (await command("can-i", *at, "--as", "corp:alice", "--skill", "say")).output == "yes\n"
    denied = await command("can-i", *at, "--as", "corp:alice", "--action", "cancel")
    assert (denied.output, denied.exit_code) == ("no\n", 1)
    for wrong in (
        ("explain", *at, "--as", "x"),
        ("explain", *at[:2], "--agent", "shop/absent", *at[4:]),
        ("explain", *at[:4]),
        ("explain", *at, "agent.yaml"),
        ("explain", "--gateway", "ftp://x", "--agent", "a/b"),
        ("explain",),
    ):
        found = await command(*wrong)
        assert found.exit_code != 0
        assert issuer.token("root") not in found.output + str(found.exception)
