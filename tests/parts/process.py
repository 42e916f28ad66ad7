"""Child processes of the tests: each has a log file, and is stopped by its process id.

Children have the kernel's parent-death signal (guard.py), so none outlives pytest, even after `kill -9`. The signal
comes when the thread that started the child ends; so one thread, which lives as long as the process, starts all of
them, and a test may start parts from any thread. If a part does not start, the error holds the tail of its log.
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_PORTS = 1000
# The first port of this worker of pytest-xdist (gw0, gw1, ...), or of a run without workers.
_FIRST = 20_000 + _PORTS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw9").removeprefix("gw"))
_START = os.getpid() % _PORTS
_ports = itertools.cycle([_FIRST + (_START + n) % _PORTS for n in range(_PORTS)])
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="parts")
_GUARD = Path(__file__).with_name("guard.py")


class PartFailedError(RuntimeError):
    """A part did not start or did not answer in time."""


def free_port() -> int:
    """Returns a port that neither this process nor another worker of the same run has returned before.

    It is below the ports that the kernel assigns, so that no connection takes it before the part listens.
    """
    for _ in range(_PORTS):
        port = next(_ports)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PartFailedError(f"no port is free from {_FIRST} to {_FIRST + _PORTS - 1}")


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Process:
    def __init__(self, name: str, args: Sequence[str], *, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._popen = _STARTER.submit(
                subprocess.Popen,
                [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=env,
            ).result()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def stop(self, *, within: float = 20) -> None:
        """Sends SIGTERM, and SIGKILL after `within` seconds."""
        if self.running:
            self._popen.terminate()
        try:
            self._popen.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        if self.running:
            self._popen.kill()
        self._popen.wait(20)

    def await_ready(self, ready: Callable[[], bool], *, within: float = 60) -> None:
        """Waits until `ready` returns true; raises PartFailedError if the process ends or the deadline passes."""
        deadline = time.monotonic() + within
        while not ready():
            if not self.running:
                raise PartFailedError(f"{self.name} ended with {self._popen.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise PartFailedError(f"{self.name} was not ready within {within} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
