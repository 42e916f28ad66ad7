"""The files whose changes restart an agent."""

from pathlib import Path
from typing import Any

import pytest

from lambdaagent.api import agent as agents
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.dev.code import Code, code
from lambdaagent.errors import UsageError


def agent(watch: str | None = None) -> LambdaAgent:
    annotations: dict[str, Any] = {} if watch is None else {"dev.lambda.knative.io/watch": watch}
    metadata = {"name": "a", "namespace": "n", "annotations": annotations}
    return agents.parse({"metadata": metadata, "spec": {"image": {"repository": "r"}}})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Makes a folder `agent` with the file of the agent, and a folder `elsewhere` beside it."""
    for name in ("agent/agent.py", "agent/lib/deep.py", "agent/prompt.txt", "agent/server", "elsewhere/main.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def of(tree: Path, *command: str, watch: str | None = None) -> Code:
    return code(agent(watch), command=command, folder=tree / "agent")


@pytest.mark.parametrize(
    ("command", "changed", "expected"),
    [
        pytest.param(["python3", "agent.py"], "agent/agent.py", True, id="the script"),
        pytest.param(["python3", "agent.py"], "agent/lib/deep.py", True, id="a module below it"),
        pytest.param(["python3", "agent.py"], "agent/new.py", True, id="a file that is new"),
        pytest.param(["python3", "agent.py"], "agent/state.json", False, id="what it may have written"),
        pytest.param(["python3", "agent.py"], "agent/log.txt", False, id="a log"),
        pytest.param(["python3", "agent.py"], "elsewhere/main.js", False, id="another folder"),
        pytest.param(["uvicorn", "agent:app"], "agent/agent.py", True, id="no file is named"),
        pytest.param(["node", "../elsewhere/main.js"], "elsewhere/main.js", True, id="a script elsewhere"),
        pytest.param(["node", "../elsewhere/main.js"], "elsewhere/other.mjs", True, id="beside a script elsewhere"),
        pytest.param(["node", "../elsewhere/main.js"], "elsewhere/state.json", False, id="no source elsewhere"),
        pytest.param(["./server"], "agent/server", True, id="a program that was built"),
        pytest.param(["./server", "prompt.txt"], "agent/prompt.txt", True, id="a file that it is given"),
        pytest.param(["x", "a" * 5000], "agent/agent.py", True, id="a word that is no path"),
        pytest.param(["x", "\0"], "agent/agent.py", True, id="a word that can be none"),
        pytest.param([], "agent/agent.py", False, id="an image"),
    ],
)
def test_source_below_the_command_counts(tree: Path, command: list[str], changed: str, expected: bool) -> None:
    assert of(tree, *command).concerns(tree / changed) is expected


@pytest.mark.parametrize(
    ("watch", "changed", "expected"),
    [
        pytest.param("prompt.txt", "agent/prompt.txt", True, id="a file"),
        pytest.param("prompt.txt", "agent/agent.py", False, id="nothing but what is named"),
        pytest.param("../elsewhere", "elsewhere/data.json", True, id="a folder with everything in it"),
        pytest.param("lib prompt.txt", "agent/lib/deep.py", True, id="several"),
        pytest.param("none", "agent/agent.py", False, id="none"),
    ],
)
def test_the_annotation_names_what_counts(tree: Path, watch: str, changed: str, expected: bool) -> None:
    for command in (["python3", "agent.py"], []):
        assert of(tree, *command, watch=watch).concerns(tree / changed) is expected


@pytest.mark.parametrize("watch", ["", "gone", "agent.py gone", "'open"])
def test_an_annotation_that_names_nothing_is_refused_by_name(tree: Path, watch: str) -> None:
    with pytest.raises(UsageError, match=r"n/a: annotation dev\.lambda\.knative\.io/watch: "):
        of(tree, "python3", watch=watch)


def test_a_named_file_is_watched_by_its_folder(tree: Path) -> None:
    assert of(tree, "x", watch="prompt.txt").folders == {tree / "agent"}
    assert of(tree, "x", watch="../elsewhere").folders == {tree / "elsewhere"}
    assert of(tree, "python3", "agent.py").folders == {tree / "agent"}
    assert of(tree, "python3", "/etc/hostname").folders == {tree / "agent"}, (
        "no system folder, for a file that is no source"
    )
