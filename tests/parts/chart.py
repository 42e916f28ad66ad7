"""Renders the chart with helm, and finds objects in the result."""

import json
import subprocess
from typing import Any

import pytest
from charts import generate
from pydantic_settings import BaseSettings
from tests.parts import fetch
from tests.parts.documents import documents

from lambdaagent.settings import DispatcherSettings, GatewaySettings, OperatorSettings

PROCESSES: dict[str, type[BaseSettings]] = {
    "operator": OperatorSettings,
    "gateway": GatewaySettings,
    "dispatcher": DispatcherSettings,
}
SECRET = {"name": "own", "key": "value"}
RABBITMQ: dict[str, Any] = {"dispatcher": {"enabled": True}, "rabbitmq": {"existingSecret": "mq", "key": "address"}}


def helm(*args: str, values: Any = None) -> subprocess.CompletedProcess[str]:
    command = [str(fetch.go_part("helm")), *args, "--kube-version", generate.KUBERNETES, "--values", "-"]
    return subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, check=False)


def render(values: Any = None) -> list[dict[str, Any]]:
    done = helm("template", "lambdaagent", str(generate.CHART), "--namespace", "somewhere", values=values)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def on_rabbitmq(values: Any = None) -> list[dict[str, Any]]:
    """Renders the chart with the dispatcher, so that it has every process."""
    values = values or {}
    return render(RABBITMQ | values | {"dispatcher": RABBITMQ["dispatcher"] | values.get("dispatcher", {})})


def find(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def container(documents: list[dict[str, Any]], process: str) -> dict[str, Any]:
    (found,) = find(documents, "Deployment", f"lambdaagent-{process}")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(documents: list[dict[str, Any]], process: str) -> dict[str, dict[str, Any]]:
    """Returns the variables of a process by name, and asserts that no name repeats."""
    entries = container(documents, process)["env"]
    found = {entry["name"]: entry for entry in entries}
    assert len(found) == len(entries)
    return found


def started_with(documents: list[dict[str, Any]], process: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the environment of a process as the kubelet would, except for values from Secrets."""
    namespace = find(documents, "Deployment", f"lambdaagent-{process}")["metadata"]["namespace"]
    for name, entry in environment(documents, process).items():
        if "value" in entry:
            assert "$(" not in entry["value"], "the kubelet would replace it"
            monkeypatch.setenv(name, entry["value"])
        elif entry["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.namespace"}}:
            monkeypatch.setenv(name, namespace)
