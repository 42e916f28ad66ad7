"""`docs/guides/mcp.md` as written, and `examples/mcp`: each configuration of a host is used, each command executed.

The hosts themselves are not there: the official SDK connects by what their configuration says.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from tests.parts.dev import Dev, dev

from lambdaagent.identity import api_keys

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "guides" / "mcp.md").read_text()
EXAMPLE = ROOT / "examples" / "mcp"
KEY = api_keys.create("root")
TOOLS = {"default__weather__forecast", "default__weather__talk"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("guide")
    file = {
        "apiKeys": [{"id": "root", "sha256": api_keys.hash_of(KEY)}],
        "admins": ["key:root"],
        "audit": {"sink": "none"},
    }
    (folder / "access.yaml").write_text(yaml.safe_dump(file))
    environment = {"LAMBDAAGENT_ACCESS": "enforce", "LAMBDAAGENT_ACCESS_FILE": str(folder / "access.yaml")}
    with dev(EXAMPLE, data=folder / "data", environment=environment) as found:
        yield found


def blocks(title: str, kind: str) -> list[str]:
    section = GUIDE[GUIDE.index(f"### {title}\n") :].partition("\n## ")[0].partition("\n### ")[0]
    return re.findall(rf"```{kind}\n(.*?)```", section, flags=re.DOTALL)


def environment(running: Dev) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return os.environ | {"GATEWAY": running.url, "TOKEN": KEY, "LAMBDAAGENT_TOKEN": KEY, "PATH": path}


@asynccontextmanager
async def connected(url: str, headers: dict[str, str]) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=headers, timeout=20) as http,
        Client(streamable_http_client(url, http_client=http)) as found,
    ):
        yield found


def tools(found: Any) -> set[str]:
    return {each.name for each in found.tools if "__" in each.name}


async def test_claude_code_by_its_command(running: Dev) -> None:
    (block,) = blocks("Claude Code", "sh")
    shown = subprocess.run(
        ["bash", "-c", f"claude() {{ printf '%s\\n' \"$@\"; }}; {block}"],
        env=environment(running),
        capture_output=True,
        text=True,
        check=True,
    )
    *command, url, option, header = shown.stdout.splitlines()
    assert (command, option) == (["mcp", "add", "--transport", "http", "agents"], "--header")
    name, _, value = header.partition(": ")
    async with connected(url, {name: value}) as found:
        assert tools(await found.list_tools()) == TOOLS


@pytest.mark.parametrize(
    ("title", "key"), [("Claude Code", "mcpServers"), ("VS Code", "servers"), ("Cursor", "mcpServers")]
)
async def test_hosts_with_a_url_by_their_configuration(running: Dev, title: str, key: str) -> None:
    (block,) = blocks(title, "json")
    for placeholder in ("${TOKEN}", "${input:token}", "${env:TOKEN}"):
        block = block.replace(placeholder, KEY)
    for gateway in ("${GATEWAY}", "https://gateway.example.com"):
        block = block.replace(gateway, running.url)
    server = json.loads(block)[key]["agents"]
    assert "$" not in json.dumps(server)
    async with connected(server["url"], server["headers"]) as found:
        assert tools(await found.list_tools()) == TOOLS


async def test_claude_desktop_by_its_configuration(running: Dev) -> None:
    (block,) = blocks("Claude Desktop, and every host that only starts processes", "json")
    server = json.loads(block.replace("https://gateway.example.com", running.url).replace('"..."', f'"{KEY}"'))
    agents = server["mcpServers"]["agents"]
    assert Path(sys.executable).with_name(agents["command"]).exists()
    command = str(Path(sys.executable).with_name(agents["command"]))
    parameters = StdioServerParameters(command=command, args=agents["args"], env=agents["env"])
    async with Client(stdio_client(parameters)) as found:
        assert tools(await found.list_tools()) == TOOLS


def test_the_stdio_server_without_a_host(running: Dev) -> None:
    (block,) = blocks("Claude Desktop, and every host that only starts processes", "sh")
    command = ["bash", "-e", "-o", "pipefail", "-c", block]
    done = subprocess.run(command, env=environment(running), capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert {each["name"] for each in json.loads(done.stdout)["result"]["tools"]} > TOOLS


def test_a_python_program(running: Dev) -> None:
    (block,) = blocks("Python", "python")
    done = subprocess.run(
        [sys.executable, "-c", block], env=environment(running), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "default__weather__forecast" in done.stdout
    assert "It will be sunny." in done.stdout


def test_the_example_finds_calls_and_waits(running: Dev) -> None:
    variables = environment(running) | {"GATEWAY_MCP": f"{running.url}/mcp"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "client.py")], env=variables, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    agents, asked, task, wrong = done.stdout.splitlines()
    assert agents == "default/weather ['default__weather__forecast', 'default__weather__talk']"
    assert asked.startswith("default/weather says You asked: ")
    assert task == "completed {'city': 'Basel', 'degrees': [20, 21]}"
    assert wrong == "arguments.days: 20 is greater than the maximum of 10."


def by_hand(title: str, running: Dev) -> Any:
    """Executes the command of a section for the agent of the example, and returns its output."""
    section = GUIDE[GUIDE.index(f"## {title}\n") :].partition("\n## ")[0]
    command = "\n".join(line for line in section.splitlines() if line.startswith("    "))
    command = command.replace("default/guarded", "default/weather").replace('"name": "echo"', '"name": "talk"')
    command = command.replace('"to": ', '"metadata": {"skill_id": "talk"}, "to": ')  # the example's agent has two
    command = command.replace('"from": "key:alice"', '"from": "key:root"')
    assert shlex.split(command)[0] == "curl"
    done = subprocess.run(
        ["bash", "-e", "-c", command], env=environment(running), capture_output=True, text=True, check=True, timeout=30
    )
    return json.loads(done.stdout)


def test_a_call_by_hand(running: Dev) -> None:
    assert "It will be sunny." in by_hand("Call a tool", running)["result"]["content"][0]["text"]


def test_a_message_by_hand(running: Dev) -> None:
    answer = by_hand("One URL for every protocol", running)
    assert (answer["from"], answer["to"], answer["content"]["type"]) == ("default/weather", "key:root", "response")
