"""Makes the images of the end-to-end test on a node without Docker: `python -m tests.parts.image [CLUSTER_TOOLS]`.

CLUSTER_TOOLS is a directory with the programs `rootfs`, which makes a Debian tree, and `image`, which turns a tree into
an image on the node. The trees hold what the Containerfiles would put there, at the same paths and from the same hashed
lock; tests/unit/test_image.py compares the two.
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
# A plain RabbitMQ; any image with `rabbitmq-server` on its PATH is like it.
RABBITMQ = "dev.local/lambdaagent-rabbitmq:v1"
# Those of the Debian in the final stage of the Containerfile.
PYTHON, PLATFORM = "3.11", "x86_64-manylinux_2_28"


def install(app: Path) -> None:
    """Installs the locked dependencies and this project into one directory, as the build stage does."""
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
        # The file system is read-only at run time, so a module that is not compiled now is compiled at every start.
        subprocess.run(["chroot", str(tree), "/usr/bin/python3", "-m", "compileall", "-q", "/app"], check=True)
        _load(tools, IMAGE, tree, ENTRYPOINT)
    build_rabbitmq(tools)


def build_rabbitmq(tools: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        tree = Path(folder)
        subprocess.run([tools / "rootfs", str(tree), "rabbitmq-server"], check=True)
        # The script of the package on PATH requires the package's user and directories.
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
