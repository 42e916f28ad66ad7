"""Runs the public A2A conformance kit against a gateway that it starts: `make tck TCK_DIR=...`.

The kit (github.com/a2aproject/a2a-tck, branch 1.0-dev) is not part of this: whoever has a checkout names it. What else
stands on the command line goes to its runner, such as `--level must`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.parts.dev import dev

AGENT = Path(__file__).parent
USAGE = """\
make tck needs a checkout of the A2A conformance kit:
  git clone --branch 1.0-dev https://github.com/a2aproject/a2a-tck.git
  make tck TCK_DIR=$PWD/a2a-tck [TCK_ARGS='--level must --transport jsonrpc']
"""


def main(arguments: list[str]) -> int:
    folder = arguments[0] if arguments else ""
    kit = Path(folder).expanduser().resolve()
    if not folder or not (kit / "run_tck.py").is_file():
        print(f"{folder}: there is no run_tck.py\n{USAGE}" if folder else USAGE, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as data, dev(AGENT, data=Path(data)) as running:
        host = f"{running.url}/agents/default/tck"
        print(f"the kit's host: {host}", flush=True)
        command = [*runner(kit), "run_tck.py", "--sut-host", host, *arguments[1:]]
        # The kit's environment is its own: ours must not be taken for it.
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        code = subprocess.run(command, cwd=kit, env=environment).returncode
    print(f"the kit's reports: {kit / 'reports'}", flush=True)
    return code


def runner(kit: Path) -> list[str]:
    """Returns the command of the kit's runner, as the kit's README says: in its virtual environment, or with uv."""
    own = kit / ".venv" / "bin" / "python"
    if own.exists():
        return [str(own)]
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    return [uv, "run"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
