"""Those who work together in the test of random kills: each can be killed, and goes on when it is started again."""

import asyncio
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import httpx
from tests.parts.container_process import ContainerProcess
from tests.parts.http_servers import Handler, ThreadedServer
from tests.parts.process import Process, free_port, listens
from tests.parts.running import Running

PATIENCE = 120.0  # seconds that a client repeats a request for
IDLE = 1.0  # seconds after which a container without requests is ended
CALLEE = Path(__file__).with_name("callee.py")
_ROOT = Path(__file__).parents[3]
TYPE = "io.knative.lambda.a2a.message"


class Container(ContainerProcess):
    def seen(self) -> set[str]:
        """Returns the ids of the events that it got."""
        return {line.split()[0] for line in self.log.read_text().splitlines()}


class Activator(ThreadedServer):
    """Starts its container with the first request, and ends it when it has been idle: what Knative does."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.awakenings = 0
        self._turn = threading.Lock()
        self._requests, self._last, self._over = 0, 0.0, threading.Event()
        container.log.touch()
        super().__init__(_Activated)
        self._idling = threading.Thread(target=self._idle, daemon=True)
        self._idling.start()

    def begin(self) -> str:
        with self._turn:
            self._requests += 1
            if self.container.process is None:
                self.container.start()
                self.awakenings += 1
        return self.container.url

    def end(self) -> None:
        with self._turn:
            self._requests, self._last = self._requests - 1, time.monotonic()

    def kill(self) -> None:
        with self._turn:
            if self.container.process is not None:
                self.container.kill()
                self.container.process = None

    def start(self) -> None:
        """The next request starts the container."""

    def close(self) -> None:
        self._over.set()
        self._idling.join()
        self.kill()
        super().close()

    def _idle(self) -> None:
        while not self._over.wait(IDLE / 5):
            if self._requests == 0 and time.monotonic() - self._last > IDLE:
                self.kill()


class _Activated(Handler):
    server: Activator

    def do_POST(self) -> None:
        body, headers = self.body(), self.lowered()
        url = self.server.begin()
        kept = {name: value for name, value in headers.items() if name.startswith("ce-") or name == "content-type"}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, kept), timeout=10) as answer:
                self.respond(answer.status, {"content-type": "text/plain"}, answer.read())
        except (urllib.error.URLError, OSError):
            self.respond(502, {}, b"")
        finally:
            self.server.end()


@dataclass
class SdkAgent:
    """An agent of the public SDK, elsewhere: it is registered by its address."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        args = [sys.executable, "-m", "tests.integration.gateway.sdk_agent", str(self.port), "here"]
        self.process = Process("sdk", args, folder=self.folder, env=os.environ | {"PYTHONPATH": str(_ROOT)})
        self.process.await_ready(lambda: listens(self.port), within=60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()


class Client:
    """Sends each request to a gateway by chance, again and again until one answers."""

    def __init__(self, gateways: list[Running], chance: Random) -> None:
        self.gateways, self.chance = gateways, chance
        self.client = httpx.AsyncClient(timeout=10)
        self.tries = 0

    async def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with asyncio.timeout(PATIENCE):
            while True:
                self.tries += 1
                try:
                    answer = await self.client.request(method, self.chance.choice(self.gateways).url + path, json=body)
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer.status_code, answer.json() if answer.content else None
                await asyncio.sleep(0.1)


async def read_mailbox(client: Client, agent: str, read: Counter[str], answered: set[str], over: asyncio.Event) -> None:
    """Reads and acknowledges what is in a mailbox, by long poll."""
    while not over.is_set():
        _, found = await client.request("GET", f"/a2a/messages?agent={agent}&limit=50&wait=1")
        for message in found["messages"]:
            read[message["message_id"]] += 1
            answered.add(message["metadata"].get("correlation_id") or "")
            await client.request("POST", f"/a2a/messages/{message['message_id']}/ack?agent={agent}")


async def read_socket(client: Client, agent: str, read: Counter[str], over: asyncio.Event) -> None:
    """Reads and acknowledges on a WebSocket, and connects again wherever a gateway is left."""
    async with aiohttp.ClientSession() as session:
        while not over.is_set():
            url = client.chance.choice(client.gateways).url + f"/a2a/ws?agent={agent}"
            with suppress(aiohttp.ClientError, OSError, TimeoutError, TypeError):
                async with session.ws_connect(url, protocols=["cloudevents.json"], heartbeat=2) as socket:
                    while not over.is_set():
                        with suppress(TimeoutError):
                            event = await socket.receive_json(timeout=1)
                            if event["type"] != TYPE:
                                continue
                            read[event["id"]] += 1
                            about = {"type": f"{TYPE}.acknowledged", "subject": event["id"], "id": event["id"]}
                            await socket.send_json({"specversion": "1.0", "source": f"/{agent}", **about})
            await asyncio.sleep(0.1)
