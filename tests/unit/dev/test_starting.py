"""With which command an agent is started, as data: no process runs here."""

from typing import Any

import pytest

from lambdaagent.api import agent as agents
from lambdaagent.dev import starting
from lambdaagent.dev.environment import expand, sources
from lambdaagent.errors import UsageError

ENVIRONMENT = {"K_SINK": "http://127.0.0.1:8080/events/n/from/a", "TOKEN": "secret", "AI_MODEL": "m", "HOME": "/root"}


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
