"""Three gateway processes over one PostgreSQL: any of them serves any task, and what one leaves another sees to."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.parts.gateway_process import answers
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait
from tests.parts.postgres import Postgres
from tests.parts.replicas import Gateway, Json, Replicas, three


@pytest.fixture
def replicas(kube_apiserver: KubeApiserver, kubeconfig: Path, namespace: str, database_url: str) -> Iterator[Replicas]:
    with three(kube_apiserver, kubeconfig, namespace, database_url) as found:
        yield found


def test_replicas_share_the_rate_of_a_caller(replicas: Replicas) -> None:
    """One replica spends it; the others learn of that within seconds, and refuse the caller too."""
    one, *others = (gateway.client for gateway in replicas.gateways)
    path = f"{replicas.gateways[0].base.rpartition('/echo/')[0]}/limited/api/a2a/skills/say"

    def call(client: httpx.Client) -> int:
        return client.post(path, json={"text": "x"}).status_code

    wait(lambda: answers(one, path.replace("/api/a2a/skills/say", "/.well-known/agent-card.json")))
    wait(lambda: call(one) == 429)
    for each in others:  # each has a burst of its own until it tells the others of its first request
        assert call(each) == 200
        wait(lambda each=each: call(each) == 429, within=5)  # type: ignore[misc]
    assert len([text for text in replicas.agent.calls if text == "x"]) <= 8 + 2 * 8


def test_any_replica_serves_any_task(replicas: Replicas) -> None:
    one, two, three = replicas.gateways
    task = one.send("hello", wait=True)
    assert task["artifacts"][0]["parts"] == [{"text": "hello"}]
    assert two.task(task["id"]) == three.task(task["id"]) == task
    assert [each["id"] for each in three.rpc("ListTasks", {})["tasks"]] == [task["id"]]


def test_followers_on_all_replicas_see_the_same(replicas: Replicas) -> None:
    one, two, three = replicas.gateways
    task = one.send("stream 15")
    seen: list[list[Json]] = [[], []]
    threads = [gateway.follow(task["id"], into) for gateway, into in zip((two, three), seen, strict=True)]
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    # Each begins with the task as it was then; what both saw of it afterwards is the same.
    shorter = min(len(events) for events in seen) - 1
    assert seen[0][-shorter:] == seen[1][-shorter:]
    assert shorter > 3
    assert seen[0][-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


def test_what_is_cancelled_on_one_replica_is_cancelled_at_the_container_of_another(replicas: Replicas) -> None:
    one, two, _ = replicas.gateways
    task = one.send("hang")
    wait(lambda: replicas.agent.calls == ["hang"])
    assert two.rpc("CancelTask", {"id": task["id"]})["status"]["state"] == "TASK_STATE_CANCELED"
    wait(lambda: replicas.agent.dropped == ["hang"])
    assert one.state(task["id"]) == "TASK_STATE_CANCELED"


def test_when_a_gateway_dies_its_tasks_fail_with_the_reason_or_are_begun_anew(replicas: Replicas) -> None:
    one, two, three = replicas.gateways
    failing = one.send("stream 500", push=f"{replicas.agent.url}/hook")
    repeated = one.send("stream 30", skill="again")
    wait(lambda: len(replicas.agent.calls) == 2)
    seen: list[Json] = []
    following = two.follow(failing["id"], seen)
    one.kill()
    following.join(40)
    assert not following.is_alive()
    last = seen[-1]["statusUpdate"]["status"]
    assert last["state"] == "TASK_STATE_FAILED"
    assert "no sign of life" in last["message"]["parts"][0]["text"]
    wait(lambda: three.state(repeated["id"]) == "TASK_STATE_COMPLETED", within=30)
    assert replicas.agent.calls.count("stream 30") == 2
    # A receiver that the killed gateway had claimed at that moment is another's after a minute.
    wait(lambda: any(_is_failed(body, failing["id"]) for body in replicas.agent.pushed), within=80)


def _is_failed(body: Json, task_id: str) -> bool:
    update = body.get("statusUpdate", {})
    return update.get("taskId") == task_id and update["status"]["state"] == "TASK_STATE_FAILED"


def test_a_database_that_restarts_loses_nothing_that_was_acknowledged(
    kube_apiserver: KubeApiserver, kubeconfig: Path, namespace: str, own_postgres: Postgres
) -> None:
    environment = os.environ | {"LAMBDAAGENT_DATABASE": own_postgres.url()}
    subprocess.run([sys.executable, "-m", "lambdaagent", "migrate"], env=environment, check=True, timeout=60)
    with three(kube_apiserver, kubeconfig, namespace, own_postgres.url()) as replicas:
        acknowledged: list[str] = []
        stop = threading.Event()

        def work(gateway: Gateway) -> None:
            while not stop.is_set():
                try:
                    acknowledged.append(gateway.send("x", wait=True)["id"])
                except (httpx.HTTPError, AssertionError):
                    time.sleep(0.05)

        threads = [threading.Thread(target=work, args=(gateway,)) for gateway in replicas.gateways]
        for thread in threads:
            thread.start()
        wait(lambda: len(acknowledged) > 30)
        own_postgres.kill()
        own_postgres.start()
        before = len(acknowledged)
        wait(lambda: len(acknowledged) > before + 30, within=40)
        stop.set()
        for thread in threads:
            thread.join(30)
        states = {replicas.gateways[0].state(task_id) for task_id in acknowledged}
        assert states == {"TASK_STATE_COMPLETED"}
