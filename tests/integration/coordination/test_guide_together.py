"""The guide's sections on agents that work together, line by line against `lambdaagent dev`."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.gateway.test_guide import lines, lines_of
from tests.parts.dev import Dev, dev

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "guides" / "coordination.md"
SECTIONS = [
    "Register an agent",
    "Stay alive",
    "Send messages",
    "Share a context",
    "Start a session",
    "Propose and vote",
    "Have a task done",
]
CURL = 'set -e; curl() { command curl --silent --show-error --fail-with-body --max-time 20 "$@"; echo; }\n'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with dev(ROOT / "examples" / "echo-python", data=tmp_path_factory.mktemp("data")) as found:
        found.post("/a2a/register", json={"agent_id": "laptop"})
        yield found


def section(title: str) -> list[str]:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return lines_of(found[1])


@pytest.mark.parametrize("title", SECTIONS)
def test_the_lines_of_a_section_work_one_after_another(running: Dev, title: str) -> None:
    commands = section(title)
    assert commands
    answers = []
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", CURL + command],
            env=os.environ | {"GATEWAY": running.url},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        answers.append(done.stdout)
    expected = {
        "Register an agent": ["laptop", "Searches my files."],
        "Stay alive": ["expires_at"],
        "Send messages": ["m-1", '"m-2"', "reports.*"],
        "Share a context": ['"data":{"notes":["sunny","warm"],"best":7}', "windy", '"op":"add"'],
        "Start a session": ['"found":3', '"status":"completed"'],
        "Propose and vote": ['"status":"accepted"', '"outcome":"yes"'],
        "Have a task done": ["hello", "j-2"],
    }
    for text in expected[title]:
        assert any(text in answer for answer in answers), (text, answers)


def test_every_line_of_the_guide_is_run_by_one_of_both_tests() -> None:
    sections = [line for title in SECTIONS for line in section(title)]
    assert {line for line in lines(GUIDE) if "$GATEWAY/a2a/" in line} == set(sections)
