"""Agents of the public A2A SDK, each a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from tests.parts.polling import wait
from tests.parts.process import free_port


@contextmanager
def sdk_agent(version: str, *, here: bool = False) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Starts an agent that speaks 1.0 or 0.3; yields its URL and its process. `here`: its card has this URL."""
    port = free_port()
    words = [*(["old"] if version == "0.3" else []), *(["here"] if here else [])]
    command = [sys.executable, "-m", "tests.integration.gateway.sdk_agent", str(port), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: _answers(f"{url}/.well-known/agent-card.json"))
        yield url, process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
