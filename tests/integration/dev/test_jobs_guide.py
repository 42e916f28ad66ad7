"""`docs/guides/jobs.md` as written, with `examples/jobs`: a job, a nightly one, a webhook of GitHub to an answer."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.dev import Dev, dev
from tests.parts.polling import wait

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "guides" / "jobs.md").read_text()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with dev(ROOT / "examples" / "jobs", data=tmp_path_factory.mktemp("data")) as found:
        yield found


def lines(title: str) -> list[str]:
    section = GUIDE[GUIDE.index(f"## {title}\n") :].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)\n```", section, flags=re.DOTALL)


def run(running: Dev, line: str, **more: str) -> Any:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"GATEWAY": running.url, "PATH": path, **more}
    done = subprocess.run(
        line, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    return json.loads(done.stdout)


def ended(running: Dev, job_id: str) -> Any:
    def check() -> Any:
        found = running.get(f"/a2a/jobs/{job_id}").json()
        return found if found["status"] in ("completed", "failed") else None

    return wait(check)


def test_a_job(running: Dev) -> None:
    submit, read = lines("Start a job")
    assert run(running, submit)["job_id"] == "first"
    assert ended(running, "first")["output_data"] == {"title": "Report on today", "lines": 3}
    assert run(running, read)["status"] == "completed"


def test_a_nightly_job(running: Dev) -> None:
    [define] = lines("Run a task every night")
    made = run(running, define)
    assert made["schedule"]["next_run_at"].endswith("00:00Z")


def test_a_webhook_of_github_to_an_answer(running: Dev) -> None:
    define, deliver = lines("Answer a webhook of GitHub")
    made = run(running, define)
    started = run(running, deliver, HOOK=made["webhook"]["url"])
    found = ended(running, started["job_id"])
    assert (found["status"], found["output_data"]) == ("completed", {"comment": "Thank you for issue 7, ada!"})
    assert run(running, deliver, HOOK=made["webhook"]["url"])["job_id"] == started["job_id"]
