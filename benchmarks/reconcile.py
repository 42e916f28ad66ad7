"""The operator at scale: `python -m benchmarks.reconcile [--agents 1000] [--subscriptions 5] [--namespaces 20]`.

A real API server; N agents are created, then `lambdaagent operator` is started and timed until every child stands. The
yardstick is a tight client with the same number of workers that applies the very same children, rendered beforehand,
into another namespace of the same server, right after. Then the operator is left alone and its requests are counted.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from tests.parts.kubernetes import KubeApiserver
from tests.parts.process import free_port

from lambdaagent.api import agent as agents
from lambdaagent.api import naming
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import plan
from lambdaagent.kube.apply import apply
from lambdaagent.kube.client import connect
from lambdaagent.settings import Installation

WORKERS = 8
REST_SECONDS = 20.0


def spec(subscriptions: int) -> dict[str, Any]:
    wanted = [{"eventType": f"bench.type-{number}"} for number in range(subscriptions)]
    return {"image": {"repository": "example.com/agent"}, "eventing": {"subscriptions": wanted}}


def create(server: KubeApiserver, *, count: int, subscriptions: int, namespaces: int) -> None:
    for prefix in ("bench", "bare"):
        for number in range(namespaces):
            server.rest.post("/api/v1/namespaces", {"metadata": {"name": f"{prefix}-{number}"}})
    for number in range(count):
        path = f"/apis/lambda.knative.io/v1alpha1/namespaces/bench-{number % namespaces}/lambdaagents"
        document = {
            "apiVersion": "lambda.knative.io/v1alpha1",
            "kind": "LambdaAgent",
            "metadata": {"name": f"agent-{number:04d}"},
            "spec": spec(subscriptions),
        }
        server.rest.post(path, document)


def requests(server: KubeApiserver) -> dict[str, float]:
    """What the API server answered so far, by verb; watches count when they end."""
    text = server.rest.get("/metrics")
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("apiserver_request_total{") and (match := re.search(r'verb="(\w+)".*} ([0-9.e+]+)$', line)):
            found[match[1]] = found.get(match[1], 0) + float(match[2])
    return found


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, int]:
    return {verb: round(after[verb] - before.get(verb, 0)) for verb in after if after[verb] > before.get(verb, 0)}


def resident(pid: int) -> int:
    """MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) // 1024  # type: ignore[index]


def settled(port: int, count: int) -> bool:
    """Every agent has a phase, and nothing waits."""
    try:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    except httpx.TransportError:
        return False
    phases = re.findall(r'lambdaagent_operator_agents\{phase="(\w+)"\} ([0-9.]+)', text)
    idle = "lambdaagent_operator_queue_depth 0.0" in text
    return idle and sum(float(number) for phase, number in phases if phase != "Unknown") >= count


def run_operator(server: KubeApiserver, *, count: int) -> float:
    port = free_port()
    environment = os.environ | {
        "KUBECONFIG": str(server.kubeconfig),
        "POD_NAMESPACE": "default",
        "LAMBDAAGENT_HOST": "127.0.0.1",
        "LAMBDAAGENT_PORT": str(port),
        "LAMBDAAGENT_WORKERS": str(WORKERS),
        "LAMBDAAGENT_LOG_LEVEL": "warning",
    }
    before, begun = requests(server), time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "lambdaagent", "operator"], env=environment)
    try:
        while not settled(port, count):
            time.sleep(0.1)
            if time.monotonic() - begun > 900:
                raise SystemExit("the operator did not settle in 15 minutes")
        seconds = time.monotonic() - begun
        made = spent(before, requests(server))
        print(f"operator: {seconds:.1f} s from its start to all settled, {resident(process.pid)} MiB resident")
        print(f"  requests per agent: { {verb: round(number / count, 2) for verb, number in made.items()} }")
        rest = requests(server)
        time.sleep(REST_SECONDS)
        still = spent(rest, requests(server))
        print(f"  at rest, in {REST_SECONDS:.0f} s: {still}; {resident(process.pid)} MiB resident")
        return seconds
    finally:
        process.terminate()
        process.wait(20)


async def run_bare(server: KubeApiserver, *, count: int, subscriptions: int, namespaces: int) -> float:
    """The same children, one agent after another per worker, each under its own name."""
    waiting: asyncio.Queue[list[dict[str, Any]]] = asyncio.Queue()
    for number in range(count):
        metadata = {"name": f"agent-{number:04d}", "namespace": f"bare-{number % namespaces}", "uid": ""}
        agent = agents.parse({"metadata": metadata, "spec": spec(subscriptions)})
        made = plan(agent, installation=Installation(), backends=Backends(), observed=Observed())
        waiting.put_nowait([child.obj for child in made.children])
    async with connect(kubeconfig=server.kubeconfig) as client:

        async def work() -> None:
            while not waiting.empty():
                for document in waiting.get_nowait():
                    await apply(client, document, manager=naming.MANAGER)

        begun = time.monotonic()
        await asyncio.gather(*(work() for _ in range(WORKERS)))
        return time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.reconcile")
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--subscriptions", type=int, default=5)
    parser.add_argument("--namespaces", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = KubeApiserver(Path(folder))
        server.start()
        try:
            create(server, count=chosen.agents, subscriptions=chosen.subscriptions, namespaces=chosen.namespaces)
            print(json.dumps(vars(chosen) | {"workers": WORKERS}))
            operator = run_operator(server, count=chosen.agents)
            bare = asyncio.run(
                run_bare(
                    server,
                    count=chosen.agents,
                    subscriptions=chosen.subscriptions,
                    namespaces=chosen.namespaces,
                )
            )
            print(f"bare client: {bare:.1f} s; operator / bare = {operator / bare:.2f} (aim: at most 1.5)")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
