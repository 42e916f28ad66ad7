"""The packages of an example: installed once for each lock file into the user's cache directory, and timed."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.parts import places


@dataclass(frozen=True)
class Environment:
    folder: Path
    seconds: float
    """How long it took to make; 0 where it was there."""

    @property
    def megabytes(self) -> int:
        return sum(each.lstat().st_size for each in self.folder.rglob("*") if each.is_file()) >> 20

    @property
    def path(self) -> str:
        """Returns PATH with the programs of the environment first."""
        return os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])


def of(example: Path) -> Environment:
    lock = example / "requirements.lock"
    if lock.exists():
        return _made(example.name, lock, _python)
    return _made(example.name, example / "package-lock.json", _node)


def _made(name: str, lock: Path, make: Callable[[Path, Path], None]) -> Environment:
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = places.cache().parent / "frameworks" / f"{name}-{digest}"
    if (folder / ".done").exists():
        return Environment(folder, 0.0)
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    make(folder, lock)
    (folder / ".done").touch()
    return Environment(folder, time.monotonic() - began)


def _python(folder: Path, lock: Path) -> None:
    _run([sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(folder)])
    python = str(folder / "bin" / "python")
    _run([sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--requirements", str(lock)])


def _node(folder: Path, lock: Path) -> None:
    if shutil.which("npm") is None:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise places.PartMissingError("npm is not on PATH: install Node.js 20 or later with npm")
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "nodejs", "npm"])
    folder.mkdir(parents=True)
    for each in (lock, lock.with_name("package.json")):
        shutil.copy(each, folder)
    _run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder)


def _run(command: list[str], *, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise places.PartMissingError(f"{' '.join(command[:5])} failed:\n{done.stderr[-2000:]}")
