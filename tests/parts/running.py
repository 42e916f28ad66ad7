"""A process of the product as a user starts it: `lambdaagent <command>` with settings in its environment."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.parts.process import Process, free_port


@dataclass
class Running:
    command: str
    folder: Path
    settings: dict[str, str]
    name: str = ""
    port: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, within: float = 60) -> None:
        """Starts it, or starts it again after a kill() or stop()."""
        self.launch()
        self.await_ready(within=within)

    def await_ready(self, *, within: float = 60) -> None:
        assert self.process is not None
        self.process.await_ready(self.ready, within=within)

    def launch(self) -> None:
        """Starts it without a wait until it is ready."""
        environment = os.environ | {
            "LAMBDAAGENT_HOST": "127.0.0.1",
            "LAMBDAAGENT_PORT": str(self.port),
            "LAMBDAAGENT_LOG_FORMAT": "text",
            "LAMBDAAGENT_ACCESS": "off",
        }
        args = [sys.executable, "-m", "lambdaagent", self.command]
        name = self.name or self.command
        self.process = Process(name, args, folder=self.folder, env=environment | self.settings)

    def ready(self) -> bool:
        try:
            return bool(self.get("/readyz"))
        except OSError:
            return False

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def metric(self, line: str) -> float:
        """Returns the sum of the samples whose line begins with `line`; 0 if there is none."""
        found = [each.rsplit(" ", 1)[1] for each in self.get("/metrics").splitlines() if each.startswith(line)]
        return sum(map(float, found))


@contextmanager
def running(command: str, folder: Path, **settings: str) -> Iterator[Running]:
    folder.mkdir(parents=True, exist_ok=True)
    found = Running(command, folder, settings)
    try:
        found.start()
        yield found
    finally:
        found.stop()
