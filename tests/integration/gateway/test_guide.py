"""The guide's curl lines do what the guide says, as they stand there."""

import asyncio
import os
import re
from pathlib import Path

import orjson
import pytest
from tests.parts.gateway import World, message
from tests.parts.upstream import PlainAgent

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "a2a.md"
# One that does not end is given two seconds, as if somebody had seen enough.
CURL = 'curl() { command curl --silent --show-error --max-time 2 "$@"; }\n'


def lines(guide: Path = GUIDE) -> list[str]:
    """Returns each curl command with the lines that continue it."""
    return lines_of(guide.read_text())


def lines_of(text: str) -> list[str]:
    blocks = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    commands = [each for block in blocks for each in re.split(r"\n(?=    curl)", "\n" + block)]
    return [re.sub(r"^    ", "", each, flags=re.MULTILINE).strip() for each in commands if "    curl" in each]


@pytest.mark.parametrize("line", lines(), ids=lambda line: line.splitlines()[0][:70])
async def test_a_line_of_the_guide_works(gateway: World, container: PlainAgent, line: str) -> None:
    gateway.agent(namespace="default", url=container.url, skills=[])
    sent = {"message": message(), "configuration": {"returnImmediately": True}}
    path = "/agents/default/echo/api/a2a"
    task = (await gateway.rpc("SendMessage", sent, path=path))["result"]["task"]["id"]
    agent = f"{gateway.url}/agents/default/echo"
    environment = {**os.environ, "GATEWAY": gateway.url, "AGENT": agent, "A2A": f"{agent}/api/a2a", "TASK": task}
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", CURL + line, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    answered = out.decode()
    if " -N " in line:
        assert answered.startswith(("event: snapshot\ndata: ", "id: 0\ndata: ")), err
        return
    body = orjson.loads(answered)
    # By the time that it is asked for, the task may have ended.
    assert "error" not in body or (":cancel" in line and body["error"]["code"] == 400), body


def test_the_guide_shows_both_versions_over_both_bindings() -> None:
    text = "\n".join(lines())
    for shown in (
        "$A2A/message:send",
        "$A2A/message:stream",
        '"SendMessage"',
        '"message/send"',
        "$A2A/v1/message:send",
    ):
        assert shown in text
