"""`examples/workflows` as its reader runs it: under `lambdaagent dev`, with a person's decision as a message."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.parts.dev import dev
from tests.parts.polling import wait

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("accept", [True, False])
def test_a_review_is_announced_or_refused(tmp_path: Path, accept: bool) -> None:
    with dev(EXAMPLES / "echo-python", data=tmp_path) as running:
        document = (EXAMPLES / "workflows" / "review.yaml").read_bytes()
        made = running.post("/a2a/workflows", content=document)
        assert made.status_code == 201, made.text
        refused = running.post("/a2a/workflows/review/runs", json={"input": {}})
        assert refused.status_code == 422
        run = running.post("/a2a/workflows/review/runs", json={"input": {"text": "two and two is four"}}).json()
        path = f"/a2a/runs/{run['run_id']}"
        decision = {"run": run["run_id"], "accept": accept}
        message = {"from": "ann", "to": "topic:review.decided", "content": {"type": "context", "data": decision}}

        def heard() -> Any:
            sent: httpx.Response = running.post("/a2a/message", json=message)
            return sent.json().get("receivers") or running.get(path).json()["status"] != "running"

        wait(heard, within=20)
        wait(lambda: running.get(path).json()["status"] != "running", within=20)
        found = running.get(path).json()
        if not accept:
            assert (found["status"], found["error"]["title"]) == ("faulted", "The text is refused")
            return
        assert found["status"] == "completed", found
        assert found["output"] == {
            "text": "two and two is four",
            "reviews": {
                "style": "Say it back. Is the style good? two and two is four",
                "facts": "Say it back. Are the facts right? two and two is four",
            },
        }
