"""No content of a Secret comes out of the operator: not in status, Events, children, logs at their chattiest, metrics.

It may read no Secret (test_rights), so these could come only by its own settings and by what others say of children.
"""

import base64
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.parts.cluster import Cluster
from tests.parts.documents import RICHEST
from tests.parts.knative import mark_all_ready, mark_failed
from tests.parts.polling import wait
from tests.parts.process import free_port

EVENT_KEY = secrets.token_bytes(32)
KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def log(kubeconfig: Path, witness: None, namespace: str, port: int, tmp_path: Path) -> Iterator[Path]:
    """Starts an operator with event keys and the log level debug, and yields its log file."""
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "POD_NAMESPACE": namespace,
        "LAMBDAAGENT_EVENT_KEYS": f"k1:{base64.b64encode(EVENT_KEY).decode()}",
        "LAMBDAAGENT_HOST": "127.0.0.1",
        "LAMBDAAGENT_PORT": str(port),
        "LAMBDAAGENT_LOG_LEVEL": "debug",
    }
    path = tmp_path / "operator.log"
    with path.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "lambdaagent", "operator"], env=environment, stdout=file, stderr=subprocess.STDOUT
        )
        yield path
        process.terminate()
        assert process.wait(20) == 0


def secrets_of(cluster: Cluster, spec: Any) -> dict[str, str]:
    """Creates every Secret that a spec names, and returns the private text of each."""
    made: dict[str, str] = {}
    references = {(found["name"], found.get("key", "url")) for found in _references(spec)}
    for name in {name for name, _ in references}:
        entries = {key: secrets.token_hex(16) for each, key in references if each == name}
        cluster.rest.post(cluster.path("v1", "secrets"), {"metadata": {"name": name}, "stringData": entries})
        made |= {f"{name}/{key}": value for key, value in entries.items()}
    return made


def _references(node: Any) -> Iterator[dict[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key.lower().endswith(("secretref", "secretkeyref")):
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def test_nothing_of_a_secret_comes_out(cluster: Cluster, log: Path, port: int) -> None:
    spec: dict[str, Any] = yaml.safe_load(RICHEST.read_text())["spec"]
    private = secrets_of(cluster, spec)
    assert len(private) >= 6, "the references of the richest agent are not found"
    # One that becomes ready and fails; one that is in another's way; one whose Secret is not there.
    cluster.rest.post(
        cluster.path("v1", "services"), {"metadata": {"name": "blocked-a2a"}, "spec": {"ports": [{"port": 80}]}}
    )
    cluster.apply("richest", spec)
    cluster.apply("blocked", {"a2a": {"enabled": True, "skills": [{"id": "a", "name": "A"}]}, "ai": spec["ai"]})
    cluster.apply("without", {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "a"}}}]})
    wait(lambda: len(cluster.names(EVENTING, "triggers")) == 3 and len(cluster.names(KNATIVE, "services")) == 3)
    mark_all_ready(cluster.rest, namespace=cluster.namespace)
    wait(lambda: cluster.has("richest", "Ready", "True") and cluster.has("blocked", "A2AReady", "False"))
    # Knative repeats what the container wrote last.
    written = f"Traceback: cannot connect\n  to redis://:{next(iter(private.values()))}@redis"
    message = f'Revision "richest-00001" failed with message: Container failed with: {written}.'
    mark_failed(
        cluster.rest, "Service", namespace=cluster.namespace, name="richest", reason="RevisionFailed", message=message
    )
    wait(lambda: cluster.has("richest", "ServingReady", "False"))
    wait(lambda: len(_events(cluster)) >= 2)

    told = {
        "agents": json.dumps(cluster.rest.get(cluster.agents)),
        "events": json.dumps(_events(cluster)),
        "logs": log.read_text(),
        "metrics": httpx.get(f"http://127.0.0.1:{port}/metrics").text,
    }
    assert "Container failed; see kubectl logs" in told["agents"]
    # Of the children only what we write: Knative's own status holds what the container said.
    children = json.dumps([child | {"status": {}} for child in _children(cluster)])
    for name, value in private.items():
        for form in (value, base64.b64encode(value.encode()).decode().rstrip("=")):
            for place, text in {**told, "children": children}.items():
                assert form not in text, f"{name} in {place}"
    for form in (base64.b64encode(EVENT_KEY).decode().rstrip("="), EVENT_KEY.hex()):
        assert all(form not in text for text in (*told.values(), children))
    # A capability is no Secret, but whoever reads it may speak as the agent: it stands only where it is used.
    capabilities = set(re.findall(r"/k1\.([\w-]+)", children))
    assert capabilities, "the operator signs nothing here"
    for place, text in told.items():
        assert not any(mac in text for mac in capabilities), f"a capability in {place}"


def _events(cluster: Cluster) -> list[Any]:
    found: list[Any] = cluster.rest.get(cluster.path("events.k8s.io/v1", "events"))["items"]
    return found


def _children(cluster: Cluster) -> list[Any]:
    found: list[Any] = []
    for group, plural in ((KNATIVE, "services"), (EVENTING, "brokers"), (EVENTING, "triggers"), ("v1", "services")):
        found += cluster.rest.get(cluster.path(group, plural))["items"]
    return found


def test_a_wrong_event_key_is_named_by_its_place(kubeconfig: Path) -> None:
    wrong = base64.b64encode(EVENT_KEY).decode() + "!"
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "LAMBDAAGENT_EVENT_KEYS": f"k1:{wrong}"}
    command = [sys.executable, "-m", "lambdaagent", "operator"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "event key 1 must be" in done.stderr
    assert wrong[:8] not in done.stderr + done.stdout
