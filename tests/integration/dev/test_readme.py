"""The five minutes of the README, and what the guide of agents has to run: each command as written and executed.

Each `# ` line below a command is found in its output.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.parts.dev import Dev, dev

ROOT = Path(__file__).parents[3]


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with dev(ROOT / "examples" / "echo-python", data=tmp_path_factory.mktemp("data")) as found:
        yield found


def test_an_agent_calls_another_one_as_the_guide_has_it(running: Dev) -> None:
    text = (ROOT / "docs" / "guides" / "agents.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    env = os.environ | {"GATEWAY_URL": running.url}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "Say it back. hello\n"


def test_the_five_minutes_work_as_written(running: Dev) -> None:
    assert len(blocks()) == 5
    for block in blocks():
        commands = "\n".join(line for line in block.splitlines() if not line.startswith("# "))
        commands = commands.replace("localhost:8080", running.url.removeprefix("http://"))
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", commands], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
        for line in block.splitlines():
            if line.startswith("# "):
                for part in filter(None, line.removeprefix("# ").split("...")):
                    assert part.strip().lower() in done.stdout.lower(), (line, done.stdout)
    running.wait_for("greeted by /me: good day")
