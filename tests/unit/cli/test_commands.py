"""The command as a whole: how fast it answers, what it loads, and what the shell completes."""

import os
import resource
import subprocess
import sys

import pytest

# What a command's declaration may load: typer and what comes with it.
LIGHT = {"typer", "shellingham", "annotated_doc", "lambdaagent"}
QUICK = [
    pytest.param([], id="nothing"),
    pytest.param(["--help"], id="--help"),
    pytest.param(["-h"], id="-h"),
    pytest.param(["--version"], id="--version"),
    pytest.param(["events", "dlq", "-h"], id="a group"),
    pytest.param(["completion"], id="completion"),
    pytest.param(["version"], id="version"),
]


def lambdaagent(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    script = f"import sys; sys.argv[0] = 'lambdaagent'\nfrom lambdaagent.cli.main import main\n{code}\nmain()"
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", QUICK)
def test_what_only_says_something_loads_no_library_but_typer(arguments: list[str]) -> None:
    watch = (
        "import atexit\natexit.register(lambda: sys.stderr.write("
        "'LOADED ' + ' '.join({n.partition('.')[0] for n, m in sys.modules.items() if 'site-packages' in "
        "str(getattr(m, '__file__', ''))})))"
    )
    done = lambdaagent(*arguments, code=watch)
    assert done.returncode in (0, 2), done.stderr
    loaded = set(done.stderr.rpartition("LOADED ")[2].split())
    assert "typer" in loaded
    assert {name for name in loaded - LIGHT if not name.startswith("_")} == set()


def test_the_help_of_every_command_loads_no_library_but_typer() -> None:
    each = (
        "import contextlib, typer\nfrom lambdaagent.cli.main import app\n"
        "for name in typer.main.get_command(app).commands:\n"
        "    with contextlib.suppress(SystemExit):\n        app([name, '-h'])\n"
        "    assert 'pydantic' not in sys.modules, name"
    )
    done = lambdaagent("--version", code=each)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: lambdaagent ") > 10


def test_help_takes_less_than_a_fifth_of_a_second_of_the_processor() -> None:
    """Of the processor and not of the clock: other processes on the machine do not count. The least of five."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "lambdaagent", "--help"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.2


def test_the_version_is_printed_both_ways() -> None:
    assert lambdaagent("--version").stdout == lambdaagent("version").stdout != ""


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        pytest.param("lambdaagent ev", {"events"}, id="a command"),
        pytest.param("lambdaagent events ", {"dlq", "send"}, id="of a group"),
        pytest.param("lambdaagent events dlq l", {"list"}, id="of a group in a group"),
        pytest.param("lambdaagent events dlq list --o", {"--older-than", "--output"}, id="options"),
        pytest.param("lambdaagent render --serving k", {"knative", "kubernetes"}, id="choices"),
        pytest.param("lambdaagent validate -o ", {"text", "json"}, id="choices of a short option"),
        pytest.param("lambdaagent dev --log-level w", {"warning"}, id="choices after a command with files"),
        pytest.param("lambdaagent validate exam", set(), id="files are the shell's"),
        pytest.param("lambdaagent dev --data ", set(), id="a folder is the shell's"),
        pytest.param("lambdaagent --v", {"--version"}, id="options of the root"),
        pytest.param("lambdaagent nonsense ev", {"events"}, id="an unknown word is passed over"),
    ],
)
def test_the_shell_completes(line: str, offered: set[str]) -> None:
    ask = (
        'eval "$SCRIPT"; read -ra COMP_WORDS <<<"$LINE"; if [[ "$LINE" == *" " ]]; then COMP_WORDS+=(""); fi; '
        'COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _lambdaagent; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    env = os.environ | {"SCRIPT": lambdaagent("completion").stdout, "LINE": line}
    done = subprocess.run(["bash", "-u", "-c", ask], env=env, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered
