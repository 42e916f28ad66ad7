"""What `make run` and `make setup` install, in which order they are asked for: make itself says what it would do."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNING, TESTING = "-r requirements.runtime.lock -r requirements.build.lock", "-r requirements.lock"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", *(path.name for path in ROOT.glob("requirements*.lock"))):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (1_000, 1_000))
    (tmp_path / ".venv").mkdir()
    return tmp_path


def would(tree: Path, *arguments: str) -> str:
    """Returns the commands that a target would run, and runs none."""
    command = ["make", "--dry-run", "--no-print-directory", *arguments]
    env = {name: value for name, value in os.environ.items() if name not in ("PORT", "RUN", "MAKEFLAGS")}
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=True).stdout


def done(tree: Path, *stamps: str, at: int = 2_000) -> None:
    for stamp in stamps:
        (tree / ".venv" / stamp).touch()
        os.utime(tree / ".venv" / stamp, (at, at))


def test_running_installs_what_running_needs_and_says_so(tree: Path) -> None:
    said = would(tree, "run")
    assert RUNNING in said
    assert TESTING not in said
    assert re.search(r'echo "Installing .*"\n', said)
    assert not re.search(r"--quiet.*requirements", said), "an installation of half a minute must be seen to go on"


def test_testing_installs_both_parts_the_smaller_one_first(tree: Path) -> None:
    said = would(tree, "setup")
    assert 0 < said.index(RUNNING) < said.index(TESTING)


def test_testing_after_running_installs_the_rest_only(tree: Path) -> None:
    done(tree, ".runnable")
    said = would(tree, "setup")
    assert TESTING in said
    assert RUNNING not in said


def test_running_after_testing_installs_nothing(tree: Path) -> None:
    done(tree, ".runnable", ".installed")
    assert "pip" not in would(tree, "run")
    assert "pip" not in would(tree, "setup")


@pytest.mark.parametrize("name", ["requirements.runtime.lock", "requirements.build.lock", "pyproject.toml"])
def test_what_running_needs_is_installed_anew_when_it_changes(tree: Path, name: str) -> None:
    done(tree, ".runnable", ".installed")
    os.utime(tree / name, (3_000, 3_000))
    assert RUNNING in would(tree, "run")
    assert TESTING in would(tree, "setup")


def test_what_tests_need_does_not_hold_up_running(tree: Path) -> None:
    done(tree, ".runnable", ".installed")
    os.utime(tree / "requirements.lock", (3_000, 3_000))
    assert "pip" not in would(tree, "run")
    assert TESTING in would(tree, "setup")


@pytest.mark.parametrize(
    ("given", "command"),
    [
        pytest.param([], "lambdaagent dev  examples/echo-python", id="neither"),
        pytest.param(["PORT=9000"], "lambdaagent dev --port 9000 examples/echo-python", id="port"),
        pytest.param(["RUN=mine a.yaml"], "lambdaagent dev  mine a.yaml", id="files"),
    ],
)
def test_port_and_files_can_be_chosen(tree: Path, given: list[str], command: str) -> None:
    assert command in would(tree, "run", *given)


def test_the_lock_of_the_build_pins_what_the_large_one_pins() -> None:
    """Otherwise the order in which they are installed would decide what is tested."""

    def pins(file: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / file).read_text(), re.MULTILINE))

    assert pins("requirements.build.lock")
    assert pins("requirements.build.lock") <= pins("requirements.lock")
