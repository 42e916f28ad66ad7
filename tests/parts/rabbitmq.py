"""A real RabbitMQ node with a name, data, ports and an epmd of its own, which are removed with it.

With RUNNING_UNDER_SYSTEMD the start script becomes the Erlang VM instead of its parent, so that the process id is that
of the broker. The epmd runs in the foreground on its own port, because the default one would become a daemon and
outlive the tests. Data survives kill() and restart().
"""

import os
import secrets
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.parts import fetch
from tests.parts.authority import Authority, authority
from tests.parts.process import PartFailedError, Process, free_port


@dataclass
class RabbitMQ:
    folder: Path
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    _distribution: int = field(default_factory=free_port)
    _epmd_port: int = field(default_factory=free_port)
    _node: str = field(default_factory=lambda: f"test-{secrets.token_hex(4)}@localhost")
    _epmd: Process | None = None
    _server: Process | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    @property
    def tls_url(self) -> str:
        """The address with TLS; clients trust its certificate by `authority`."""
        return f"amqps://guest:guest@127.0.0.1:{self.tls_port}/%2F"

    @cached_property
    def authority(self) -> Authority:
        return authority(self.folder / "tls")

    def start(self) -> None:
        """Starts it, or starts it again on its data after a kill() or stop()."""
        script = fetch.rabbitmq_part()
        if self._epmd is None or not self._epmd.running:
            args = ["epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)]
            self._epmd = Process("epmd", args, folder=self.folder)
            self._epmd.await_ready(lambda: _listens(self._epmd_port), within=60)
        (self.folder / "enabled_plugins").write_text("[].\n")
        # Every user may log in from loopback only. The heartbeat is the default; clients ask for their own.
        config = {
            "log.console": "true",
            "log.console.level": "info",
            "log.file": "false",
            "listeners.ssl.1": f"127.0.0.1:{self.tls_port}",
            "ssl_options.cacertfile": self.authority.ca,
            "ssl_options.certfile": self.authority.certificate,
            "ssl_options.keyfile": self.authority.key,
        }
        lines = "".join(f"{name} = {value}\n" for name, value in config.items())
        (self.folder / "rabbitmq.conf").write_text(lines)
        self._server = Process("rabbitmq", [str(script)], folder=self.folder, env=self._env())
        self._server.await_ready(lambda: _listens(self.port, greeting=b"AMQP"), within=120)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
        if self._epmd is not None:
            self._epmd.stop()

    def kill(self) -> None:
        """Kills the broker with SIGKILL."""
        self._running().kill()

    def restart(self) -> None:
        self._running().stop()
        self.start()

    def pause(self) -> None:
        """Stops the broker; connections stay open and get no response, as on a node that hangs."""
        self._running().signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().signal(signal.SIGCONT)

    def ctl(self, *args: str) -> str:
        """Runs rabbitmqctl, which takes seconds, for what no client can do: alarms, policies, closed connections."""
        tool = fetch.rabbitmq_part().with_name("rabbitmqctl")
        command = [str(tool), "--quiet", *args]
        done = subprocess.run(command, env=self._env(), capture_output=True, text=True, timeout=180, check=False)
        if done.returncode:
            raise PartFailedError(f"rabbitmqctl {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _running(self) -> Process:
        if self._server is None:
            raise PartFailedError("this RabbitMQ was never started")
        return self._server

    def _env(self) -> dict[str, str]:
        here = str(self.folder)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": here,
            "RUNNING_UNDER_SYSTEMD": "1",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": here,
            "RABBITMQ_LOG_BASE": here,
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/enabled_plugins",
            "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq.conf",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false",
        }


@dataclass(frozen=True)
class ForeignRabbitMQ:
    """The RabbitMQ that AMQP_URL names; the tests use it and never stop it."""

    url: str


def _listens(port: int, *, greeting: bytes = b"") -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            if not greeting:
                return True
            connection.settimeout(2)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))
    except OSError:
        return False
