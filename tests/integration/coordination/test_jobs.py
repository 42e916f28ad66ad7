"""Jobs go to agents of all kinds, are tried again, and end once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.coordination.test_messages import call, mailbox
from tests.parts.access import guarded, of
from tests.parts.gateway import World, skill, world
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

JSON = {"content-type": "application/json"}


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=container.url, protocol="http")
        yield found


async def submitted(gateway: World, **body: Any) -> str:
    status, job = await call(gateway, "POST", "/a2a/jobs", {"task_type": "say", **body})
    assert status == 202, job
    return f"/a2a/jobs/{job['job_id']}"


async def ended(gateway: World, path: str) -> Any:
    async def check() -> Any:
        found = (await call(gateway, "GET", path))[1]
        return found if found["status"] in ("completed", "failed", "cancelled") else None

    return await eventually(check, within=30)


async def test_a_job_is_done_by_an_agent_that_can(gateway: World, container: PlainAgent) -> None:
    container.respond = lambda _: (200, JSON, b'{"sum": 3}')
    found = await ended(gateway, await submitted(gateway, input_data={"a": 1, "b": 2}))
    assert (found["status"], found["output_data"]) == ("completed", {"sum": 3})
    assert (found["assigned_agent_id"], found["attempt"], found["retry_count"]) == ("shop/echo", 1, 0)
    assert found["execution_time_ms"] >= 0
    assert b'"a":1' in container.seen[-1].body.replace(b" ", b"")
    path = "/agents/shop/echo/api/a2a"
    task = (await gateway.rpc("GetTask", {"id": found["a2a_task_id"]}, path=path))["result"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_failed_attempt_is_followed_by_another_until_none_is_left(
    gateway: World, container: PlainAgent
) -> None:
    answers = iter([500, 500, 200])
    container.respond = lambda _: (next(answers), JSON, b'{"x": 1}')
    found = await ended(gateway, await submitted(gateway, max_retries=3))
    assert (found["status"], found["attempt"], found["retry_count"]) == ("completed", 3, 2)
    container.respond = lambda _: (500, JSON, b"{}")
    found = await ended(gateway, await submitted(gateway, max_retries=1))
    assert (found["status"], found["retry_count"]) == ("failed", 1)
    assert found["error_message"].startswith("shop/echo: ")


async def test_an_output_that_cannot_be_kept_fails_its_job_at_once(gateway: World, container: PlainAgent) -> None:
    container.respond = lambda _: (200, JSON, b'{"x": "\\u0000"}')
    found = await ended(gateway, await submitted(gateway, max_retries=3))
    assert (found["status"], found["retry_count"]) == ("failed", 0)
    assert "U+0000" in found["error_message"]


async def test_a_definition_says_what_fits_and_what_came_out(gateway: World, container: PlainAgent) -> None:
    definition = {
        "name": "Add", "task_type": "say", "max_retries": 0,
        "input_schema": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
        "output_schema": {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]},
    }  # fmt: skip
    status, made = await call(gateway, "POST", "/a2a/tasks", definition)
    assert (status, made["task_id"][:5]) == (201, "task_")
    status, problem = await call(gateway, "POST", "/a2a/jobs", {"task_id": made["task_id"], "input_data": {"a": "x"}})
    assert (status, problem["type"]) == (422, "urn:lambdaagent:problem:unfit-input")
    assert "input_data.a" in problem["detail"]
    container.respond = lambda _: (200, JSON, b'{"other": 1}')
    _, job = await call(gateway, "POST", "/a2a/jobs", {"task_id": made["task_id"], "input_data": {"a": 1}})
    found = await ended(gateway, f"/a2a/jobs/{job['job_id']}")
    assert (found["status"], "output_schema" in found["error_message"]) == ("failed", True)
    _, listed = await call(gateway, "GET", f"/a2a/jobs?task_id={made['task_id']}&status=failed")
    assert [each["job_id"] for each in listed["jobs"]] == [job["job_id"]]
    assert (await call(gateway, "DELETE", f"/a2a/tasks/{made['task_id']}"))[0] == 204


async def test_a_job_waits_for_an_agent_that_can_and_mail_reaches_one_without_a_port(gateway: World) -> None:
    path = await submitted(gateway, task_type="paint", input_data={"colour": "red"})

    async def waiting() -> bool:
        return "no active agent" in str((await call(gateway, "GET", path))[1]["error_message"])

    await eventually(waiting)
    await call(gateway, "POST", "/a2a/register", {"agent_id": "painter", "capabilities": ["paint"]})
    [asked] = await mailbox(gateway, "painter", wait=20)
    assert asked["content"]["data"] == {"task_type": "paint", "input_data": {"colour": "red"}}
    answer = {
        "from": "painter",
        "to": asked["from"],
        "content": {"type": "response", "data": {"done": True}},
        "metadata": {"correlation_id": asked["message_id"]},
    }
    assert (await call(gateway, "POST", "/a2a/message", answer))[0] == 202
    found = await ended(gateway, path)
    assert (found["status"], found["output_data"], found["attempt"]) == ("completed", {"done": True}, 1)


async def test_a_job_of_an_agent_that_becomes_inactive_goes_to_another(gateway: World) -> None:
    await call(gateway, "POST", "/a2a/register", {"agent_id": "a", "capabilities": ["paint"]})
    path = await submitted(gateway, task_type="paint")
    [first] = await mailbox(gateway, "a", wait=20)
    await call(gateway, "POST", "/a2a/register", {"agent_id": "b", "capabilities": ["paint"]})
    await call(gateway, "PATCH", "/a2a/agents/a", {"status": "suspended"})
    [second] = await mailbox(gateway, "b", wait=20)
    late = {
        "from": "a",
        "to": first["from"],
        "content": {"type": "response", "data": {"by": "a"}},
        "metadata": {"correlation_id": first["message_id"]},
    }
    assert (await call(gateway, "POST", "/a2a/message", late))[0] == 202
    assert (await call(gateway, "GET", path))[1]["status"] in ("assigned", "running")
    done = late | {
        "from": "b",
        "content": {"type": "response", "data": {"by": "b"}},
        "metadata": {"correlation_id": second["message_id"]},
    }
    assert (await call(gateway, "POST", "/a2a/message", done))[0] == 202
    found = await ended(gateway, path)
    assert (found["output_data"], found["attempt"], found["retry_count"]) == ({"by": "b"}, 2, 1)


@pytest.mark.parametrize("strategy", ["round-robin", "by-capacity", "auto"])
async def test_jobs_are_distributed(gateway: World, container: PlainAgent, strategy: str) -> None:
    container.respond = lambda _: (200, JSON, b"{}")
    for name in ("two", "three"):
        gateway.agent(name, url=container.url, protocol="http", skills=[skill("say")])
    paths = [await submitted(gateway, strategy=strategy) for _ in range(24)]
    found = [await ended(gateway, path) for path in paths]
    counted = [sum(each["assigned_agent_id"] == f"shop/{name}" for each in found) for name in ("echo", "two", "three")]
    assert sum(counted) == 24
    assert counted == [8, 8, 8] if strategy == "round-robin" else min(counted) > 0


async def test_a_busy_agent_gets_no_job_while_another_is_free(gateway: World) -> None:
    for name, load in (("busy", 0.9), ("idle", 0.1)):
        await call(gateway, "POST", "/a2a/register", {"agent_id": name, "capabilities": ["paint"]})
        await call(gateway, "POST", f"/a2a/agents/{name}/heartbeat", {"load": load})
    for _ in range(3):
        await submitted(gateway, task_type="paint", strategy="by-capacity")

    async def assigned() -> bool:
        return len((await call(gateway, "GET", "/a2a/messages?agent=idle&limit=10"))[1]["messages"]) > 0

    await eventually(assigned)
    assert await mailbox(gateway, "busy") == []


async def test_more_jobs_than_a_replica_does_at_once_are_all_done(gateway: World, container: PlainAgent) -> None:
    container.respond = lambda _: (200, JSON, b"{}")
    assert gateway.services.coordination is not None
    number = 3 * gateway.services.coordination.jobs.limits.workers
    paths = [await submitted(gateway, input_data={"n": n}) for n in range(number)]
    found = [await ended(gateway, path) for path in paths]
    assert {each["status"] for each in found} == {"completed"}
    assert len(container.seen) == number


async def test_a_canceled_job_is_not_done(gateway: World) -> None:
    path = await submitted(gateway, task_type="paint")
    status, found = await call(gateway, "POST", f"{path}/cancel")
    assert (status, found["status"]) == (200, "cancelled")
    await call(gateway, "POST", "/a2a/register", {"agent_id": "painter", "capabilities": ["paint"]})
    assert await mailbox(gateway, "painter", wait=2.5) == []
    assert (await call(gateway, "GET", path))[1]["status"] == "cancelled"


async def test_the_same_job_twice_is_one_job(gateway: World, container: PlainAgent) -> None:
    container.respond = lambda _: (200, JSON, b"{}")
    body = {"task_type": "say", "job_id": "mine", "input_data": {"a": 1}}
    assert [(await call(gateway, "POST", "/a2a/jobs", body))[0] for _ in range(2)] == [202, 200]
    status, problem = await call(gateway, "POST", "/a2a/jobs", body | {"input_data": {"a": 2}})
    assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:job-exists")
    await ended(gateway, "/a2a/jobs/mine")
    assert len(container.seen) == 1


async def test_a_job_goes_to_nobody_whom_its_creator_may_not_call(
    tmp_path: Path, issuer: Issuer, container: PlainAgent
) -> None:
    container.respond = lambda _: (200, JSON, b"{}")
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        access = {"grants": [{"principals": ["corp:ann"]}, {"groups": ["corp:staff"]}]}
        gateway.agent(url=container.url, protocol="http", access=access)
        ann, staff, eve = of(issuer, "ann"), of(issuer, "sam", groups=["staff"]), of(issuer, "eve")
        jobs = [(await call(gateway, "POST", "/a2a/jobs", {"task_type": "say"}, **who))[1] for who in (ann, staff, eve)]

        async def done() -> bool:
            states = [
                (await call(gateway, "GET", f"/a2a/jobs/{job['job_id']}", **who))[1]
                for job, who in zip(jobs, (ann, staff, eve), strict=True)
            ]
            assert states[2]["status"] in ("pending", "assigned")
            return [each["status"] for each in states[:2]] == ["completed", "completed"] and bool(
                states[2]["error_message"]
            )

        await eventually(done)
        assert len(container.seen) == 2
        assert (await call(gateway, "GET", f"/a2a/jobs/{jobs[0]['job_id']}", **eve))[0] == 404
