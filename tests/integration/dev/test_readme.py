"""The README's five minutes, executed: each command as written, each `# ` line below it found in the output."""

import re
import subprocess
from pathlib import Path

from tests.parts.dev import dev

ROOT = Path(__file__).parents[3]


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_the_five_minutes_work_as_written(tmp_path: Path) -> None:
    assert len(blocks()) == 5
    with dev(ROOT / "examples" / "echo-python", data=tmp_path) as running:
        for block in blocks():
            commands = "\n".join(line for line in block.splitlines() if not line.startswith("# "))
            commands = commands.replace("localhost:8080", running.url.removeprefix("http://"))
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", commands], capture_output=True, text=True, cwd=ROOT, check=False
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip()
            for line in block.splitlines():
                if line.startswith("# "):
                    for part in filter(None, line.removeprefix("# ").split("...")):
                        assert part.strip().lower() in done.stdout.lower(), (line, done.stdout)
        running.wait_for("greeted by /me: good day")
