"""Gateways that hold runs are killed between any two steps: the runs go on elsewhere, and no step counts twice."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.parts import fetch
from tests.parts.agents import Agents, Container, Got
from tests.parts.gateway_process import answers
from tests.parts.http_servers import Response
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait
from tests.parts.postgres import Postgres
from tests.parts.replicas import Gateway, launch

STEPS, RUNS = 6, 12


def slowly(got: Got) -> Response:
    time.sleep(0.25)
    return (200, {"content-type": "application/json"}, got.body)


def step(number: int, namespace: str) -> dict[str, Any]:
    text = f'${{ "\\($workflow.input.run) {number}" }}'
    message = {"parts": [{"text": text}], "metadata": {"skillId": "say"}}
    call = {"agentCard": f"{namespace}/echo", "method": "message/send", "parameters": {"message": message}}
    done = "${ $input.done + [ .artifacts[0].parts[0].data.text ] }"
    return {f"step{number}": {"call": "a2a", "with": call, "output": {"as": {"done": done}}}}


@pytest.fixture
def container() -> Iterator[Container]:
    with Container(slowly) as found:
        yield found


@pytest.fixture
def gateways(
    kube_apiserver: KubeApiserver, kubeconfig: Path, namespace: str, database_url: str, container: Container
) -> Iterator[list[Gateway]]:
    skills = [{"id": "say", "name": "Say", "invoke": {"idempotent": True}}]
    Agents(kube_apiserver, namespace).make("echo", url=container.url, a2a={"skills": skills})
    found: list[Gateway] = []
    try:
        for _ in range(3):
            found.append(launch(kubeconfig, database_url, f"/agents/{namespace}/echo/api/a2a"))
        card = f"/agents/{namespace}/echo/.well-known/agent-card.json"
        for gateway in found:
            wait(lambda gateway=gateway: answers(gateway.client, card), within=60)  # type: ignore[misc]
        yield found
    finally:
        for gateway in found:
            if gateway.process.poll() is None:
                gateway.process.terminate()
                gateway.process.wait(20)
            gateway.client.close()


@contextmanager
def locked(postgres: Postgres, database_url: str, table: str) -> Iterator[None]:
    """Holds back every write to a table."""
    psql = [str(fetch.postgres_part() / "psql"), "-X", "-q", "-A", "-t", "-d", database_url]
    process = subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE; SELECT 'locked';\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == "locked"
        yield
    finally:
        process.stdin.write("ROLLBACK;\n")
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def test_runs_of_killed_gateways_go_on_where_they_were(
    gateways: list[Gateway], container: Container, namespace: str, postgres: Postgres, database_url: str
) -> None:
    database = database_url.rpartition("/")[2]
    head = {"dsl": "1.0.3", "namespace": "default", "name": "steps", "version": "1.0.0"}
    document = {"document": head, "do": [step(number, namespace) for number in range(STEPS)]}
    assert gateways[0].client.post("/a2a/workflows", json=document).status_code == 201
    runs = []
    for number in range(RUNS):
        started = gateways[number % 3].client.post(
            "/a2a/workflows/steps/runs", json={"input": {"run": number, "done": []}}
        )
        if started.status_code == 404:  # the notice of the definition has not reached this replica yet
            started = gateways[0].client.post("/a2a/workflows/steps/runs", json={"input": {"run": number, "done": []}})
        assert started.status_code == 202, started.text
        runs.append(started.json()["run_id"])
        time.sleep(0.12)  # so they are at different steps
    with locked(postgres, database_url, "a2a_run_steps"):
        counts = "SELECT count(*), count(*) FILTER (WHERE settled <> 2) FROM lambdaagent_tasks"
        seen = [""]

        def quiet() -> bool:
            """Every agent has answered, no answer can be recorded, and no run has begun another call for a second."""
            time.sleep(1.0)
            seen.append(postgres.execute(counts, database=database).strip())
            return seen[-1] == seen[-2] and seen[-1].endswith("|0")

        wait(quiet, within=60)
        calls = len(container.got)
        at_kill = postgres.execute("SELECT steps FROM a2a_runs WHERE status = 'running'", database=database).split()
        for gateway in gateways[:2]:
            gateway.kill()
        assert len(container.got) == calls
    survivor = gateways[2].client

    def ended() -> bool:
        found = [survivor.get(f"/a2a/runs/{each}").json() for each in runs]
        return all(each["status"] in ("completed", "faulted") for each in found)

    wait(ended, within=90)
    assert len(set(at_kill)) > 2, at_kill
    for number, run_id in enumerate(runs):
        run = survivor.get(f"/a2a/runs/{run_id}").json()
        assert run["status"] == "completed", run
        assert run["output"] == {"done": [f"{number} {each}" for each in range(STEPS)]}
        assert run["steps"] == STEPS + 2
    epochs = postgres.execute("SELECT max(epoch) FROM a2a_runs", database=database)
    assert int(epochs) > 1
    # A call whose answer was stored with its task is not made again, whoever goes on with the run.
    counted = Counter(json.loads(each.body)["text"] for each in container.got)
    assert counted == {f"{run} {each}": 1 for run in range(RUNS) for each in range(STEPS)}
