"""What the operator's benchmark is made of: the operator as a process, the bare client, and what the API server counts.

As a module it is the bare client (`python -m benchmarks.reconcile_parts KUBECONFIG FOLDER`): prints its processor time.
"""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvloop
from tests.parts.kubernetes import KubeApiserver
from tests.parts.process import free_port
from tests.parts.rest import Rest

from lambdaagent.api import agent as agents
from lambdaagent.api import naming
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import plan
from lambdaagent.controller.ownership import marked, without_owners
from lambdaagent.kube.apply import apply
from lambdaagent.kube.client import connect
from lambdaagent.kube.objects import add_owner
from lambdaagent.settings import Installation

WORKERS = 8
_LEASE = f"/apis/coordination.k8s.io/v1/namespaces/default/leases/{naming.LEASE}"
Requests = dict[str, float]


def spec(subscriptions: int) -> dict[str, Any]:
    wanted = [{"eventType": f"bench.type-{number}"} for number in range(subscriptions)]
    return {"image": {"repository": "example.com/agent"}, "eventing": {"subscriptions": wanted}}


def create_agent(rest: Rest, namespace: str, name: str, *, subscriptions: int) -> None:
    document = {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "metadata": {"name": name},
        "spec": spec(subscriptions),
    }
    rest.post(f"/apis/lambda.knative.io/v1alpha1/namespaces/{namespace}/lambdaagents", document)


def holder(server: KubeApiserver) -> str:
    lease = server.rest.find(_LEASE)
    return str(lease["spec"].get("holderIdentity", "").partition("_")[0]) if lease else ""


def requests(server: KubeApiserver) -> Requests:
    """What the API server answered so far, by verb and kind; watches count when they end, other paths not at all."""
    found: Requests = {}
    for line in server.rest.get("/metrics").splitlines():
        if line.startswith("apiserver_request_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            if labels["resource"]:
                what = f"{labels['verb']} {labels['resource']}"
                found[what] = found.get(what, 0) + float(line.rpartition(" ")[2])
    return found


def spent(before: Requests, after: Requests) -> Requests:
    return {what: number - before.get(what, 0) for what, number in after.items() if number > before.get(what, 0)}


def requests_in(server: KubeApiserver, *, seconds: float) -> Requests:
    before = requests(server)
    time.sleep(seconds)
    return spent(before, requests(server))


def by_verb(made: Requests) -> Requests:
    found: Requests = {}
    for what, number in made.items():
        found[what.split()[0]] = found.get(what.split()[0], 0) + number
    return found


@dataclass(frozen=True)
class State:
    """What the operator tells of itself; nothing while it does not answer."""

    text: str

    def _sum(self, metric: str, besides: str = "-") -> float:
        found = re.findall(rf"^{metric}(\{{.*\}})? ([0-9.e+]+)$", self.text, re.MULTILINE)
        return sum(float(number) for labels, number in found if besides not in labels)

    @property
    def up(self) -> bool:
        return bool(self.text)

    @property
    def leads(self) -> bool:
        return self._sum("lambdaagent_operator_leader") == 1 and "operator_queue_depth" in self.text

    @property
    def children(self) -> float:
        return self._sum("lambdaagent_operator_children")

    @property
    def depth(self) -> float:
        return self._sum("lambdaagent_operator_queue_depth")

    def settled(self, count: int) -> bool:
        """So many agents have a phase, and nothing waits."""
        return self.leads and self.depth == 0 and self._sum("lambdaagent_operator_agents", "Unknown") >= count


class Operator:
    """`lambdaagent operator` with its default settings, in a process that is ended with the context."""

    def __init__(self, server: KubeApiserver) -> None:
        self.port = free_port()
        self.name = f"operator-{self.port}"
        self._environment = os.environ | {
            "KUBECONFIG": str(server.kubeconfig),
            "POD_NAMESPACE": "default",
            "POD_NAME": self.name,
            "LAMBDAAGENT_GATEWAY_IMAGE": "example.com/gateway:1",
            "LAMBDAAGENT_HOST": "127.0.0.1",
            "LAMBDAAGENT_PORT": str(self.port),
            "LAMBDAAGENT_WORKERS": str(WORKERS),
            "LAMBDAAGENT_LOG_LEVEL": "error",
        }

    def __enter__(self) -> "Operator":
        self.begun = time.monotonic()
        self._process = subprocess.Popen([sys.executable, "-m", "lambdaagent", "operator"], env=self._environment)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, reached: Callable[[State], bool], *, limit: float) -> float:
        """Seconds since its start when it told of this state."""
        while not reached(self._state()):
            if time.monotonic() - self.begun > limit or self._process.poll() is not None:
                raise SystemExit(f"the operator did not get there in {limit:.0f} s, or ended")
            time.sleep(0.2)
        return time.monotonic() - self.begun

    def _state(self) -> State:
        try:
            return State(httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text)
        except httpx.TransportError:
            return State("")

    @property
    def resident(self) -> int:
        """MiB."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) // 1024

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def render(rest: Rest, path: Path) -> None:
    """The children of each agent that is there, as the operator would apply them, and which of them are shared."""
    rendered = []
    for found in rest.get("/apis/lambda.knative.io/v1alpha1/lambdaagents")["items"]:
        made = plan(agents.parse(found), installation=Installation(), backends=Backends(), observed=Observed())
        rendered.append([(marked(child), child.shared) for child in made.children])
    path.write_bytes(orjson.dumps(rendered))


async def _bare(kubeconfig: Path, rendered: Path) -> None:
    """One agent after another per worker, its children in order; what is shared is applied once, then joined."""
    waiting: list[list[tuple[dict[str, Any], bool]]] = orjson.loads(rendered.read_bytes())[::-1]
    shared: dict[tuple[str, str, str], dict[str, Any]] = {}
    async with connect(kubeconfig=kubeconfig) as client:

        async def work() -> None:
            while waiting:
                for document, joined in waiting.pop():
                    if not joined:
                        await apply(client, document, manager=naming.MANAGER)
                        continue
                    metadata = document["metadata"]
                    key = document["kind"], metadata["namespace"], metadata["name"]
                    if key not in shared:
                        shared[key] = await apply(client, without_owners(document), manager=naming.MANAGER)
                    (owner,) = metadata["ownerReferences"]
                    shared[key] = await add_owner(client, shared[key], owner, manager=naming.MANAGER)

        await asyncio.gather(*(work() for _ in range(WORKERS)))


if __name__ == "__main__":
    uvloop.run(_bare(Path(sys.argv[1]), Path(sys.argv[2]) / "children.json"))
    times = os.times()
    print(times.user + times.system)
