"""The curl lines of the guide do what the guide says, as they stand there."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.integration.gateway.test_guide import lines
from tests.parts.gateway import World, skill, world
from tests.parts.upstream import PlainAgent

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "coordination.md"
FOUND = {"entries", "items", "results", "result"}


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        skills = [skill("hello", tags=["talk", "example"])]
        found.agent(namespace="default", url=container.url, skills=skills)
        yield found


ALONE = [each for each in lines(GUIDE) if not each.partition("$GATEWAY/a2a/")[1]]
"""The lines that need nothing but an agent; `test_guide_together.py` runs those of agents that work together."""


@pytest.mark.parametrize("line", ALONE, ids=lambda line: line.splitlines()[0][:70])
async def test_a_line_of_the_guide_finds_the_agent(gateway: World, line: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f"set -e; {line}",
        env={**os.environ, "GATEWAY": gateway.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err
    answer = orjson.loads(out)
    assert FOUND & answer.keys(), answer
    assert "agents/default/echo" in out.decode()


async def test_the_answer_of_a_negotiation_is_the_one_in_the_guide(gateway: World) -> None:
    (line,) = [each for each in lines(GUIDE) if "agent.negotiate" in each]
    body = re.search(r"--json '(.*)'", line, re.DOTALL)
    shown = re.search(r'^    (\{"agreed".*?)\n\n', GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert body is not None
    assert shown is not None
    answer = await gateway.request("POST", "/a2a?agent=default/echo", json=orjson.loads(body[1]))
    expected = orjson.loads(shown[1].replace("http://localhost:8080", gateway.url))
    assert (await answer.json())["result"] == expected
