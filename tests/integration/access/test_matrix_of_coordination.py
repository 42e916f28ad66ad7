"""Every row of the table of routes under `/a2a/`, by every kind of caller, in every mode.

A row without a line in `ROWS` makes the test fail. The agent `laptop` is registered by alice, who lets the invoker call
it.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.integration.access.expectations import REFUSED
from tests.integration.access.test_matrix import CALLERS, KEY, SIGNER, credential, outcome
from tests.parts.access import guarded
from tests.parts.gateway import World
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

from lambdaagent.access.rules import Mode
from lambdaagent.coordination.context import NewContext
from lambdaagent.coordination.job import NewDefinition, NewJob
from lambdaagent.coordination.proposal import NewProposal
from lambdaagent.coordination.registration import Registration
from lambdaagent.coordination.session import NewSession
from lambdaagent.gateway.routes import gateway_routes
from lambdaagent.identity import api_keys

Expected = Callable[[str, str], str]  # of mode and caller


def registrars(mode: str, caller: str) -> str:
    if mode != "enforce" or caller == "root":
        return "served"
    return "unauthorized" if caller in REFUSED or caller == "nobody" else "forbidden"


def everybody(mode: str, caller: str) -> str:
    """A list without what the caller may not know of."""
    return "unauthorized" if mode == "enforce" and caller in REFUSED else "served"


def identified(mode: str, caller: str) -> str:
    """What one has, which may be nothing."""
    return "unauthorized" if mode == "enforce" and (caller in REFUSED or caller == "nobody") else "served"


def absent(mode: str, caller: str) -> str:
    """What is of nobody."""
    return "hidden" if identified(mode, caller) == "served" else "unauthorized"


def those_who_see_it(mode: str, caller: str) -> str:
    if mode != "enforce" or caller in ("alice", "root", "invoker"):
        return "served"
    return "unauthorized" if caller in REFUSED or caller == "nobody" else "hidden"


def those_who_take_part(mode: str, caller: str) -> str:
    """Of what alice created, with the invoker."""
    if mode != "enforce" or caller in ("alice", "invoker"):
        return "served"
    return "unauthorized" if caller in REFUSED or caller == "nobody" else "hidden"


def nobody_without_the_secret(mode: str, caller: str) -> str:
    return "hidden"


def only_its_creator(mode: str, caller: str) -> str:
    """Of what alice created, and administrators see."""
    if mode != "enforce" or caller in ("alice", "root"):
        return "served"
    return "unauthorized" if caller in REFUSED or caller == "nobody" else "hidden"


def its_creator(mode: str, caller: str) -> str:
    return "forbidden" if mode == "enforce" and caller == "invoker" else those_who_take_part(mode, caller)


def those_concerned(mode: str, caller: str) -> str:
    """By what alice proposed to the invoker."""
    return "served" if caller == "root" else those_who_take_part(mode, caller)


def its_electors(mode: str, caller: str) -> str:
    elector = caller == "invoker"
    return "forbidden" if those_concerned(mode, caller) == "served" and not elector else those_concerned(mode, caller)


def its_proposer(mode: str, caller: str) -> str:
    found = those_concerned(mode, caller)
    return "forbidden" if mode == "enforce" and found == "served" and caller != "alice" else found


def its_owner(mode: str, caller: str) -> str:
    if mode == "off" or caller in ("alice", "root"):
        return "served"
    if mode == "audit" or caller == "invoker":
        return "forbidden"  # they see it
    return those_who_see_it(mode, caller)


def its_owner_without_others(mode: str, caller: str) -> str:
    """Of a workflow of alice, which others may see."""
    if mode != "enforce" or caller in ("alice", "root"):
        return "served"
    return "forbidden" if those_who_see_it(mode, caller) == "served" else those_who_see_it(mode, caller)


OWN = {"group": "corp:carol", "key": "key:ci", "agent": "agent:shop/other"}
MESSAGE = {"from": "{own}", "to": "laptop", "content": {"type": "query", "data": {}}}
WORKFLOW: dict[str, Any] = {
    "document": {"dsl": "1.0.3", "namespace": "n", "name": "mine", "version": "1.0.0"},
    "do": [{"rest": {"wait": {"hours": 1}}}],
}
ROWS: dict[str, tuple[str, Any, Expected]] = {
    "a2a-register": ("/a2a/register", {"agent_id": "other"}, registrars),
    "a2a-discover": ("/a2a/discover", None, everybody),
    "a2a-discover-by-body": ("/a2a/discover", {"capability": "x"}, everybody),
    "a2a-agent": ("/a2a/agents/laptop", None, those_who_see_it),
    "a2a-agent-change": ("/a2a/agents/laptop", {"description": "x"}, its_owner),
    "a2a-heartbeat": ("/a2a/agents/laptop/heartbeat", {"load": 0.5}, its_owner),
    "a2a-message-send": ("/a2a/message", MESSAGE, those_who_see_it),
    "a2a-messages": ("/a2a/messages", None, identified),
    "a2a-websocket": ("/a2a/ws", None, identified),
    "a2a-message-state": ("/a2a/messages/absent", None, absent),
    "a2a-message-ack": ("/a2a/messages/absent/ack", None, absent),
    "a2a-subscribe": ("/a2a/subscriptions", {"agent_id": "{own}", "topic": "x"}, identified),
    "a2a-subscriptions": ("/a2a/subscriptions", None, identified),
    "a2a-unsubscribe": ("/a2a/subscriptions/absent", None, absent),
    "a2a-context-create": ("/a2a/context", {"data": {}}, identified),
    "a2a-contexts": ("/a2a/context", None, identified),
    "a2a-context": ("/a2a/context/shared", None, those_who_take_part),
    "a2a-context-patch": ("/a2a/context/shared", {"x": 1}, those_who_take_part),
    "a2a-context-deltas": ("/a2a/context/shared/deltas", None, those_who_take_part),
    "a2a-context-merge": ("/a2a/context/shared/merge", {"data": {}}, those_who_take_part),
    "a2a-context-settings": ("/a2a/context/shared/settings", {"ttl_seconds": 60}, its_creator),
    "a2a-context-delete": ("/a2a/context/shared", None, its_creator),
    "a2a-proposal-create": ("/a2a/proposals", {"from": "{own}", "title": "t", "electorate": ["corp:bob"]}, identified),
    "a2a-proposals": ("/a2a/proposals", None, identified),
    "a2a-proposal": ("/a2a/proposals/open", None, those_concerned),
    "a2a-vote": ("/a2a/proposals/open/votes", {"from": "{own}", "choice": "yes"}, its_electors),
    "a2a-proposal-close": ("/a2a/proposals/open/close", None, its_proposer),
    "a2a-task-create": ("/a2a/tasks", {"name": "t", "task_type": "t"}, identified),
    "a2a-tasks": ("/a2a/tasks", None, identified),
    "a2a-task": ("/a2a/tasks/alices", None, only_its_creator),
    "a2a-task-delete": ("/a2a/tasks/alices", None, only_its_creator),
    "a2a-job-create": ("/a2a/jobs", {"task_id": "alices"}, only_its_creator),
    "a2a-jobs": ("/a2a/jobs", None, identified),
    "a2a-job": ("/a2a/jobs/alices", None, only_its_creator),
    "a2a-job-cancel": ("/a2a/jobs/alices/cancel", None, only_its_creator),
    "a2a-session-create": ("/a2a/sessions", {"participants": ["corp:bob"]}, identified),
    "a2a-sessions": ("/a2a/sessions", None, identified),
    "a2a-session": ("/a2a/sessions/joint", None, those_concerned),
    "a2a-session-change": ("/a2a/sessions/joint", {"status": "paused"}, those_concerned),
    "a2a-health": ("/a2a/health", None, everybody),
    "hook": ("/hooks/absent", {}, nobody_without_the_secret),
    "a2a-workflow-create": ("/a2a/workflows", WORKFLOW, identified),
    "a2a-workflows": ("/a2a/workflows", None, everybody),
    "a2a-workflow": ("/a2a/workflows/alices", None, those_who_see_it),
    "a2a-run-create": ("/a2a/workflows/alices/runs", {"input": 1}, those_who_see_it),
    "a2a-runs": ("/a2a/workflows/alices/runs", None, those_who_see_it),
    "a2a-run": ("/a2a/runs/run_alices00", None, only_its_creator),
    "a2a-run-cancel": ("/a2a/runs/run_alices00", None, only_its_creator),
    "a2a-workflow-delete": ("/a2a/workflows/alices", None, its_owner_without_others),
    "a2a-agent-delete": ("/a2a/agents/laptop", None, its_owner),
}


@pytest.fixture(params=["enforce", "audit", "off"])
async def gateway(
    request: pytest.FixtureRequest, tmp_path: Path, issuer: Issuer, container: PlainAgent
) -> AsyncIterator[World]:
    file = {
        "issuers": [issuer.configured()],
        "apiKeys": [{"id": "ci", "sha256": api_keys.hash_of(KEY)}],
        "admins": ["corp:root"],
        "audit": {"sink": "none"},
    }
    async with guarded(tmp_path / "access.yaml", file, mode=Mode(request.param), signer=SIGNER) as world:
        yield world


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(
    "row", [row for row in gateway_routes.table().routes if row.path.startswith(("/a2a/", "/hooks/"))]
)
async def test_rows_of_coordination(gateway: World, issuer: Issuer, caller: str, row: Any) -> None:
    path, body, expected = ROWS[row.name]
    coordination = gateway.services.coordination
    assert coordination is not None
    access = {"grants": [{"principals": ["corp:invoker"]}]}
    laptop = Registration.model_validate({"agent_id": "laptop", "capabilities": ["x"], "access": access})
    await coordination.registry.register("corp:alice", laptop)
    shared = NewContext.model_validate({"id": "shared", "participants": ["corp:invoker"]})
    await coordination.contexts.create(shared, by="corp:alice")
    proposal = {"proposal_id": "open", "from": "corp:alice", "title": "t", "electorate": ["corp:invoker"]}
    await coordination.proposals.open(NewProposal.model_validate(proposal), by="corp:alice")
    task = NewDefinition.model_validate({"task_id": "alices", "name": "t", "task_type": "t"})
    await coordination.jobs.define(task, by="corp:alice")
    job = NewJob.model_validate({"job_id": "alices", "task_type": "t"})
    await coordination.jobs.submit(job, None, by="corp:alice", principal="")
    joint = NewSession.model_validate({"session_id": "joint", "participants": ["corp:invoker"]})
    await coordination.sessions.start(joint, initiator="corp:alice", by="corp:alice")
    head = WORKFLOW["document"] | {"name": "alices", "metadata": {"access": access}}
    text = orjson.dumps(WORKFLOW | {"document": head})
    workflow, _ = await coordination.workflows.define(text, by="corp:alice", access=lambda given: given["access"])
    await coordination.workflows.submit(workflow, 1, by="corp:alice", principal="", run_id="run_alices00")
    own = OWN.get(caller, f"corp:{caller}")
    if isinstance(body, dict):
        body = {name: own if value == "{own}" else value for name, value in body.items()}
    json = {"json": body} if body is not None else {}
    answer = await gateway.request(row.method, path, headers=credential(issuer, caller), **json)
    mode = str(gateway.guard.mode)
    assert outcome(answer) == expected(mode, caller), (answer.status, answer.body[:300])
    if row.name.startswith("a2a-discover"):
        if body is None:  # the workflow has not the capability that the body asks for
            assert (b"wf-alices" in answer.body) == (b"laptop" in answer.body)
        assert (b"laptop" in answer.body) == (those_who_see_it(mode, caller) == "served")
