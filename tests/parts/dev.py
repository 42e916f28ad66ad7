"""Runs `lambdaagent dev` as a process, as a user starts it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.parts.polling import wait


@dataclass
class Dev:
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30)

    def get(self, path: str, **options: Any) -> httpx.Response:
        with self.client as client:
            return client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        with self.client as client:
            return client.post(path, **options)

    def send_event(self, kind: str, *, event_id: str, data: bytes = b"", namespace: str = "default") -> httpx.Response:
        headers = {"ce-specversion": "1.0", "ce-id": event_id, "ce-type": kind, "ce-source": "/tests"}
        return self.post(f"/events/{namespace}", headers=headers, content=data)

    def says(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def wait_for(self, text: str, *, within: float = 60) -> str:
        """Waits for a line of output with the text and returns it."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        return str(wait(found, within=within, what=lambda: f"{text!r} in:\n" + "\n".join(self.lines)))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def dev(
    *arguments: str | Path, data: Path, environment: dict[str, str] | None = None, ready: bool = True
) -> Iterator[Dev]:
    """Starts it on a free port, waits until its agents are ready, and stops it at the end of the block."""
    command = [sys.executable, "-m", "lambdaagent", "dev", "--port", "0", "--data", str(data), *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | (environment or {}),
    )
    found = Dev(process)
    reader = threading.Thread(target=_read, args=(found,), daemon=True)
    reader.start()
    try:
        if ready:
            line = found.wait_for("server.started")
            found.url = re.search(r" url=(\S+)", line)[1]  # type: ignore[index]
            wait(lambda: found.get("/readyz").status_code == 200)
            wait(lambda: _all_up(found), what=lambda: "all agents ready:\n" + "\n".join(found.lines))
        yield found
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        reader.join(5)
        assert process.stdout is not None
        process.stdout.close()


def _all_up(found: Dev) -> bool:
    # The list at /agents lacks agents without A2A.
    lines = list(found.lines)
    starting = sum(" agent.started [lambdaagent.dev" in line for line in lines)
    ready = sum(" agent.became_ready [lambdaagent.dev" in line for line in lines)
    return ready >= starting and ready > 0  # nothing is started for a server outside


def _read(found: Dev) -> None:
    assert found.process.stdout is not None
    for line in found.process.stdout:
        found.lines.append(line.rstrip("\n"))


def alive(pid: int) -> bool:
    """Returns whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
