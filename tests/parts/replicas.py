"""Three gateway processes over one PostgreSQL, and an agent that streams, hangs or answers."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.parts.agents import Agents
from tests.parts.gateway_process import answers
from tests.parts.http_servers import Handler, ThreadedServer
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait
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


def launch(kubeconfig: Path, database: str, path: str, *, port: int = 0) -> Gateway:
    port = port or free_port()
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


@contextmanager
def three(server: KubeApiserver, kubeconfig: Path, namespace: str, database: str) -> Iterator[Replicas]:
    found = Replicas(Agent())
    skills = [{"id": "say", "name": "Say"}, {"id": "again", "name": "Again", "invoke": {"idempotent": True}}]
    agents = Agents(server, namespace)
    agents.make("echo", url=found.agent.url, a2a={"skills": skills})
    agents.make("limited", url=found.agent.url, a2a={"skills": skills, "limits": {"requestsPerMinute": 2, "burst": 8}})
    own = f"/agents/{namespace}/echo"
    try:
        for _ in range(3):
            found.gateways.append(launch(kubeconfig, database, f"{own}/api/a2a"))
        for gateway in found.gateways:
            wait(lambda gateway=gateway: answers(gateway.client, f"{own}/.well-known/agent-card.json"), within=60)  # type: ignore[misc]
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
