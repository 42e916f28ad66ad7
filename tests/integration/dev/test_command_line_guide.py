"""`docs/guides/command-line.md` as written: each command is executed, and each `# ` line is found in the output."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.parts.dev import Dev, dev

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "guides" / "command-line.md").read_text()
SECTIONS = ["Find an agent", "Call an agent", "Answer a question", "Follow tasks"]


def blocks(text: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)


def section(title: str) -> str:
    return GUIDE[GUIDE.index(f"## {title}\n") :].partition("\n## ")[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    examples = [ROOT / "examples" / name for name in ("echo-python", "travel-desk")]
    with dev(*examples, data=tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.mark.parametrize("title", SECTIONS)
def test_the_commands_of_a_section_print_what_the_guide_says(running: Dev, tmp_path: Path, title: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in blocks(section(title)):
        commands = "\n".join(line for line in block.splitlines() if not line.startswith("# "))
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", commands],
            cwd=tmp_path,
            env=os.environ | {"LAMBDAAGENT_GATEWAY_URL": running.url, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, (commands, done.stdout, done.stderr)
        rest = done.stdout
        for line in block.splitlines():
            if line.startswith("# "):
                before, found, rest = rest.partition(line.removeprefix("# ").strip())
                assert found, (line, before)


def test_every_command_of_the_guide_is_executed() -> None:
    assert blocks(GUIDE) == [block for title in SECTIONS for block in blocks(section(title))]
