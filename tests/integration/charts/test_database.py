"""The database in the chart: who gets its URL, what migrates it, and dead letters without one."""

from collections.abc import Sequence
from typing import Any

import pytest
from charts import generate
from tests.parts.chart import RABBITMQ, SECRET, container, environment, find, helm, on_rabbitmq, render

KNATIVE = ("--api-versions", "eventing.knative.dev/v1/Broker")


@pytest.mark.parametrize(
    ("values", "installed", "taken"),
    [
        ({}, (), True),
        ({}, KNATIVE, False),
        ({"operator": {"settings": {"eventing": "knative"}}}, (), False),
        ({"operator": {"settings": {"eventing": "auto"}}}, KNATIVE, False),
        ({"operator": {"settings": {"eventing": "none"}}}, KNATIVE, True),
        ({"gateway": {"secretSettings": {"database": SECRET}}}, KNATIVE, True),
        ({"gateway": {"settings": {"database": "/data/tasks.db"}}}, KNATIVE, True),
        (RABBITMQ, KNATIVE, True),
    ],
)
def test_dead_letters_of_knative_are_not_left_to_a_process(values: Any, installed: Sequence[str], taken: bool) -> None:
    done = helm("template", "lambdaagent", str(generate.CHART), *installed, values=values)
    assert (done.returncode == 0) is taken, done.stderr
    if not taken:
        assert "it has no database and would lose them" in done.stderr
        assert "set gateway.secretSettings.database" in done.stderr


def test_a_database_file_is_opened_by_one_pod_at_a_time() -> None:
    documents = on_rabbitmq({"gateway": {"settings": {"database": "/data/tasks.db"}}})
    assert find(documents, "Deployment", "lambdaagent-gateway")["spec"]["strategy"] == {"type": "Recreate"}
    assert "LAMBDAAGENT_DATABASE" in environment(documents, "gateway")
    assert "LAMBDAAGENT_DATABASE" not in environment(documents, "dispatcher")


@pytest.mark.parametrize(
    ("gateway", "env"),
    [
        pytest.param(
            {"secretSettings": {"database": {"name": "pg", "key": "url"}}},
            {"valueFrom": {"secretKeyRef": {"name": "pg", "key": "url"}}},
            id="from a Secret",
        ),
        pytest.param(
            {"settings": {"database": "postgresql://lambda@db/tasks"}},
            {"value": "postgresql://lambda@db/tasks"},
            id="a URL without a password",
        ),
    ],
)
def test_a_database_is_shared_and_migrated_before_it_is_used(gateway: dict[str, Any], env: dict[str, Any]) -> None:
    documents = on_rabbitmq({"gateway": gateway})
    for process in ("gateway", "dispatcher"):
        assert environment(documents, process)["LAMBDAAGENT_DATABASE"] == {"name": "LAMBDAAGENT_DATABASE", **env}
    pod = find(documents, "Deployment", "lambdaagent-gateway")["spec"]["template"]["spec"]
    (unit,) = pod["initContainers"]
    assert (unit["image"], unit["args"]) == (container(documents, "gateway")["image"], ["migrate"])
    assert unit["env"] == [{"name": "LAMBDAAGENT_DATABASE", **env}]
    assert unit["resources"] == container(documents, "gateway")["resources"]
    assert find(documents, "Deployment", "lambdaagent-gateway")["spec"]["strategy"]["type"] == "RollingUpdate"


@pytest.mark.parametrize("database", ["", "/data/tasks.db"])
def test_nothing_else_is_migrated(database: str) -> None:
    documents = render({"gateway": {"settings": {"database": database}}})
    assert "initContainers" not in find(documents, "Deployment", "lambdaagent-gateway")["spec"]["template"]["spec"]
