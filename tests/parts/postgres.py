"""A real PostgreSQL with data, port and socket of its own, which are removed with it.

The server refuses to run as root, so root starts it as the package's user; the kernel clears the parent-death signal
when the user changes, so it is set after that. Data survives kill() and restart(); `durable` keeps fsync on for tests
of failures.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.parts import fetch
from tests.parts.authority import Authority, authority
from tests.parts.process import PartFailedError, Process, free_port

_USER = "postgres"


@dataclass
class Postgres:
    durable: bool = False
    tls: bool = False
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="lambdaagent-postgres-")))
    _server: Process | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{self._user}:a-secret@127.0.0.1:{self.port}/{database}"

    @cached_property
    def authority(self) -> Authority:
        """The authority of the certificate that the server has with `tls`; the certificate is for `localhost` only."""
        return authority(self.folder / "tls", names=("localhost",))

    def start(self) -> None:
        """Starts it, or starts it again on its data after a kill() or stop()."""
        data = self.folder / "data"
        if not data.exists():
            if os.geteuid() == 0:
                shutil.chown(self.folder, _USER)
            init = [self._tool("initdb"), "-A", "trust", "-N", "-E", "UTF8", "--locale=C", "-D", str(data)]
            self._run(*self._as_user(), *init)
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on" if self.durable else "off",
            "shared_buffers": "64MB",
        }
        if self.tls:
            made = self.authority
            if os.geteuid() == 0:
                shutil.chown(made.key, _USER)
            options |= {"ssl": "on", "ssl_cert_file": str(made.certificate), "ssl_key_file": str(made.key)}
        command = [self._tool("postgres"), "-D", str(data), "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + 60
        while True:
            self._server = Process("postgres", [*self._as_user(), *command], folder=self.folder)
            try:
                self._server.await_ready(self._answers, within=60)
            except PartFailedError as problem:
                # After a kill, the children hold the shared memory until they notice.
                if "shared memory block" not in str(problem)[-400:] or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    @contextmanager
    def serving(self) -> Iterator["Postgres"]:
        """Starts the server, and removes it with its data at the end of the block."""
        try:
            self.start()
            yield self
        finally:
            self.remove()

    def stop(self) -> None:
        if self._server is not None and self._server.running:
            self._server.signal(signal.SIGINT)  # does not wait for its clients, as SIGTERM does
            self._server.stop()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """Kills the server with SIGKILL; its children notice and end."""
        self._running().kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stops every process of the server; connections stay open and get no response."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def pin(self, core: int) -> None:
        """Binds the server to one core, with every process that it starts from now on."""
        os.sched_setaffinity(self._running().pid, {core})

    def execute(self, sql: str, *, database: str = "postgres") -> str:
        return self._run(
            self._tool("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", sql
        )

    def database(self, *, template: str = "template0") -> str:
        """Creates a database and returns its name."""
        name = f"test_{secrets.token_hex(4)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    @property
    def _user(self) -> str:
        return _USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def _as_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups", "--pdeathsig=KILL"]

    def _tool(self, name: str) -> str:
        return str(fetch.postgres_part() / name)

    def _run(self, *command: str) -> str:
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PGCONNECT_TIMEOUT": "5"}
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise PartFailedError(f"{Path(command[-1]).name}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def _answers(self) -> bool:
        try:
            return self.execute("SELECT 1") == "1"
        except (PartFailedError, subprocess.TimeoutExpired):
            return False

    def _running(self) -> Process:
        if self._server is None:
            raise PartFailedError("this PostgreSQL was never started")
        return self._server

    def _signal_all(self, number: signal.Signals) -> None:
        parent = self._running().pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (parent, *map(int, children)):
            os.kill(pid, number)
