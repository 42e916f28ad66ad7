"""What `helm install` says at its end, on an API server that has Knative's kinds."""

import json
import subprocess
from typing import Any

import pytest
from charts import generate
from tests.parts import fetch
from tests.parts.kubernetes import KubeApiserver

DATABASE = {"gateway": {"settings": {"database": "/data/tasks.db"}}}
RABBITMQ = {"dispatcher": {"enabled": True}, "rabbitmq": {"existingSecret": "mq"}}


@pytest.mark.parametrize(
    ("values", "said", "unsaid"),
    [
        pytest.param(DATABASE, ["kept in the gateway's database", "dispatcher.enabled=true"], "", id="Knative"),
        pytest.param(RABBITMQ, ["kept in RabbitMQ"], "Knative's Brokers", id="RabbitMQ"),
        pytest.param(
            {"operator": {"settings": {"eventing": "none"}}},
            ["operator.settings.eventing is none"],
            "dispatcher.enabled=true",
            id="none",
        ),
    ],
)
def test_the_notes_say_where_events_go_and_what_that_costs(
    kube_apiserver: KubeApiserver, values: Any, said: list[str], unsaid: str
) -> None:
    command = [
        str(fetch.go_part("helm")),
        "install",
        "noted",
        str(generate.CHART),
        "--dry-run=client",
        "--take-ownership",
    ]
    command += ["--kubeconfig", str(kube_apiserver.kubeconfig), "--values", "-"]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    notes = done.stdout[done.stdout.index("NOTES:") :]
    assert [each for each in said if each not in notes] == []
    assert not unsaid or unsaid not in notes
