"""What the README says of a first cluster, command by command, from where the images are loaded."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest
from tests.e2e.cluster import SYSTEM, Cluster
from tests.e2e.conftest import CRD
from tests.e2e.using import condition
from tests.parts import fetch
from tests.parts.image import ROOT
from tests.parts.polling import wait

_IMAGE = "image.repository=dev.local/lambdaagent,image.tag=0.1.0"


def commands(cluster: Cluster) -> list[str]:
    """Returns the commands of the README without those of Docker and kind, with the names of the images here."""
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## In a cluster") :]
    (block,) = re.findall(r"\n((?:    .*\n)+)", section)[:1]
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    found = [line.strip() for line in lines if not line.strip().startswith(("kind ", "docker "))]
    assert sum(_IMAGE in line for line in found) == 1
    repository, _, tag = cluster.image.rpartition(":")
    return [line.replace(_IMAGE, f"image.repository={repository},image.tag={tag}") for line in found]


@pytest.fixture
def environment(cluster: Cluster) -> Iterator[dict[str, str]]:
    path = f"{fetch.go_part('helm').parent}:{os.environ['PATH']}"
    yield os.environ | {"KUBECONFIG": cluster.kubeconfig, "PATH": path}
    if cluster.kubectl("get", "crd", CRD, "--ignore-not-found"):
        cluster.kubectl("-n", "default", "delete", "lambdaagents", "--all", "--timeout=60s")
        cluster.helm("uninstall", "lambdaagent", "--ignore-not-found", "--wait", "--timeout=120s")
        cluster.kubectl("delete", "crd", CRD, "--timeout=60s")
    cluster.kubectl("delete", "namespace", SYSTEM, "--ignore-not-found", "--timeout=120s")


def test_the_commands_lead_to_an_answer(cluster: Cluster, environment: dict[str, str]) -> None:
    running: list[subprocess.Popen[bytes]] = []
    try:
        for line in commands(cluster):
            if line.endswith("&"):
                running.append(subprocess.Popen(shlex.split(line.rstrip("& ")), cwd=ROOT, env=environment))
                continue
            if line.startswith("curl"):
                wait(lambda line=line: _output(line, environment).strip() == "Say it back. hello", within=60)  # type: ignore[misc]
                continue
            _output(line, environment, checked=True)
        # It is called, and yet not ready: it subscribes to events, which nothing carries here.
        table = _output("kubectl get lambdaagents", environment, checked=True).splitlines()
        assert ("READY", "False") in list(zip(table[0].split(), table[1].split(), strict=True))
        assert "EventingReady" in (ROOT / "README.md").read_text()  # where it says why
        status = cluster.get("-n", "default", "lambdaagent/echo")["status"]
        assert condition(status, "EventingReady")["reason"] == "NoEventingBackend"
        assert condition(status, "ServingReady")["status"] == "True"
        _let_a_service_account_in(environment)
    finally:
        for process in running:
            process.terminate()
            process.wait(10)


def _let_a_service_account_in(environment: dict[str, str]) -> None:
    """Runs the part of the guide for clients that needs a cluster, on another local port."""
    guide = (ROOT / "docs" / "guides" / "clients.md").read_text()
    section = guide[guide.index("## With a ServiceAccount") :].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    expected = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
    text = block.replace("8080:80", "18080:80").replace("localhost:8080", "localhost:18080")
    text = text.replace(
        "svc/lambdaagent-gateway 18080:80 &",
        "svc/lambdaagent-gateway 18080:80 > /dev/null & trap 'kill $!' EXIT\nsleep 3",
    )
    found = _output(f"set -e\n{text}", environment, checked=True)
    for each in expected:
        assert each in found, (each, found)


def _output(line: str, environment: dict[str, str], *, checked: bool = False) -> str:
    done = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    assert not checked or done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout
