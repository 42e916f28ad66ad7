"""The operator at scale: `python -m benchmarks.reconcile` or `make bench-operator`.

For each size, N agents are made on a fresh API server. The operator, as a process of its own, is timed from its start
until every child stands; the yardstick is a tight client, a process with as many workers, that makes the same writes of
the same children, rendered beforehand, on another fresh server with the same agents. Who comes first alternates from
round to round, and the medians are compared. Then the operator is left alone and its requests are counted, and at last
it is killed while another one stands by. docs/benchmarks.md says how to read it; nothing is asserted.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.parts.kubernetes import KubeApiserver
from tests.parts.rest import Rest

from benchmarks import reconcile_parts as parts
from benchmarks.reconcile_parts import WORKERS, Operator

LIMIT_SECONDS = 1800.0


@contextmanager
def api_server() -> Iterator[KubeApiserver]:
    with tempfile.TemporaryDirectory() as folder:
        server = KubeApiserver(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def measure_operator(server: KubeApiserver, *, count: int, children: int, rest_seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    idle = parts.requests_in(server, seconds=rest_seconds) if rest_seconds else {}
    before = parts.requests(server)
    with Operator(server) as operator:
        found["children_seconds"] = operator.wait(lambda state: state.children >= children, limit=LIMIT_SECONDS)
        found["seconds"] = operator.wait(lambda state: state.settled(count), limit=LIMIT_SECONDS)
        found["cpu"] = operator.cpu
        made = parts.spent(before, parts.requests(server))
        found["per_agent"] = {verb: round(number / count, 2) for verb, number in parts.by_verb(made).items()}
        found["peak"] = operator.resident
        if rest_seconds:
            time.sleep(5)  # the last of our own writes come back, and nothing else is to be counted
            found["mib"] = operator.resident
            busy = parts.requests_in(server, seconds=rest_seconds)
            found["at_rest"] = {
                what: round((number - idle.get(what, 0)) * 60 / rest_seconds, 1)
                for what, number in busy.items()
                if number > idle.get(what, 0)
            }
    return found


def measure_bare(server: KubeApiserver, folder: Path) -> dict[str, Any]:
    begun = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.reconcile_parts", str(server.kubeconfig), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"seconds": time.monotonic() - begun, "cpu": float(done.stdout)}


def measure_takeover(server: KubeApiserver) -> dict[str, float]:
    """From kill -9 to the other's having the Lease, and to its first reconcile: a child of an agent made after it."""
    with Operator(server) as first:
        first.wait(lambda state: state.leads and state.depth == 0, limit=LIMIT_SECONDS)
        with Operator(server) as second:
            second.wait(lambda state: state.up, limit=60)
            time.sleep(3)  # it has looked at the Lease
            first.kill()
            begun = time.monotonic()
            parts.create_agent(server.rest, "bench-0", "after-the-kill", subscriptions=1)
            lease = reconciled = 0.0
            while not reconciled:
                lease = lease or (time.monotonic() - begun if parts.holder(server) == second.name else 0.0)
                child = "/apis/serving.knative.dev/v1/namespaces/bench-0/services/after-the-kill"
                reconciled = time.monotonic() - begun if server.rest.find(child) else 0.0
                time.sleep(0.02)
            return {"lease": lease, "first_reconcile": reconciled}


def compare(chosen: argparse.Namespace, count: int) -> None:
    operators, bares = [], []
    for number in range(chosen.rounds):
        for bare in sorted((False, True), reverse=bool(number % 2)):
            with api_server() as server, tempfile.TemporaryDirectory() as rendered:
                prepare(server.rest, Path(rendered), chosen, count)
                if bare:
                    bares.append(measure_bare(server, Path(rendered)))
                    continue
                last = number == chosen.rounds - 1
                children = count * (1 + chosen.subscriptions) + 2 * min(count, chosen.namespaces)
                rest = chosen.rest_seconds if last else 0.0
                operators.append(measure_operator(server, count=count, children=children, rest_seconds=rest))
                if last:
                    operators[-1]["takeover"] = measure_takeover(server)
    print(json.dumps({"agents": count, "operator": operators, "bare": bares}), file=sys.stderr)
    report(count, operators, bares)


def report(count: int, operators: list[dict[str, Any]], bares: list[dict[str, Any]]) -> None:
    def median(found: list[dict[str, Any]], key: str) -> float:
        return statistics.median(each[key] for each in found)

    children, seconds, bare = (
        median(operators, "children_seconds"),
        median(operators, "seconds"),
        median(bares, "seconds"),
    )
    cpu, bare_cpu, last = median(operators, "cpu"), median(bares, "cpu"), operators[-1]
    print(f"{count} agents, {WORKERS} workers, {len(bares)} rounds")
    print(f"  operator {children:.1f} s to all children, {seconds:.1f} s to all settled; bare client {bare:.1f} s")
    print(f"  operator / bare = {children / bare:.2f} (aim: at most 1.5); settled / bare = {seconds / bare:.2f}")
    print(f"  processor time of the process: operator {cpu:.1f} s, bare client {bare_cpu:.1f} s = {cpu / bare_cpu:.2f}")
    print(f"  requests per agent: {last['per_agent']}")
    print(f"  resident: {last.get('mib', last['peak'])} MiB; requests per minute at rest: {last.get('at_rest')}")
    takeover = last["takeover"]
    print(
        f"  kill -9: Lease after {takeover['lease']:.1f} s, first reconcile after {takeover['first_reconcile']:.1f} s"
    )


def prepare(rest: Rest, folder: Path, chosen: argparse.Namespace, count: int) -> None:
    for number in range(chosen.namespaces):
        rest.post("/api/v1/namespaces", {"metadata": {"name": f"bench-{number}"}})
    for number in range(count):
        namespace, name = f"bench-{number % chosen.namespaces}", f"agent-{number:04d}"
        parts.create_agent(rest, namespace, name, subscriptions=chosen.subscriptions)
    parts.render(rest, folder / "children.json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.reconcile")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000], help="5000 takes about half an hour")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--subscriptions", type=int, default=5)
    parser.add_argument("--namespaces", type=int, default=20)
    parser.add_argument("--rest-seconds", type=float, default=30.0)
    chosen = parser.parse_args()
    for count in chosen.sizes:
        compare(chosen, count)


if __name__ == "__main__":
    main()
