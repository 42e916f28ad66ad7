"""The official conformance suite against an agent's endpoint under `lambdaagent dev`, with no expected failures.

The agent's container is an MCP server that has what the suite wants to find; it never sees the suite, only the gateway.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.parts import fetch, mcp_suite
from tests.parts.dev import Dev, dev
from tests.parts.mcp_suite import Suite

REQUIRED = {"2026-07-28": 37, "2025-11-25": 30}
TASKS = {
    "tasks-lifecycle", "tasks-capability-negotiation", "tasks-wire-fields", "tasks-request-state-removal",
    "tasks-mrtr-input", "tasks-request-headers", "tasks-dispatch-and-envelope", "tasks-required-task-error",
    "tasks-mrtr-composition",
}  # fmt: skip
"""The scenarios of the Tasks extension; the suite skips the tenth, tasks-status-notifications, for its own reasons."""


@pytest.fixture(scope="module")
def suite() -> Suite:
    return fetch.mcp_suite_part()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("mcp-suite")
    shutil.copy(mcp_suite.FOLDER / "server.py", folder)
    agent = (mcp_suite.FOLDER / "agent.yaml").read_text()
    (folder / "agent.yaml").write_text(agent.replace("command: python3", f"command: {sys.executable}"))
    with dev(folder, data=tmp_path_factory.mktemp("data")) as found:
        found.wait_for("agent.became_ready", within=60)
        yield found


@pytest.mark.parametrize("revision", REQUIRED)
def test_every_required_scenario_passes(
    suite: Suite, running: Dev, tmp_path: Path, revision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = suite.run(f"{running.url}/agents/default/mcp-suite/mcp", revision, tmp_path)
    wanted = set(suite.required(revision)) | (TASKS if revision == "2026-07-28" else set())
    failed = [
        f"{scenario}: {check['id']}: {check.get('errorMessage', '')}"
        for scenario, found in checks.items()
        for check in found
        if check["status"] == "FAILURE"  # of those too that the revision runs without requiring them
    ]
    passed = sum(check["status"] == "SUCCESS" for found in checks.values() for check in found)
    with capsys.disabled():
        print(f"\nMCP conformance {revision}: {len(checks)} scenarios, {passed} checks passed, {len(failed)} failed")
    assert not failed, "\n".join(failed)
    assert wanted <= checks.keys(), f"not run: {wanted - checks.keys()}"
    assert len(suite.required(revision)) == REQUIRED[revision]
    assert all(checks[scenario] for scenario in wanted)
    untested = [each for each in wanted if not any(check["status"] == "SUCCESS" for check in checks[each])]
    # Without a session, which the gateway issues to nobody, the suite only warns about this one.
    assert untested in ([], ["server-sse-multiple-streams"])
