"""`python -m tests.parts.image [CLUSTER_TOOLS]`: the images of the end-to-end test, on a node that no engine serves.

Where there is neither Docker nor a registry, CLUSTER_TOOLS (a directory with `rootfs` and `image`) makes a Debian tree
and turns a tree into an image on the node. The trees of ours hold what the Containerfiles would put there, at the same
paths, installed from the same hashed lock; the test of both keeps them from drifting apart.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ROOT.parent / "shared" / "cluster"
IMAGE, ENTRYPOINT = "dev.local/lambdaagent:dev", ("/usr/bin/python3", "/app")
COMMAND = Path("/usr/local/bin/lambdaagent")
ECHO, ECHO_ENTRYPOINT = "dev.local/lambdaagent-echo:v1", ("/usr/bin/python3", "/agent.py", "0.0.0.0")
# A plain RabbitMQ, as any image with `rabbitmq-server` on its PATH would be.
RABBITMQ = "dev.local/lambdaagent-rabbitmq:v1"
# Of the Debian that the final stage of the Containerfile is made of.
PYTHON, PLATFORM = "3.11", "x86_64-manylinux_2_28"


def install(app: Path) -> None:
    """What the build stage does: the locked dependencies, then this project, into one directory."""
    target = ("--target", str(app), "--python-version", PYTHON, "--python-platform", PLATFORM)
    _uv("--require-hashes", "--only-binary", ":all:", "-r", str(ROOT / "requirements.runtime.lock"), *target)
    _uv("--no-deps", "--no-build-isolation", str(ROOT), *target)
    shutil.copy(ROOT / "operator" / "lambdaagent" / "__main__.py", app / "__main__.py")


def _uv(*args: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--quiet", "--python", sys.executable, "--link-mode", "copy", *args]
    subprocess.run(command, check=True)


def build(tools: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        tree = Path(folder)
        subprocess.run([tools / "rootfs", str(tree), "python3"], check=True)
        shutil.copy(ROOT / "examples" / "echo-python" / "agent.py", tree / "agent.py")
        _load(tools, ECHO, tree, ECHO_ENTRYPOINT)
        (tree / "agent.py").unlink()
        install(tree / "app")
        shutil.copy(ROOT / "operator" / "bin" / "lambdaagent", tree / COMMAND.relative_to("/"))
        # The file system is read-only where it runs, so what is not compiled now is compiled at every start.
        subprocess.run(["chroot", str(tree), "/usr/bin/python3", "-m", "compileall", "-q", "/app"], check=True)
        _load(tools, IMAGE, tree, ENTRYPOINT)
    build_rabbitmq(tools)


def build_rabbitmq(tools: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        tree = Path(folder)
        subprocess.run([tools / "rootfs", str(tree), "rabbitmq-server"], check=True)
        # The one that the package has on its PATH insists on the package's user and directories.
        start = tree / "usr" / "local" / "bin" / "rabbitmq-server"
        start.write_text("#!/bin/sh\nexec /usr/lib/rabbitmq/bin/rabbitmq-server\n")
        start.chmod(0o755)
        for unread in ("doc", "locale", "man"):
            shutil.rmtree(tree / "usr" / "share" / unread)
        _load(tools, RABBITMQ, tree, ())


def _load(tools: Path, name: str, tree: Path, entrypoint: tuple[str, ...]) -> None:
    env = os.environ | {"IMAGE_USER": "65532"}
    subprocess.run([tools / "image", name, str(tree), *entrypoint], env=env, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else TOOLS)
