"""The gateway as a process of its own, and agents for it to serve."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
from tests.parts.agents import Agents, Container
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import wait
from tests.parts.process import free_port


@contextmanager
def launched(
    kubeconfig: Path, *, ready: str = "/readyz", log: IO[bytes] | None = None, **settings: str
) -> Iterator[httpx.Client]:
    """Starts `lambdaagent gateway` and yields a client of it once `ready` responds 200.

    Settings that are not given have their defaults.
    """
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "LAMBDAAGENT_LOG_FORMAT": "text"}
    environment |= {"LAMBDAAGENT_ACCESS": "off"} | settings
    with running(["gateway"], environment, ready=ready, log=log) as client:
        yield client


@contextmanager
def running(
    arguments: Sequence[str], environment: dict[str, str], *, ready: str = "/readyz", log: IO[bytes] | None = None
) -> Iterator[httpx.Client]:
    """Starts the command on a free port and yields a client once `ready` responds 200.

    The process must end with code 0 when it is asked to; standard error goes to `log`.
    """
    port = free_port()
    own = {"LAMBDAAGENT_HOST": "127.0.0.1", "LAMBDAAGENT_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "lambdaagent", *arguments], env=environment | own, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            wait(lambda: answers(client, ready))
            yield client
        process.terminate()
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)


def answers(client: httpx.Client, path: str) -> bool:
    """Returns whether the path responds 200; a connection that fails counts as no."""
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def make(server: KubeApiserver, namespace: str, name: str, *, upstream: Container | None = None) -> None:
    """Applies an agent with the skill `say`; with `upstream` it is ready, and events go to the Broker there."""
    url = upstream.url if upstream else None
    skills = [{"id": "say", "name": "Say"}]
    subscriptions = [{"eventType": "test.wanted"}]
    agents = Agents(server, namespace)
    agents.make(name, url=url, a2a={"skills": skills}, broker_url=url or "", subscriptions=subscriptions)
