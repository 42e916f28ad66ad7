"""Environments for clients whose packages conflict with the project's, in the user's cache directory."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.parts import places

HERE = Path(__file__).parent


def python03(script: str = "client.py") -> list[str]:
    """Returns the command that runs a script by Python with the SDK of 0.3."""
    folder = _folder("python03", HERE / "python03" / "requirements.txt")
    python = folder / "bin" / "python"
    if not (folder / ".done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        requirements = HERE / "python03" / "requirements.txt"
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)])
        (folder / ".done").touch()
    return [str(python), str(HERE / "python03" / script)]


def javascript(script: str = "client.js") -> list[str]:
    """Returns the command that runs Node with the SDK beside the script."""
    node = shutil.which("node")
    if node is None:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise places.PartMissingError("node is not on PATH: install Node.js 20 or later with npm")
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "nodejs", "npm"])
        node = "node"
    folder = _folder("javascript", HERE / "javascript" / "package.json")
    if not (folder / ".done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(HERE / "javascript" / "package.json", folder)
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"], cwd=folder)
        (folder / ".done").touch()
    # Modules are looked for beside the script.
    shutil.copy(HERE / "javascript" / script, folder)
    return [node, str(folder / script)]


def _folder(name: str, pinned: Path) -> Path:
    digest = hashlib.sha256(pinned.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return places.cache() / "clients" / f"{name}-{digest}"


def _run(command: list[str], *, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise places.PartMissingError(f"{' '.join(command[:3])} failed:\n{done.stderr[-2000:]}")
