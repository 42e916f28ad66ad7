"""The command with which an agent is started; no process runs here."""

import os
from pathlib import Path
from typing import Any

import pytest

from lambdaagent.api import agent as agents
from lambdaagent.dev import starting
from lambdaagent.dev.environment import expand, sources
from lambdaagent.errors import UsageError

ENVIRONMENT = {
    "K_SINK": "http://127.0.0.1:8080/events/n/from/a",
    "GATEWAY_URL": "http://127.0.0.1:8080",
    "TOKEN": "secret",
    "AI_MODEL": "m",
    "HOME": "/root",
}


def make(*, command: str | None = None, **spec: Any) -> agents.LambdaAgent:
    annotations = {"dev.lambda.knative.io/command": command} if command else {}
    document = {
        "metadata": {"name": "a", "namespace": "n", "annotations": annotations},
        "spec": {"image": {"repository": "r"}} | spec,
    }
    return agents.parse(document)


def start(agent: agents.LambdaAgent, *, options: list[str] | None = None, engine: str | None = None) -> tuple[str, ...]:
    chosen = starting.overrides(options or [])
    found = starting.start(
        agent,
        chosen=chosen,
        environment=ENVIRONMENT,
        port=5000,
        find=lambda name: engine if engine and name in engine else None,
    )
    return found.command


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(["a=run it"], ("run", "it"), id="by name"),
        pytest.param(["n/a=run it"], ("run", "it"), id="by namespace and name"),
        pytest.param(["a=general", "n/a=special"], ("special",), id="the closer one wins"),
        pytest.param(["other=x"], ("python", "agent.py"), id="the annotation"),
        pytest.param(["a=say '$(AI_MODEL) two'"], ("say", "m two"), id="quotes and variables"),
    ],
)
def test_the_order_of_precedence(options: list[str], expected: tuple[str, ...]) -> None:
    assert start(make(command="python agent.py"), options=options) == expected


@pytest.mark.parametrize("option", ["a", "a=", "=run", "a='unclosed"])
def test_an_option_of_another_form_is_refused(option: str) -> None:
    with pytest.raises(UsageError):
        starting.overrides([option])


def test_without_anything_it_says_what_would_do() -> None:
    with pytest.raises(starting.NoCommandError, match="install docker or podman to run r:latest"):
        start(make())


def test_an_image_runs_with_its_variables_by_name_and_never_by_value() -> None:
    agent = make(
        image={"repository": "r", "port": 9000, "command": ["serve"], "args": ["--now"]},
        env=[{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        ai={"model": "m"},
    )
    command = start(agent, engine="/usr/bin/podman")
    text = " ".join(command)
    assert command[:2] == ("/usr/bin/podman", "run")
    assert "--publish 127.0.0.1:5000:9000" in text
    assert "--env TOKEN" in text
    assert "secret" not in text
    assert "--env K_SINK=http://host.docker.internal:8080/events/n/from/a" in text
    assert "--env GATEWAY_URL=http://host.docker.internal:8080 " in text
    assert "HOME" not in text
    assert text.endswith("--entrypoint serve r:latest --now")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("$(A)-$(B)", "1-$(B)", id="unknown names stay"),
        pytest.param("$$(A) $$", "$(A) $", id="escaped"),
        pytest.param("$A ${A}", "$A ${A}", id="not the shell's"),
    ],
)
def test_expansion_is_the_kubelets(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


def test_a_secret_that_is_not_base64_is_as_if_its_key_were_missing() -> None:
    known = sources([{"kind": "Secret", "metadata": {"name": "s"}, "data": {"bad": "%%", "good": "YQ=="}}])
    assert known["Secret", "default", "s"] == {"good": "a"}


@pytest.mark.parametrize(
    ("option", "says"),
    [
        pytest.param("ehco=x", "did you mean echo?", id="misspelt"),
        pytest.param("n/ehco=x", "did you mean n/echo?", id="misspelt, with its namespace"),
        pytest.param("m/echo=x", "did you mean n/echo?", id="another namespace"),
        pytest.param("zzz=x", "there are n/echo, n/till", id="nothing like it"),
    ],
)
def test_a_command_for_an_agent_that_is_not_there_is_refused(option: str, says: str) -> None:
    agents_ = [("n", "echo"), ("n", "till")]
    with pytest.raises(UsageError, match="no agent of that name") as refused:
        starting.require_known(starting.overrides([option]), agents_)
    assert says in str(refused.value)
    starting.require_known(starting.overrides(["echo=x", "n/till=x"]), agents_)


@pytest.mark.parametrize(
    ("command", "there"),
    [
        pytest.param("sh -c true", True, id="found by the system"),
        pytest.param("no-such-program --flag", False, id="not there"),
        pytest.param("./agent", True, id="in the agent's folder"),
        pytest.param("./readme", False, id="not executable"),
        pytest.param("./gone", False, id="gone"),
        pytest.param("/bin/sh", True, id="by its whole path"),
    ],
)
def test_a_program_that_is_missing_is_named_with_what_to_do(tmp_path: Path, command: str, there: bool) -> None:
    for name, mode in (("agent", 0o755), ("readme", 0o644)):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    agent = make()
    words = tuple(command.split())
    said = starting.missing(starting.Start(words, {"PATH": os.environ["PATH"]}), agent, tmp_path)
    assert (said == "") is there
    if not there:
        assert said.startswith(f"n/a: its command '{words[0]}' does not exist")
        assert "--command a='...'" in said


def test_a_program_is_looked_for_where_the_agent_will_find_it(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("#!/bin/sh\n")
    (tmp_path / "own").chmod(0o755)
    assert starting.missing(starting.Start(("own",), {"PATH": str(tmp_path)}), make(), tmp_path) == ""
    assert starting.missing(starting.Start(("sh",), {"PATH": str(tmp_path)}), make(), tmp_path) != ""


@pytest.mark.parametrize(
    ("engine", "code", "says"),
    [
        pytest.param("/usr/bin/docker", 125, "docker failed", id="an engine that does not run"),
        pytest.param("/usr/bin/podman", 125, "podman failed", id="another engine"),
        pytest.param("", 125, "", id="an agent's own code"),
        pytest.param("", 127, "not found", id="a shell that found nothing"),
        pytest.param("", 126, "not executable", id="a shell that may not"),
        pytest.param("", 1, "", id="a failure"),
        pytest.param("/usr/bin/docker", 1, "", id="a failure inside an image"),
    ],
)
def test_an_exit_code_that_is_not_the_agents_own_has_a_remedy(engine: str, code: int, says: str) -> None:
    said = starting.remedy(starting.Start(("x",), {}, engine=engine), code)
    assert said.startswith(says) or says in said
    assert bool(said) is bool(says)
