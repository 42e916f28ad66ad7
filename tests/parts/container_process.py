"""An agent's container in a process of its own, which a test may kill and start again."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.parts.process import Process, free_port, listens


@dataclass
class ContainerProcess:
    """Runs `script PORT LOG *arguments`; the log, which the script appends to, outlives the process."""

    script: Path
    folder: Path
    name: str = "container"
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.txt"

    def start(self) -> None:
        """Starts it, or starts it again after a kill(), and waits until it listens."""
        self.log.touch()
        command = [sys.executable, str(self.script), str(self.port), str(self.log), *self.arguments]
        self.process = Process(self.name, command, folder=self.folder)
        self.process.await_ready(lambda: listens(self.port), within=60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
