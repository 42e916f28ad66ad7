"""A workflow's tasks do what the starter of the run may do at that moment, and runs are their starters'."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.coordination.test_messages import call
from tests.integration.coordination.test_workflows import HEAD
from tests.parts.access import guarded, of
from tests.parts.gateway import World, message
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

ASK = {"call": "a2a", "with": {"agentCard": "shop/echo", "method": "message/send", "parameters": {
    "message": {"parts": [{"text": "hi"}], "metadata": {"skillId": "say"}},
}}, "output": {"as": ".status.state"}}  # fmt: skip


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as found:
        access = {"grants": [{"principals": ["corp:ann"]}, {"groups": ["staff"]}, {"groups": ["corp:staff"]}]}
        found.agent(url=container.url, protocol="http", access=access)
        yield found


async def ended(gateway: World, run_id: str, who: dict[str, str]) -> Any:
    async def check() -> Any:
        status, found = await call(gateway, "GET", f"/a2a/runs/{run_id}", **who)
        return found if status == 200 and found["status"] not in ("pending", "running") else None

    return await eventually(check, within=20)


async def started(gateway: World, who: dict[str, str], name: str = "flow", given: Any = None) -> tuple[int, Any]:
    return await call(gateway, "POST", f"/a2a/workflows/{name}/runs", {"input": given}, **who)


async def test_a_run_has_the_rights_of_its_starter_and_is_its_alone(
    gateway: World, issuer: Issuer, container: PlainAgent
) -> None:
    ann, bob, eve = of(issuer, "ann"), of(issuer, "bob"), of(issuer, "eve")
    staff = of(issuer, "sam", groups=["staff"])
    access = {"grants": [{"principals": ["corp:bob"]}, {"groups": ["corp:staff"]}]}
    document = {"document": HEAD | {"metadata": {"access": access}}, "do": [{"ask": ASK}]}
    assert (await call(gateway, "POST", "/a2a/workflows", document, **ann))[0] == 201
    assert (await call(gateway, "POST", "/a2a/workflows", document, **bob))[0] == 409
    assert (await started(gateway, eve))[0] == 404
    assert (await started(gateway, {}))[0] == 401
    runs = [(await started(gateway, who))[1] for who in (ann, staff, bob)]
    ends = [await ended(gateway, run["run_id"], who) for run, who in zip(runs, (ann, staff, bob), strict=True)]
    assert [each["status"] for each in ends] == ["completed", "completed", "faulted"], ends
    assert ends[2]["error"]["type"].endswith("/authorization")
    assert "corp:bob may not call" in ends[2]["error"]["detail"]
    assert len(container.seen) == 2
    for who in (ann, eve):
        assert (await call(gateway, "GET", f"/a2a/runs/{runs[2]['run_id']}", **who))[0] == 404
        assert (await call(gateway, "DELETE", f"/a2a/runs/{runs[2]['run_id']}", **who))[0] == 404
    assert (await call(gateway, "DELETE", "/a2a/workflows/flow", **bob))[0] == 403
    listed = (await call(gateway, "GET", "/a2a/workflows", **eve))[1]
    assert listed == {"workflows": []}
    mine = (await call(gateway, "GET", "/a2a/workflows/flow/runs", **bob))[1]["runs"]
    assert [each["run_id"] for each in mine] == [runs[2]["run_id"]]


async def test_a_right_that_was_withdrawn_is_missed_at_the_next_call(
    gateway: World, issuer: Issuer, container: PlainAgent
) -> None:
    ann = of(issuer, "ann")
    hear = {"listen": {"to": {"one": {"with": {"type": "go"}}}}}
    await call(gateway, "POST", "/a2a/workflows", {"document": HEAD, "do": [{"hear": hear}, {"ask": ASK}]}, **ann)
    run = (await started(gateway, ann))[1]
    gateway.agent(url=container.url, protocol="http", access={"grants": [{"principals": ["corp:bob"]}]})
    sent = {"from": "corp:ann", "to": "topic:go", "content": {"type": "context", "data": {}}}

    async def heard() -> Any:
        return (await call(gateway, "POST", "/a2a/message", sent, **ann))[1].get("receivers")

    await eventually(heard)
    assert (await ended(gateway, run["run_id"], ann))["error"]["type"].endswith("/authorization")


async def test_messages_reach_a_run_from_those_who_may_run_its_workflow_and_no_others(
    gateway: World, issuer: Issuer
) -> None:
    ann, bob, eve = of(issuer, "ann"), of(issuer, "bob"), of(issuer, "eve")
    hear = {"listen": {"to": {"one": {"with": {"type": "go", "a2asender": "corp:bob"}}}, "read": "envelope"}}
    access = {"grants": [{"principals": ["corp:bob"]}]}
    document = {"document": HEAD | {"metadata": {"access": access}}, "do": [{"hear": hear}]}
    await call(gateway, "POST", "/a2a/workflows", document, **ann)
    run = (await started(gateway, ann))[1]
    content = {"type": "context", "data": {"x": 1}}

    async def receivers(who: dict[str, str], name: str, **metadata: Any) -> Any:
        sent = {"from": f"corp:{name}", "to": "topic:go", "content": content, "metadata": metadata}
        return (await call(gateway, "POST", "/a2a/message", sent, **who))[1].get("receivers")

    await eventually(lambda: receivers(ann, "ann"))
    assert not await receivers(eve, "eve")
    direct = {"from": "corp:eve", "to": run["run_id"], "content": content}
    assert (await call(gateway, "POST", "/a2a/message", direct, **eve))[0] == 404
    assert await receivers(bob, "bob", cloudevent={"source": "/claimed"})
    [event] = (await ended(gateway, run["run_id"], ann))["output"]
    assert (event["a2asender"], event["source"]) == ("corp:bob", "/claimed")


async def test_a_run_that_a2a_starts_knows_its_caller_by_name(gateway: World, issuer: Issuer) -> None:
    ann, staff = of(issuer, "ann"), of(issuer, "sam", groups=["staff"])
    document = {
        "document": HEAD | {"metadata": {"access": {"grants": [{"groups": ["corp:staff"]}]}}},
        "do": [{"ask": ASK}],
    }
    await call(gateway, "POST", "/a2a/workflows", document, **ann)
    sent = {"message": message() | {"parts": [{"data": {}}]}}
    path = "/agents/registered/wf-flow/api/a2a"
    states = []
    for who in (ann, staff):
        task = (await gateway.rpc("SendMessage", sent, path=path, **who))["result"]["task"]
        states.append(task["status"]["state"])
    assert states == ["TASK_STATE_COMPLETED", "TASK_STATE_FAILED"]


async def test_no_agent_takes_the_name_of_a_workflow(tmp_path: Path, issuer: Issuer) -> None:
    file = {"issuers": [issuer.configured()], "admins": ["corp:root"]}
    async with guarded(tmp_path / "access.yaml", file) as gateway:
        root = of(issuer, "root")
        status, problem = await call(gateway, "POST", "/a2a/register", {"agent_id": "wf-flow"}, **root)
        assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:agent-id-taken")
        await call(gateway, "POST", "/a2a/workflows", {"document": HEAD, "do": [{"ask": ASK}]}, **root)
        changed = await call(gateway, "PATCH", "/a2a/agents/wf-flow", {"description": "x"}, **root)
        assert (changed[0], changed[1]["type"]) == (409, "urn:lambdaagent:problem:not-registered")
        assert (await call(gateway, "GET", "/a2a/agents/wf-flow", **root))[1]["agent_id"] == "wf-flow"
