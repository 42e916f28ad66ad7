"""`lambdaagent operator` as a process: one leads, the other takes over, both end when told to."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.parts.cluster import Cluster
from tests.parts.polling import wait

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/lambdaagent-operator"
Launch = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def launch(kubeconfig: Path, witness: None, namespace: str) -> Iterator[Launch]:
    processes: list[subprocess.Popen[bytes]] = []

    def begin(name: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "POD_NAMESPACE": namespace,
            "POD_NAME": name,
            "LAMBDAAGENT_GATEWAY_IMAGE": "example.com/gateway:1",
            "LAMBDAAGENT_LEASE_DURATION": "3",
            "LAMBDAAGENT_HOST": "127.0.0.1",
            "LAMBDAAGENT_PORT": "0",
            "LAMBDAAGENT_LOG_FORMAT": "text",
        }
        processes.append(subprocess.Popen([sys.executable, "-m", "lambdaagent", "operator"], env=environment))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait(5)


def holder(cluster: Cluster) -> str:
    lease = cluster.rest.find(LEASES.format(cluster.namespace))
    return lease["spec"].get("holderIdentity", "").partition("_")[0] if lease else ""


def reconciled(cluster: Cluster, name: str) -> bool:
    return bool(cluster.find("serving.knative.dev/v1", "services", name))


def test_another_replica_takes_over_from_a_killed_leader(cluster: Cluster, launch: Launch) -> None:
    first, name = launch("first"), f"agent-{secrets.token_hex(3)}"
    wait(lambda: holder(cluster) == "first")
    launch("second")
    cluster.apply(name, {})
    wait(lambda: reconciled(cluster, name))
    first.send_signal(signal.SIGKILL)
    cluster.apply(f"{name}-later", {})
    wait(lambda: reconciled(cluster, f"{name}-later"), within=30)
    assert holder(cluster) == "second"


def test_a_leader_that_is_told_to_stop_gives_the_lease_back(cluster: Cluster, launch: Launch) -> None:
    process = launch("leaving")
    wait(lambda: holder(cluster) == "leaving")
    wait(lambda: cluster.apply("a", {}) and reconciled(cluster, "a"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert holder(cluster) == ""


def test_without_an_api_server_it_says_what_is_wrong(tmp_path: Path) -> None:
    environment = os.environ | {"KUBECONFIG": str(tmp_path / "none"), "LAMBDAAGENT_PORT": "0"}
    command = [sys.executable, "-m", "lambdaagent", "operator"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode in (1, 2)
    assert "kubeconfig" in done.stderr.lower()
    assert "Traceback" not in done.stderr
