"""`/a2a/tasks` and `/a2a/jobs`: definitions of tasks, and their runs at agents.

Both are their creator's: for others they are not there. A job goes to agents that its creator may call.
"""

from urllib.parse import quote

from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.access import registrant
from lambdaagent.clock import rfc3339
from lambdaagent.coordination import job as models
from lambdaagent.coordination.job import Definition, Job
from lambdaagent.coordination.refusals import IdInUseError, TooManyError
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination import acting, agents
from lambdaagent.gateway.coordination.requests import answer, body, coordination, require_identity
from lambdaagent.gateway.http import urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES
from lambdaagent.json_schema.checker import Checker

_STATUSES = ("pending", "assigned", "running", "completed", "failed", "cancelled")


async def define(request: web.Request) -> web.Response:
    owner = require_identity(request)
    given = await body(request, models.NewDefinition)
    try:
        made, secret = await coordination(request).jobs.define(
            given, by=owner, principal=registrant.stored(request[PRINCIPAL])
        )
    except IdInUseError:
        raise ProblemError(409, "task-exists", f"The task_id {given.task_id!r} is in use; choose another.") from None
    except TooManyError:
        raise ProblemError(403, "too-many-tasks", "You have defined as many tasks as one principal may.") from None
    location = f"{urls.base(request)}/a2a/tasks/{quote(made.task_id, safe='')}"
    shown = _definition(request, made)
    if made.hook_id is not None:
        shown["webhook"]["secret"] = secret  # shown this once
    return answer(request, shown, status=201, headers={"Location": location})


async def definitions(request: web.Request) -> web.Response:
    found = await coordination(request).jobs.definitions(owner=_owner(request))
    left_out = ("input_data", "input_schema", "output_schema")
    shown = [_definition(request, each) for each in found]
    listed = [{name: value for name, value in each.items() if name not in left_out} for each in shown]
    return answer(request, {"tasks": listed})


async def definition(request: web.Request) -> web.Response:
    return answer(request, _definition(request, await _own_definition(request, request.match_info["id"])))


async def undefine(request: web.Request) -> web.Response:
    found = await _own_definition(request, request.match_info["id"])
    await coordination(request).jobs.undefine(found.task_id, by=request[PRINCIPAL].name)
    return web.Response(status=204)


async def submit(request: web.Request) -> web.Response:
    """Accept a job: 202 once it is durable."""
    owner = require_identity(request)
    given = await body(request, models.NewJob)
    job, new = await accepted(request, given, owner=owner)
    location = f"{urls.base(request)}/a2a/jobs/{quote(job.job_id, safe='')}"
    return answer(request, shown(job), status=202 if new else 200, headers={"Location": location})


async def accepted(request: web.Request, given: models.NewJob, *, owner: str) -> tuple[Job, bool]:
    """Return the job once it is durable, and whether it is new. Raises ProblemError."""
    if (given.task_id is None) == (given.task_type is None):
        raise ProblemError(400, "bad-body", "The body is refused: it needs a task_id or a task_type.")
    found = await _own_definition(request, given.task_id) if given.task_id is not None else None
    if found is not None and found.input_schema:
        checks = request.app[SERVICES].schema_checks
        wrong = await checks.violations(Checker(found.input_schema), given.input_data, name="input_data")
        if wrong:
            raise ProblemError(422, "unfit-input", f"The input does not fit the task's schema: {'; '.join(wrong)}.")
    if given.agent_id is not None:
        await agents.find(request, given.agent_id)
    try:
        job, new = await coordination(request).jobs.submit(
            given, found, by=owner, principal=registrant.stored(request[PRINCIPAL])
        )
    except TooManyError:
        detail = "You have as many jobs that have not ended as one principal may have; send again later."
        raise ProblemError(429, "too-many-jobs", detail, headers={"Retry-After": "5"}) from None
    if not new and (job.created_by != owner or job.input_data != given.input_data):
        raise ProblemError(409, "job-exists", f"Another job has the job_id {given.job_id!r}; choose another.")
    return job, new


async def jobs(request: web.Request) -> web.Response:
    query = request.query
    if (status := query.get("status")) is not None and status not in _STATUSES:
        raise ProblemError(400, "bad-query", f"status must be one of {', '.join(_STATUSES)}.")
    found = await coordination(request).jobs.listed(owner=_owner(request), status=status, task_id=query.get("task_id"))
    left_out = ("input_data", "output_data")
    listed = [{name: value for name, value in shown(each).items() if name not in left_out} for each in found]
    return answer(request, {"jobs": listed})


async def job(request: web.Request) -> web.Response:
    return answer(request, shown(await find(request, request.match_info["id"])))


async def cancel(request: web.Request) -> web.Response:
    found = await find(request, request.match_info["id"])
    now = await coordination(request).jobs.cancel(found.job_id, by=request[PRINCIPAL].name)
    if now is None:
        raise _unknown_job(found.job_id)
    if now.status != "cancelled":
        raise ProblemError(409, "job-ended", f"The job {now.job_id} is {now.status}; it can no longer be canceled.")
    return answer(request, shown(now))


def _owner(request: web.Request) -> str | None:
    """Return whose are listed; None for an administrator: everybody's."""
    owner = require_identity(request)
    return None if request.app[SERVICES].guard.is_admin(request[PRINCIPAL]) else owner


async def _own_definition(request: web.Request, task_id: str) -> Definition:
    require_identity(request)
    found = await coordination(request).jobs.definition(task_id)
    if found is None or not _is_own(request, found.created_by):
        raise ProblemError(404, "unknown-task", f"There is no task {task_id[:255]!r} of yours.")
    return found


async def find(request: web.Request, job_id: str) -> Job:
    """Return the caller's job of this id. Raises ProblemError (404)."""
    require_identity(request)
    found = await coordination(request).jobs.find(job_id)
    if found is None or not _is_own(request, found.created_by):
        raise _unknown_job(job_id)
    return found


def _is_own(request: web.Request, owner: str) -> bool:
    return acting.is_own(request, owner) or request.app[SERVICES].guard.is_admin(request[PRINCIPAL])


def _unknown_job(job_id: str) -> ProblemError:
    return ProblemError(404, "unknown-job", f"There is no job {job_id[:255]!r} of yours.")


def _definition(request: web.Request, found: Definition) -> Json:
    left_out = ("principal", "cron", "timezone", "next_run_at", "hook_id", "hook_kind")
    shown: Json = {name: getattr(found, name) for name in Definition.__slots__ if name not in left_out}
    shown |= {
        "required_capabilities": list(found.required_capabilities),
        "created_at": rfc3339(found.created_at),
        "modified_at": rfc3339(found.modified_at),
    }
    if found.next_run_at is not None:
        shown["schedule"] = {
            "cron": found.cron,
            "timezone": found.timezone,
            "next_run_at": rfc3339(found.next_run_at),
        }
    if found.hook_id is not None:
        shown["webhook"] = {"kind": found.hook_kind, "url": f"{urls.base(request)}/hooks/{found.hook_id}"}
    return shown


def shown(found: Job) -> Json:
    """Return the job as its creator reads it."""
    times = {name: getattr(found, name) for name in ("created_at", "modified_at", "started_at", "completed_at")}
    left_out = ("principal", "required_capabilities", *times)
    return {name: getattr(found, name) for name in Job.__slots__ if name not in left_out} | {
        name: rfc3339(at, digits="milliseconds") if at is not None else None for name, at in times.items()
    }
