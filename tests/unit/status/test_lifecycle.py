from typing import Any

import pytest

from lambdaagent.status.lifecycle import happened


def status(phase: str, ready: str, generation: int = 1) -> dict[str, Any]:
    return {"phase": phase, "observedGeneration": generation, "conditions": [{"type": "Ready", "status": ready}]}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param({}, status("Deploying", "False"), ["created"], id="new"),
        pytest.param({}, status("Ready", "True"), ["created", "ready"], id="new and ready"),
        pytest.param({}, status("Failed", "False"), ["created", "degraded"], id="new and broken"),
        pytest.param({"conditions": [{"type": "EventingReady", "status": "True"}]}, status("Pending", "False"),
                     ["created"], id="the dispatcher was first"),
        pytest.param(status("Deploying", "False"), status("Ready", "True"), ["ready"], id="came up"),
        pytest.param(status("Ready", "True"), status("Ready", "True"), [], id="nothing"),
        pytest.param(status("Ready", "True"), status("Deploying", "False"), ["degraded"], id="went away"),
        pytest.param(status("Ready", "True"), status("Failed", "False"), ["degraded"], id="failed"),
        pytest.param(status("Failed", "False"), status("Failed", "False"), [], id="still failed"),
        pytest.param(status("Failed", "False"), status("Ready", "True"), ["ready"], id="mended"),
        pytest.param(status("Ready", "True"), status("Deploying", "False", 2), ["updated"], id="an edit rolls out"),
        pytest.param(status("Ready", "True"), status("Ready", "True", 2), ["updated"], id="an edit in place"),
        pytest.param(status("Ready", "True"), status("Failed", "False", 2), ["updated", "degraded"], id="a bad edit"),
        pytest.param(status("Failed", "False"), status("Failed", "False", 2), ["updated", "degraded"], id="another"),
        pytest.param(status("Ready", "True"), status("Deleting", "False"), [], id="going"),
    ],
)  # fmt: skip
def test_what_is_told(before: dict[str, Any], after: dict[str, Any], told: list[str]) -> None:
    assert happened(before, after) == told
