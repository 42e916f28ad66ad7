"""The examples of agents that work together, as a user runs them against `lambdaagent dev`."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.parts.dev import Dev, dev
from tests.parts.polling import wait

EXAMPLES = Path(__file__).parents[3] / "examples"
TESTED = "+++ b/tests/test_a.py\n+def test_a(): ...\n"
BOARD = [f"default/review-{each}" for each in ("security", "size", "tests")]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with dev(EXAMPLES / "review-board", data=tmp_path_factory.mktemp("board")) as found:
        yield found


@pytest.mark.parametrize(
    ("diff", "votes", "outcome"),
    [
        (TESTED, ("yes", "yes", "yes"), "yes"),
        ("+++ b/a.py\n+x = 1\n", ("yes", "yes", "no"), "yes"),
        ("+++ b/a.py\n+eval(x)\n", ("no", "yes", "no"), "no"),
        (TESTED + "+x\n" * 300, ("yes", "no", "yes"), "yes"),
    ],
)
def test_a_review_board_votes_by_its_replies(board: Dev, diff: str, votes: tuple[str, ...], outcome: str) -> None:
    proposal = {"from": "ci", "title": "Merge it?", "electorate": BOARD, "data": {"diff": diff}}
    made = board.post("/a2a/proposals", json=proposal).json()
    found: dict[str, Any] = {}

    def decided() -> bool:
        found.update(board.get(f"/a2a/proposals/{made['proposal_id']}").json())
        return bool(found["status"] != "open")

    wait(decided, within=30, what=lambda: str(found))
    assert (found["votes"], found["outcome"]) == (dict(zip(BOARD, votes, strict=True)), outcome)
    assert found["status"] == ("accepted" if outcome == "yes" else "rejected")


def test_ten_agents_count_and_one_program_reduces(tmp_path: Path) -> None:
    text = "the quick fox and the slow dog " * 40 + "and an end"
    with dev(EXAMPLES / "map-reduce", data=tmp_path) as running:
        environment = os.environ | {"GATEWAY": running.url, "RUN": "7"}
        for _ in range(2):  # the second run finds the jobs of the first
            done = subprocess.run(
                [sys.executable, str(EXAMPLES / "map-reduce" / "reduce.py")],
                env=environment,
                input=text,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, done.stderr
            assert [line.split() for line in done.stdout.splitlines()[:2]] == [["80", "the"], ["41", "and"]]
            assert done.stderr == "283 words in 10 jobs, counted by 10 agents\n"
        jobs = running.get("/a2a/jobs").json()["jobs"]
        assert len(jobs) == 10


@contextmanager
def laptop(gateway: str, folder: Path) -> Iterator[list[str]]:
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "laptop" / "agent.py"), str(folder)],
        env=os.environ | {"GATEWAY": gateway},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    try:
        yield lines
    finally:
        process.terminate()
        process.wait(20)
        reader.join(20)
        process.stdout.close()


def test_a_laptop_answers_what_came_while_it_was_away_and_after_a_restart_of_the_gateway(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("The report is in the drawer.")
    (notes / "b.txt").write_text("Milk, bread")

    def ask(running: Dev, query: str) -> str:
        body = {"from": "ann", "to": "laptop", "content": {"type": "query", "data": {"query": query}}}
        answer = running.post("/a2a/message", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["message_id"])

    def files(running: Dev, message_id: str) -> Any:
        def look() -> Any:
            for each in running.get("/a2a/messages?agent=ann&wait=1").json()["messages"]:
                if each["metadata"].get("correlation_id") == message_id:
                    return each["content"]["data"]
            return None

        return wait(look, within=30)["files"]

    def acknowledged(running: Dev, message_id: str) -> bool:
        return bool(running.get(f"/a2a/messages/{message_id}").json()["status"] == "acknowledged")

    echo = EXAMPLES / "echo-python"
    with dev(echo, data=tmp_path / "data") as running:
        running.post("/a2a/register", json={"agent_id": "laptop", "ttl_seconds": 60})
        early = ask(running, "report")
        with laptop(running.url, notes) as lines:
            assert files(running, early) == ["a.txt"]
            wait(lambda: acknowledged(running, early))
            again = ask(running, "MILK")
            assert files(running, again) == ["b.txt"]
            port = re.search(r":(\d+)$", running.url)
            assert port is not None
            running.stop()
            with dev(echo, "--port", port[1], data=tmp_path / "data") as restarted:
                wait(lambda: sum("is connected" in line for line in lines) == 2, within=30, what=lambda: str(lines))
                assert files(restarted, ask(restarted, "bread")) == ["b.txt"]
