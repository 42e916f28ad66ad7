"""Runs an example as its container would: the command of its LambdaAgent, with the port in PORT."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.integration.frameworks import environments
from tests.integration.frameworks.environments import Environment
from tests.parts.process import Process, free_port

Json = dict[str, Any]
EXAMPLES = Path(__file__).parents[3] / "examples" / "frameworks"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/agent.yaml"))
_SECONDS = 120.0
# Some frameworks report to their makers. Nothing of a test leaves this machine: a proxy that is not there takes it.
_NOWHERE = "http://127.0.0.1:9"
_PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE)
_LOCAL = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
_OFF = {"OTEL_SDK_DISABLED": "true", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class Server:
    name: str
    url: str
    manifest: Json
    card: Json
    environment: Environment
    process: Process

    def stop(self) -> None:
        self.process.stop(within=3)


def start(name: str, folder: Path) -> Server:
    """Starts a server in a copy of the example, because some write beside their agents. Raises PartFailedError."""
    environment = environments.of(EXAMPLES / name)
    copy = folder / name
    shutil.copytree(EXAMPLES / name, copy, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    if (environment.folder / "node_modules").is_dir():
        (copy / "node_modules").symlink_to(environment.folder / "node_modules")
    manifest = yaml.safe_load((copy / "agent.yaml").read_text())
    port = free_port()
    named = {each["name"]: each["value"] for each in manifest["spec"].get("env", ())}
    here = {"PATH": environment.path, "PORT": str(port), "HOST": "127.0.0.1"}
    env = {**os.environ, **_PROXIES, **_LOCAL, **_OFF, **named, **here}
    process = Process("server", manifest["spec"]["image"]["command"], folder=copy, env=env)
    url = f"http://127.0.0.1:{port}"
    found: list[Json] = []

    card_path = _card_path(manifest)

    def ready() -> bool:
        try:
            answer = httpx.get(url + card_path, headers={"A2A-Version": "1.0"}, timeout=5)
        except httpx.TransportError:
            return False
        if answer.status_code == 200:
            found.append(answer.json())
        return bool(found)

    try:
        process.await_ready(ready, within=_SECONDS)
    except BaseException:
        process.stop(within=10)
        raise
    return Server(name, url, manifest, found[-1], environment, process)


def _card_path(manifest: Json) -> str:
    container = manifest["spec"]["a2a"].get("container", {})
    return container.get("cardPath") or container.get("path", "") + "/.well-known/agent-card.json"
