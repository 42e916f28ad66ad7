"""Every example runs: the Python one, the one in Node, and one LambdaAgent per feature."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.parts.dev import dev

EXAMPLES = Path(__file__).parents[3] / "examples"
FEATURES = sorted((EXAMPLES / "features").glob("*.yaml"))


def test_the_python_and_the_node_agent_answer_and_hear_each_other(tmp_path: Path) -> None:
    with dev(EXAMPLES / "echo-python", EXAMPLES / "words-node", data=tmp_path) as running:
        echo = running.post("/agents/default/echo/api/a2a/skills/echo", content="hello")
        assert echo.text == "Say it back. hello"
        sent = running.send_event("io.example.greeting", event_id="g1", data=b"good day to you")
        assert sent.status_code == 202
        running.wait_for("[default/words] greeting 1 from /tests")
        running.wait_for("[default/echo] greeted by /tests: good day to you")
        count = running.post("/agents/default/words/api/a2a/skills/count", content="one two three")
        assert count.json() == {"words": 3, "greeted": 1}


@pytest.mark.parametrize("path", FEATURES, ids=[path.stem for path in FEATURES])
def test_a_feature_renders_and_runs(path: Path, tmp_path: Path) -> None:
    rendered = subprocess.run(
        [sys.executable, "-m", "lambdaagent", "render", str(path)], capture_output=True, text=True, check=True
    )
    assert "Service" in {document["kind"] for document in yaml.safe_load_all(rendered.stdout)}
    agent = EXAMPLES / "echo-python" / "agent.py"
    with dev(path, "--command", f"{path.stem}={sys.executable} {agent}", data=tmp_path) as running:
        listed = [agent["name"] for agent in running.get("/agents").json()["agents"]]
        assert listed == ([path.stem] if "a2a:" in path.read_text() else [])


def test_the_features_are_listed_in_their_readme() -> None:
    text = (EXAMPLES / "features" / "README.md").read_text()
    assert [path.name for path in FEATURES if f"`{path.name}`" not in text] == []
