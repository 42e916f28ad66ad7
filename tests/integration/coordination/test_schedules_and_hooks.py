"""Tasks that run by themselves: by a schedule, once each time, and by signed webhooks."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from tests.integration.coordination.test_jobs import JSON, ended
from tests.integration.coordination.test_messages import call
from tests.parts.gateway import World, world
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent
from tests.unit.coordination.test_hook import github, standard

from lambdaagent.coordination.bodies import BadBodyError, read
from lambdaagent.coordination.schedule import Schedule, following
from lambdaagent.jobs.jobs import Jobs


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    container.respond = lambda _: (200, JSON, b'{"ok": true}')
    async with world() as found:
        found.agent(url=container.url, protocol="http")
        yield found


async def defined(gateway: World, **more: Any) -> Any:
    status, made = await call(gateway, "POST", "/a2a/tasks", {"name": "Nightly", "task_type": "say", **more})
    assert status == 201, made
    return made


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("cron", "zone", "after", "next_"),
    [
        ("0 3 * * *", "UTC", "2026-11-30T18:00:00Z", "2026-12-01T03:00:00Z"),
        ("0 3 * * *", "Europe/Berlin", "2026-11-30T18:00:00Z", "2026-12-01T02:00:00Z"),
        ("*/5 * * * *", "UTC", "2026-11-30T18:00:00Z", "2026-11-30T18:05:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),  # 2:30 is skipped that night
        ("0 0 29 2 *", "UTC", "2026-11-30T18:00:00Z", "2028-02-29T00:00:00Z"),
    ],
)
def test_the_next_time_is_that_of_the_time_zone(cron: str, zone: str, after: str, next_: str) -> None:
    assert datetime.fromtimestamp(following(cron, zone, after=at(after)), UTC) == datetime.fromisoformat(next_)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"cron": "every day"}, "five fields"),
        ({"cron": "* * * * * *"}, "five fields"),
        ({"cron": "0 3 * * mon#9"}, "no cron expression"),
        ({"cron": "0 0 30 2 *"}, "no cron expression"),
        ({"cron": "0 3 * * *", "timezone": "Mars/Base"}, "no time zone"),
        ({"cron": "0 3 * * *", "timezone": "../../etc/passwd"}, "no time zone"),
    ],
)
def test_what_never_comes_is_refused(body: Any, said: str) -> None:
    with pytest.raises(BadBodyError, match=said):
        read(Schedule, body)


async def test_a_schedule_starts_one_job_each_time_whoever_looks(gateway: World, container: PlainAgent) -> None:
    made = await defined(gateway, schedule={"cron": "0 3 * * *"}, input_data={"report": "daily"})
    assert gateway.services.coordination is not None
    jobs = gateway.services.coordination.jobs
    due = at(made["schedule"]["next_run_at"])
    assert await jobs.database.run(lambda tx: jobs.due(replace(tx, now=due - 1))) == []
    looks = (jobs.database.run(lambda tx: jobs.due(replace(tx, now=due + 1))) for _ in range(5))
    started = [job for each in await asyncio.gather(*looks) for job in each]
    assert [job.job_id for job in started] == [f"~schedule:{made['task_id']}:{int(due)}"]
    _, now = await call(gateway, "GET", f"/a2a/tasks/{made['task_id']}")
    assert at(now["schedule"]["next_run_at"]) == due + 86_400
    missed = await jobs.database.run(lambda tx: jobs.due(replace(tx, now=due + 5 * 86_400)))
    assert len(missed) == 1
    job = await jobs.find(started[0].job_id)
    assert job is not None
    assert job.input_data == {"report": "daily"}


async def test_the_longest_task_id_has_a_schedule_that_runs_beside_others(gateway: World) -> None:
    assert gateway.services.coordination is not None
    jobs = gateway.services.coordination.jobs
    for id_ in ("t" * 250, "short"):
        made = await defined(gateway, task_id=id_, schedule={"cron": "0 3 * * *"})
    due = at(made["schedule"]["next_run_at"]) + 1
    started = await jobs.database.run(lambda tx: jobs.due(replace(tx, now=due)))
    assert {job.task_id for job in started} == {"t" * 250, "short"}
    assert all(len(job.job_id) <= 255 for job in started)


async def test_a_fault_of_one_sweep_does_not_end_the_sweeps(gateway: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def broken(*_: Any) -> Any:
        seen.append(1)
        raise RuntimeError("a fault")

    monkeypatch.setattr(Jobs, "due", broken)
    await eventually(lambda: len(seen) > 1, what="a second sweep after one that failed")


async def test_nobody_takes_the_id_of_a_job_that_the_gateway_makes(gateway: World) -> None:
    body = {"job_id": "~schedule:nightly:1796094000", "task_type": "say"}
    assert (await call(gateway, "POST", "/a2a/jobs", body))[0] == 400


async def test_deliveries_with_any_id_are_told_apart(gateway: World) -> None:
    made = await defined(gateway, task_id="t" * 200, webhook={"kind": "github", "secret": "a-secret-of-github"})
    path, body = made["webhook"]["url"].removeprefix(gateway.url), b"{}"
    ids = ["msg/1", "msg/2", "d" * 255, "d" * 254 + "e", "msg/1"]
    answers = [
        await gateway.request(
            "POST",
            path,
            data=body,
            headers=dict(github("a-secret-of-github", body))
            | {"X-GitHub-Delivery": each, "Content-Type": "application/json"},
        )
        for each in ids
    ]
    assert [each.status for each in answers] == [202, 202, 202, 202, 200]


async def test_a_webhook_of_github_starts_a_job_and_a_repetition_none(gateway: World, container: PlainAgent) -> None:
    made = await defined(gateway, webhook={"kind": "github", "secret": "a-secret-of-github"})
    assert made["webhook"]["secret"] == "a-secret-of-github"
    _, again = await call(gateway, "GET", f"/a2a/tasks/{made['task_id']}")
    assert "secret" not in again["webhook"]
    path = made["webhook"]["url"].removeprefix(gateway.url)
    body = orjson.dumps({"action": "opened", "number": 7})
    headers = dict(github("a-secret-of-github", body)) | {"Content-Type": "application/json"}
    answers = [await gateway.request("POST", path, data=body, headers=headers) for _ in range(2)]
    assert [each.status for each in answers] == [202, 200]
    started = await answers[0].json()
    found = await ended(gateway, f"/a2a/jobs/{started['job_id']}")
    assert (found["status"], found["output_data"]) == ("completed", {"ok": True})
    assert orjson.loads(container.seen[-1].body)["payload"] == {"action": "opened", "number": 7}
    assert len(container.seen) == 1
    refused = await gateway.request("POST", path, data=body + b" ", headers=headers)
    assert (refused.status, (await refused.json())["type"]) == (401, "urn:lambdaagent:problem:bad-signature")
    ping = dict(github("a-secret-of-github", b"{}", **{"X-GitHub-Event": "ping"}))
    assert (await gateway.request("POST", path, data=b"{}", headers=ping)).status == 200
    assert (await call(gateway, "DELETE", f"/a2a/tasks/{made['task_id']}"))[0] == 204
    assert (await gateway.request("POST", path, data=body, headers=headers)).status == 404


async def test_the_gateway_makes_a_secret_of_its_own(gateway: World) -> None:
    made = await defined(gateway, webhook={})
    secret, path = made["webhook"]["secret"], made["webhook"]["url"].removeprefix(gateway.url)
    assert secret.startswith("whsec_")
    body = b'{"type": "made"}'
    headers = dict(standard(secret, body, at=gateway.services.clock.now()))
    assert (await gateway.request("POST", path, data=body, headers=headers)).status == 202
