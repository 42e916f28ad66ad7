"""The official MCP conformance suite and the Node.js that runs it, from npm by a lock file, in the user's cache."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml
from tests.parts import packages, places

FOLDER = Path(__file__).parents[1] / "mcp_conformance"
_TIME = re.compile(r"-\d{4}-\d\d-\d\dT[-0-9]+Z$")
_FILES = ("package.json", "package-lock.json")


@dataclass(frozen=True)
class Suite:
    root: Path

    @property
    def node(self) -> Path:
        found = sorted(self.root.glob("node_modules/node-linux-*/bin/node"))
        if not found:
            raise places.PartMissingError("the lock file of the MCP conformance suite has no Node.js for this machine")
        return found[0]

    @property
    def script(self) -> Path:
        return self.root / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"

    def run(self, url: str, revision: str, folder: Path) -> dict[str, list[dict[str, str]]]:
        """Runs what a revision requires of the server at the URL. Returns the checks by scenario."""
        command = [self.node, self.script, "server", "--url", url, "--requirements", revision, "-o", folder]
        done = subprocess.run(
            list(map(str, command)), cwd=self.root, capture_output=True, text=True, timeout=300, check=False
        )
        found: dict[str, list[dict[str, str]]] = {}
        for path in sorted(folder.glob("server-*/checks.json")):
            scenario = _TIME.sub("", path.parent.name.removeprefix("server-"))
            found[scenario] = json.loads(path.read_text())
        if not found:
            raise AssertionError(f"the suite ran no scenario:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return found

    def required(self, revision: str) -> list[str]:
        """Returns the scenarios that a revision requires of servers."""
        path = self.script.parents[1] / "requirements" / f"{revision}.yaml"
        found: list[str] = yaml.safe_load(path.read_text())["server"]
        return found


def find() -> Suite | None:
    suite = Suite(places.cache().parent / f"mcp-suite-{_digest()}")
    return suite if suite.script.exists() else None


def install() -> Suite:
    """Installs beside its place and moves it there, so that one that was interrupted is not found."""
    npm = shutil.which("npm") or str(packages.install_program("npm", "npm"))
    target = places.cache().parent / f"mcp-suite-{_digest()}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        for name in _FILES:
            shutil.copy(FOLDER / name, made)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            raise places.PartMissingError(f"npm ci failed for the MCP conformance suite:\n{done.stderr[-2000:]}")
        try:
            Path(made).rename(target)
        except OSError:  # another process was quicker
            if not Suite(target).script.exists():
                raise
            return Suite(target)
        Path(made).mkdir()  # for the end of the block
    return Suite(target)


def _digest() -> str:
    return sha256(b"".join((FOLDER / name).read_bytes() for name in _FILES)).hexdigest()[:12]
