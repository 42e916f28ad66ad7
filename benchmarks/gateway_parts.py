"""The other processes of the gateway's benchmark: nginx as upstream and as proxy, wrk as load; each ended by its id."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.postgres import Postgres

from lambdaagent.store.postgres import migrating
from lambdaagent.store.postgres.urls import DatabaseUrl

SUT, REST = "0", "1"  # cores: what is measured, and everything else
JSON = {"Content-Type": "application/json", "A2A-Version": "1.0"}
ANSWER = '{"answer": "' + "x" * 64 + '"}'
DIRECT = '{"text": "what is the weather like in Lisbon today?"}'
MESSAGE = (
    '{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m-1","role":"ROLE_USER",'
    '"parts":[{"text":"what is the weather like in Lisbon today?"}]}}}'
)


def require_tools() -> None:
    missing = [package for tool, package in (("nginx", "nginx-light"), ("wrk", "wrk")) if shutil.which(tool) is None]
    if not missing:
        return
    if os.geteuid() != 0:
        raise SystemExit(f"missing: {' '.join(missing)}; install with apt (this user may not)")
    subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *missing], check=True, stdout=sys.stderr)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int

    def cpu(self) -> float:
        """Seconds of processor time that it has used, in the kernel too."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def process(*arguments: str, core: str, port: int) -> Iterator["Server"]:
    """Pinned to one core, until the block ends."""
    command = ["taskset", "-c", core, *arguments]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        _await(port, started)
        yield Server(f"http://127.0.0.1:{port}", started.pid)
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _await(port: int, started: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and started.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"{started.args} did not listen")


@contextmanager
def nginx(*, core: str, port: int, location: str, upstream: str = "") -> Iterator[Server]:
    """One worker. `location` is the body of `location /`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.joinpath("nginx.conf").write_text(
            f"""daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr error;
            events {{ worker_connections 4096; }}
            http {{ access_log off; keepalive_requests 1000000000; client_max_body_size 10m;
              client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
              uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
              {upstream}
              server {{ listen 127.0.0.1:{port} reuseport; location / {{ {location} }} }} }}"""
        )
        with process("nginx", "-c", f"{folder}/nginx.conf", "-p", folder, core=core, port=port) as server:
            yield server


@contextmanager
def upstream() -> Iterator[str]:
    """The agent: nginx answering at once, so that what is measured is not the agent."""
    with nginx(
        core=REST, port=free_port(), location=f"default_type application/json; return 200 '{ANSWER}';"
    ) as server:
        yield server.url


@contextmanager
def proxy(to: str) -> Iterator[Server]:
    pool = f"upstream agent {{ server {to.removeprefix('http://')}; keepalive 256; keepalive_requests 1000000000; }}"
    location = 'proxy_pass http://agent; proxy_http_version 1.1; proxy_set_header Connection "";'
    with nginx(core=SUT, port=free_port(), location=location, upstream=pool) as server:
        yield server


@contextmanager
def python(module: str, *arguments: str) -> Iterator[Server]:
    port = free_port()
    with process(sys.executable, "-m", module, str(port), *arguments, core=SUT, port=port) as server:
        yield server


@contextmanager
def postgres() -> Iterator[str]:
    """With fsync on, beside the load: a database is on another machine."""
    server = Postgres(durable=True)
    try:
        server.start()
        server.pin(int(REST))
        url = server.url(server.database())
        asyncio.run(migrating.migrate(DatabaseUrl(url)))
        yield url
    finally:
        server.remove()


@dataclass(frozen=True, slots=True)
class Load:
    per_second: float
    per_cpu_second: float
    """Robust where other work shares the cores: what one second of the server's own processor time serves."""
    errors: int
    p50: float = 0.0  # milliseconds
    p99: float = 0.0


def wrk(
    server: Server, path: str, *, body: str, connections: int, seconds: int, headers: Mapping[str, str] = JSON
) -> Load:
    """Closed loop: each connection sends its next request when it has its answer."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            "\n".join(
                [
                    f"wrk.method='POST'\nwrk.body=[[{body}]]",
                    *(f"wrk.headers['{name}']='{value}'" for name, value in headers.items()),
                ]
            )
        )
        script.flush()
        load = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name, server.url + path]
        before = server.cpu()
        said = subprocess.run(["taskset", "-c", REST, *load], check=True, capture_output=True, text=True).stdout
        used = server.cpu() - before
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    count = re.search(r"(\d+) requests in", said)
    if found is None or count is None:
        raise SystemExit(said)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    errors = int(failed[1]) if failed else 0
    per_cpu = int(count[1]) / used if used else 0.0
    errors += sum(map(int, sockets.groups() if sockets else ()))
    return Load(float(found[1]), per_cpu, errors, _percentile(said, 50), _percentile(said, 99))


def _percentile(said: str, percent: int) -> float:
    """Milliseconds, from what wrk says."""
    found = re.search(rf"^\s*{percent}%\s+([\d.]+)(us|ms|s)$", said, flags=re.MULTILINE)
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]] if found else 0.0


def wrk_at_once(servers: Sequence[Server], path: str, *, body: str, connections: int, seconds: int) -> Load:
    """The load shared out evenly; what all of them served together."""
    with ThreadPoolExecutor(len(servers)) as pool:
        each = connections // len(servers)
        runs = [pool.submit(wrk, server, path, body=body, connections=each, seconds=seconds) for server in servers]
        loads = [run.result() for run in runs]
    used = sum(load.per_second / load.per_cpu_second for load in loads if load.per_cpu_second)
    total = sum(load.per_second for load in loads)
    return Load(total, total / used if used else 0.0, sum(load.errors for load in loads))


def quantile(values: Sequence[float], at: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * at))]
