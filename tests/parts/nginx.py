"""A real nginx in front of a gateway, with connections to it that are kept and used for every client.

`Forwarded` is what nginx states of each request that it received: whether it passed it on, and what came back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts import fetch
from tests.parts.process import Process, free_port, listens

HEADERS = (
    "Host $http_host",
    "X-Forwarded-For $proxy_add_x_forwarded_for",
    "X-Forwarded-Proto $scheme",
    "X-Forwarded-Host $http_host",
    'X-Forwarded-Prefix ""',
)
"""The headers of a proxy that LAMBDAAGENT_TRUST_FORWARDED may trust."""


@dataclass(frozen=True)
class Forwarded:
    line: str  # the request line as nginx read it
    status: int  # what nginx answered
    upstream: str  # the status that it got; empty if it forwarded nothing


@dataclass(frozen=True)
class Nginx:
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self) -> list[Forwarded]:
        found = []
        for line in (self.folder / "access.log").read_text(errors="replace").splitlines():
            request, status, upstream = line.split("\t")
            found.append(Forwarded(request, int(status), upstream if upstream != "-" else ""))
        return found


@contextmanager
def nginx(
    folder: Path, upstream: str, *, headers: Sequence[str] = HEADERS, settings: Sequence[str] = ()
) -> Iterator[Nginx]:
    """Starts nginx with one worker. `settings` are directives for all requests."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    given = "".join(f"proxy_set_header {header};\n" for header in headers)
    (folder / "nginx.conf").write_text(
        f"""daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log info;
        events {{ worker_connections 256; }}
        http {{
          log_format forwarded escape=none '$request\t$status\t$upstream_status';
          access_log {folder}/access.log forwarded;
          client_body_temp_path {folder}/body; {temporary} {"".join(f"{each};" for each in settings)}
          upstream gateway {{ server {upstream.removeprefix("http://")}; keepalive 1; }}
          server {{
            listen 127.0.0.1:{port};
            location / {{
              proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection "";
              proxy_next_upstream off;
              {given} }} }} }}"""
    )
    program = fetch.program_part("nginx")
    process = Process("nginx", [str(program), "-c", f"{folder}/nginx.conf", "-p", str(folder)], folder=folder)
    try:
        process.await_ready(lambda: listens(port), within=20)
        yield Nginx(port, folder)
    finally:
        process.stop()
