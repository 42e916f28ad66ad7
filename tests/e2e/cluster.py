"""The cluster of the end-to-end tests, with kubectl and helm.

KUBECONFIG names one that is there: its nodes must be able to get the images (LAMBDAAGENT_E2E_IMAGE,
LAMBDAAGENT_E2E_ECHO_IMAGE and LAMBDAAGENT_E2E_RABBITMQ_IMAGE say how they are called there). Without it, the tools
beside this repository start a node on this machine, and what was started is taken down again.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.parts import fetch, places
from tests.parts import image as images

SYSTEM = "lambdaagent-system"


@dataclass(frozen=True)
class Cluster:
    kubeconfig: str
    image: str = images.IMAGE
    echo: str = images.ECHO
    rabbitmq: str = images.RABBITMQ
    # The socket of the node's containerd, where the node is ours.
    node: str = ""
    _helm: Path = field(default_factory=lambda: fetch.go_part("helm"))

    def kubectl(self, *args: str, given: Any = None) -> str:
        """Runs kubectl with `given` as JSON on its input, and returns its output; an error holds kubectl's text."""
        return self._run(["kubectl", *args], given)

    def helm(self, *args: str) -> str:
        return self._run([str(self._helm), *args, "--namespace", SYSTEM], None)

    def get(self, *args: str) -> Any:
        return json.loads(self.kubectl("get", *args, "--output", "json"))

    def kill(self, namespace: str, pod: str) -> None:
        """Kills a pod's container with SIGKILL on a node of the tests; on other clusters it force-deletes the pod."""
        if not self.node:
            self.kubectl("-n", namespace, "delete", "pod", pod, "--force", "--grace-period=0")
            return
        (status,) = self.get("-n", namespace, f"pod/{pod}")["status"]["containerStatuses"]
        _, _, container = status["containerID"].partition("://")
        ctr = ["ctr", "--address", self.node, "--namespace", "k8s.io"]
        self._run([*ctr, "tasks", "kill", "--signal", "SIGKILL", container], None)

    def objects(self, *namespaces: str) -> set[str]:
        """Returns every object in these namespaces, and those outside of namespaces with the product's name."""
        kinds = self.kubectl("api-resources", "--verbs=list", "--output=name").split()
        stored = [kind for kind in kinds if not kind.startswith(("events", "componentstatuses"))]
        found = set()
        for item in self.get(",".join(stored), "--all-namespaces")["items"]:
            metadata = item["metadata"]
            namespace = metadata.get("namespace", "")
            if namespace in namespaces or (not namespace and "lambda" in metadata["name"]):
                found.add(f"{item['kind']} {namespace}/{metadata['name']}")
        return found

    def _run(self, command: list[str], given: Any) -> str:
        env = os.environ | {"KUBECONFIG": self.kubeconfig}
        text = None if given is None else json.dumps(given)
        done = subprocess.run(command, env=env, input=text, capture_output=True, text=True, check=False, timeout=180)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout


@contextmanager
def cluster() -> Iterator[Cluster]:
    if shutil.which("kubectl") is None:
        raise places.PartMissingError("kubectl is not on PATH: install it (https://kubernetes.io/docs/tasks/tools)")
    if kubeconfig := os.environ.get("KUBECONFIG"):
        names = {
            "image": "LAMBDAAGENT_E2E_IMAGE",
            "echo": "LAMBDAAGENT_E2E_ECHO_IMAGE",
            "rabbitmq": "LAMBDAAGENT_E2E_RABBITMQ_IMAGE",
        }
        yield Cluster(kubeconfig, **{key: os.environ[name] for key, name in names.items() if name in os.environ})
        return
    if not (images.TOOLS / "up").exists() or os.geteuid() != 0:
        raise places.PartMissingError(
            "no cluster: set KUBECONFIG to one that can get the images (docs/guides/install.md builds them)"
        )
    # Somebody's own, perhaps: it is used, and stays.
    kept = _kubeconfig().exists()
    try:
        fetch.say("cluster: starting a node (minutes the first time)")
        subprocess.run([images.TOOLS / "up"], check=True, stdout=subprocess.DEVNULL)
        fetch.say("cluster: building the images")
        images.build(images.TOOLS)
        yield Cluster(str(_kubeconfig()), node=str(_folder() / "ctrd" / "sock"))
    finally:
        if not kept:
            subprocess.run([images.TOOLS / "down"], check=True)


def _folder() -> Path:
    return Path(os.environ.get("CLUSTER_DIR", "/var/tmp/lambdaagent-cluster"))


def _kubeconfig() -> Path:
    return _folder() / "kubeconfig"
