"""Three gateway processes over one PostgreSQL: any of them serves any task, and what one leaves another sees to."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.parts.agents import Agents
from tests.parts.gateway_process import answers
from tests.parts.http_servers import Handler, ThreadedServer
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait
from tests.parts.postgres import Postgres
from tests.parts.process import free_port

Json = dict[str, Any]
VERSION = {"A2A-Version": "1.0"}


class Agent(ThreadedServer):
    """Streams N words for `stream N`, nothing for `hang`, and returns other texts; it takes push notifications too."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.dropped: list[str] = []
        self.pushed: list[Json] = []
        super().__init__(_Handler)


class _Handler(Handler):
    server: Agent
    protocol_version = "HTTP/1.0"  # a stream ends with its connection

    def do_POST(self) -> None:
        body = self.body()
        if self.path == "/hook":
            self.server.pushed.append(json.loads(body))
            self.respond(204, {}, b"")
            return
        text = json.loads(body)["text"]
        self.server.calls.append(text)
        word, _, count = text.partition(" ")
        if word not in ("stream", "hang"):
            self.respond(200, {"content-type": "text/plain"}, text.encode())
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            for number in range(int(count or 600)):
                self.wfile.write(f"data: {number}\n\n".encode() if word == "stream" else b": still here\n\n")
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            self.server.dropped.append(text)


@dataclass
class Gateway:
    process: subprocess.Popen[bytes]
    client: httpx.Client
    base: str

    def rpc(self, method: str, params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer: Json = self.client.post(self.base, json=body, headers=VERSION).json()
        assert "error" not in answer, answer
        return answer["result"]

    def send(self, text: str, *, skill: str = "say", wait: bool = False, push: str = "") -> Json:
        metadata = {"skillId": skill}
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}], "metadata": metadata}
        configuration: Json = {"returnImmediately": not wait}
        if push:
            configuration["taskPushNotificationConfig"] = {"url": push}
        task: Json = self.rpc("SendMessage", {"message": message, "configuration": configuration})["task"]
        return task

    def task(self, task_id: str) -> Json:
        found: Json = self.rpc("GetTask", {"id": task_id})
        return found

    def state(self, task_id: str) -> str:
        return str(self.task(task_id)["status"]["state"])

    def follow(self, task_id: str, into: list[Json]) -> threading.Thread:
        """Reads a subscription until it ends, in a thread, which it returns."""

        def read() -> None:
            body = {"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": task_id}}
            with self.client.stream("POST", self.base, json=body, headers=VERSION, timeout=60) as answer:
                into.extend(json.loads(line[6:])["result"] for line in answer.iter_lines() if line.startswith("data: "))

        thread = threading.Thread(target=read)
        thread.start()
        return thread

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@dataclass
class Replicas:
    agent: Agent
    gateways: list[Gateway] = field(default_factory=list)


def _launch(kubeconfig: Path, database: str, path: str) -> Gateway:
    port = free_port()
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "LAMBDAAGENT_HOST": "127.0.0.1",
        "LAMBDAAGENT_PORT": str(port),
        "LAMBDAAGENT_LOG_FORMAT": "text",
        "LAMBDAAGENT_ACCESS": "off",
        "LAMBDAAGENT_DATABASE": database,
        "LAMBDAAGENT_PUSH_ALLOW": "127.0.0.0/8",
    }
    process = subprocess.Popen([sys.executable, "-m", "lambdaagent", "gateway"], env=environment)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
    return Gateway(process, client, path)


@pytest.fixture
def replicas(kube_apiserver: KubeApiserver, kubeconfig: Path, namespace: str, database_url: str) -> Iterator[Replicas]:
    yield from _replicas(kube_apiserver, kubeconfig, namespace, database_url)


def _replicas(server: KubeApiserver, kubeconfig: Path, namespace: str, database: str) -> Iterator[Replicas]:
    found = Replicas(Agent())
    skills = [{"id": "say", "name": "Say"}, {"id": "again", "name": "Again", "invoke": {"idempotent": True}}]
    agents = Agents(server, namespace)
    agents.make("echo", url=found.agent.url, a2a={"skills": skills})
    agents.make("limited", url=found.agent.url, a2a={"skills": skills, "limits": {"requestsPerMinute": 2, "burst": 8}})
    own = f"/agents/{namespace}/echo"
    try:
        for _ in range(3):
            found.gateways.append(_launch(kubeconfig, database, f"{own}/api/a2a"))
        for gateway in found.gateways:
            wait(lambda gateway=gateway: answers(gateway.client, f"{own}/.well-known/agent-card.json"))  # type: ignore[misc]
        yield found
    finally:
        for gateway in found.gateways:
            if gateway.process.poll() is None:
                gateway.process.terminate()
        for gateway in found.gateways:
            gateway.client.close()
            try:
                gateway.process.wait(20)
            except subprocess.TimeoutExpired:
                gateway.process.kill()
                gateway.process.wait(5)
        found.agent.close()


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
    made = _replicas(kube_apiserver, kubeconfig, namespace, own_postgres.url())
    replicas = next(made)
    try:
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
    finally:
        made.close()  # type: ignore[attr-defined]
