"""`docs/guides/clients.md` as written: each command of the two ways that need no cluster is executed."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.parts.dev import Dev, dev
from tests.parts.issuer import issuing
from tests.parts.polling import wait

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "guides" / "clients.md").read_text()
_CALL = "/agents/default/guarded/api/a2a/skills/echo"


def blocks(title: str) -> list[str]:
    section = GUIDE[GUIDE.index(f"## {title}\n") :].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Returns a directory with the examples, where the guide's commands may write."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def run(block: str, home: Path, *, at: str = "", **variables: str) -> None:
    """Runs the commands of a block; each line that begins with `# ` is found in the output, after those before."""
    commands = [line for line in block.splitlines() if not line.startswith("# ")]
    text = "\n".join(commands).replace("localhost:8080", at.removeprefix("http://"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | variables | {"PATH": path}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, (text, done.stdout, done.stderr)
    rest = done.stdout
    for line in block.splitlines():
        if line.startswith("# "):
            before, found, rest = rest.partition(line.removeprefix("# "))
            assert found, (line, before)


def started(block: str, home: Path) -> Any:
    """Starts the gateway as the block has it, but for a port of its own."""
    assigned = dict(re.findall(r"(LAMBDAAGENT_\w+)=(\S+)", block))
    command = block.split("lambdaagent dev ")[1].split()
    assigned["LAMBDAAGENT_ACCESS_FILE"] = str(home / assigned["LAMBDAAGENT_ACCESS_FILE"])
    return dev(*(home / each for each in command), data=home / "data", environment=assigned)


def test_an_api_key_lets_in_and_is_revoked(home: Path) -> None:
    make, start, call, revoke = blocks("With an API key")
    run(make, home)
    with started(start, home) as running:
        run(call, home, at=running.url)
        run(revoke, home)
        headers = {"Authorization": f"Bearer {(home / 'ci.key').read_text().strip()}"}

        def refused(found: Dev = running) -> bool:
            return found.post(_CALL, json={"text": "x"}, headers=headers).status_code == 401

        wait(refused)


async def test_a_token_of_an_issuer_lets_in(home: Path) -> None:
    make, start, call = blocks("With a token of your identity provider")
    async with issuing() as issuer:
        await asyncio.to_thread(run, make, home, ISSUER=issuer.url)

        def guided() -> None:
            with started(start, home) as running:
                run(call, home, at=running.url, TOKEN=issuer.token("alice"))
                bob = {"Authorization": f"Bearer {issuer.token('bob')}"}
                assert running.post(_CALL, json={"text": "x"}, headers=bob).status_code == 404

        await asyncio.to_thread(guided)
