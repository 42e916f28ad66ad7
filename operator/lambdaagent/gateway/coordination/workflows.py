"""`/a2a/workflows` and `/a2a/runs`: definitions of workflows, and their runs.

A workflow is its creator's, and others see and run it as its access says, like an agent. A run is its creator's alone.
"""

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from lambdaagent.a2a import Json
from lambdaagent.access import registrant
from lambdaagent.access.actions import Action
from lambdaagent.clock import rfc3339
from lambdaagent.coordination import workflow as models
from lambdaagent.coordination.refusals import IdInUseError, TooManyError
from lambdaagent.coordination.registration import Access
from lambdaagent.coordination.workflow import BadWorkflowError, NewRun, Run, Workflow, fault_at
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination import acting
from lambdaagent.gateway.coordination.requests import answer, body, coordination, require_identity
from lambdaagent.gateway.coordination.workflow_entries import SKILL
from lambdaagent.gateway.coordination.workflow_starts import UnfitInputError
from lambdaagent.gateway.http import bodies, urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES

_STATUSES = ("pending", "running", "completed", "faulted", "cancelled")
_MOST = 1_000


async def define(request: web.Request) -> web.Response:
    owner = require_identity(request)
    text = await bodies.whole(request)
    try:
        made, new = await coordination(request).workflows.define(text, by=owner, access=_access)
    except BadWorkflowError as error:
        detail = f"The workflow is refused: {error}."
        raise ProblemError(400, "bad-workflow", detail, members={"errors": error.faults}) from None
    except IdInUseError as error:
        detail = f"The workflow {str(error)!r} belongs to another principal; choose another document.name."
        raise ProblemError(409, "workflow-exists", detail) from None
    except TooManyError:
        detail = "You have as many workflows as one principal may; delete those that are not needed."
        raise ProblemError(403, "too-many-workflows", detail) from None
    headers = {"Location": f"{urls.base(request)}/a2a/workflows/{made.name}"}
    return answer(request, _workflow(request, made), status=201 if new else 200, headers=headers)


async def workflows(request: web.Request) -> web.Response:
    service, found, last = coordination(request).workflows, [], ""
    while page := await service.workflows(after=last, limit=service.limits.page):
        last = page[-1].name
        found += [each for each in page if await _sees(request, each)]
        if len(found) >= _MOST:
            break
    return answer(request, {"workflows": [_summary(request, each) for each in found]})


async def workflow(request: web.Request) -> web.Response:
    return answer(request, _workflow(request, await _find(request)))


async def undefine(request: web.Request) -> web.Response:
    require_identity(request)
    found = await _find(request)
    if not _is_own(request, found.created_by):
        raise ProblemError(403, "foreign-workflow", f"The workflow {found.name} belongs to another principal.")
    await coordination(request).workflows.undefine(found.name, by=request[PRINCIPAL].name)
    return web.Response(status=204)


async def start(request: web.Request) -> web.Response:
    """Accept a run: 202 once it is durable."""
    found = await _find(request)
    owner = require_identity(request)
    given = await body(request, NewRun) if request.can_read_body else NewRun()
    entry = request.app[SERVICES].directory.find(request.app[SERVICES].config.registry_namespace, found.agent_name)
    if entry is None:
        raise _unknown(found.name)
    await authorization.require(request, entry, Action.INVOKE, skill=SKILL)
    run, new = await _started(request, found, given, owner=owner)
    headers = {"Location": f"{urls.base(request)}/a2a/runs/{run.run_id}"}
    return answer(request, _run(run), status=202 if new else 200, headers=headers)


async def runs(request: web.Request) -> web.Response:
    """Return the caller's newest runs; an administrator sees everybody's."""
    owner = require_identity(request)
    found = await _find(request)
    if (status := request.query.get("status")) is not None and status not in _STATUSES:
        raise ProblemError(400, "bad-query", f"status must be one of {', '.join(_STATUSES)}.")
    whose = None if request.app[SERVICES].guard.is_admin(request[PRINCIPAL]) else owner
    listed = await coordination(request).workflows.runs(found.name, owner=whose, status=status)
    return answer(request, {"runs": [_run(each) for each in listed]})


async def run(request: web.Request) -> web.Response:
    return answer(request, _run(await _own_run(request)))


async def cancel(request: web.Request) -> web.Response:
    found = await _own_run(request)
    done = await coordination(request).workflows.cancel(found.run_id, by=request[PRINCIPAL].name)
    if done is None:
        raise _unknown_run(found.run_id)
    now, _ = done
    if now.status != "cancelled":
        raise ProblemError(409, "run-ended", f"The run {now.run_id} is {now.status}; it can no longer be canceled.")
    return answer(request, _run(now))


async def _started(request: web.Request, found: Workflow, given: NewRun, *, owner: str) -> tuple[Run, bool]:
    principal = registrant.stored(request[PRINCIPAL])
    try:
        run, new = await coordination(request).starts.start(
            found, given.input, by=owner, principal=principal, run_id=given.run_id or ""
        )
    except UnfitInputError as error:
        raise ProblemError(422, "unfit-input", f"The run is refused: {error}.") from None
    except TooManyError:
        detail = "You have as many runs that have not ended as one principal may have; start it again later."
        raise ProblemError(429, "too-many-runs", detail, headers={"Retry-After": "5"}) from None
    if not new and (run.created_by != owner or run.workflow != found.name or run.input != given.input):
        raise ProblemError(409, "run-exists", f"Another run has the run_id {given.run_id!r}; choose another.")
    return run, new


def _access(metadata: Json) -> Json:
    """Return `document.metadata.access` as it is stored. Raises BadWorkflowError."""
    given = metadata.get("access")
    if given is None:
        return {}
    path = ("document", "metadata", "access")
    try:
        return Access.model_validate(given).model_dump(by_alias=True, exclude_none=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        text = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise BadWorkflowError([fault_at(path, 1, "/document/metadata/access", text)]) from None


async def _sees(request: web.Request, found: Workflow) -> bool:
    services = request.app[SERVICES]
    entry = services.directory.find(services.config.registry_namespace, found.agent_name)
    return entry is not None and await authorization.lists(request, entry)


async def _find(request: web.Request) -> Workflow:
    """Return the workflow of the path, if the caller may know of it. Raises ProblemError (404, 401)."""
    name, namespace = request.match_info["name"], request.app[SERVICES].config.registry_namespace
    entry = await authorization.seen(
        request,
        request.app[SERVICES].directory.find(namespace, models.PREFIX + name),
        asked=(namespace, models.PREFIX + name),
    )
    found = await coordination(request).workflows.workflow(name) if entry is not None else None
    if found is None:
        raise _unknown(name)
    return found


async def _own_run(request: web.Request) -> Run:
    require_identity(request)
    run_id = request.match_info["id"]
    found = await coordination(request).workflows.run(run_id)
    if found is None or not _is_own(request, found.created_by):
        raise _unknown_run(run_id)
    return found


def _is_own(request: web.Request, owner: str) -> bool:
    return acting.is_own(request, owner) or request.app[SERVICES].guard.is_admin(request[PRINCIPAL])


def _unknown(name: str) -> ProblemError:
    return ProblemError(404, "unknown-workflow", f"There is no workflow {name[:63]!r} that you may run.")


def _unknown_run(run_id: str) -> ProblemError:
    return ProblemError(404, "unknown-run", f"There is no run {run_id[:255]!r} of yours.")


def _summary(request: web.Request, found: Workflow) -> Json:
    agent = f"{request.app[SERVICES].config.registry_namespace}/{found.agent_name}"
    return {
        "name": found.name,
        "version": found.version,
        "title": found.title,
        "summary": found.summary,
        "agent_id": found.agent_name,
        "agent_url": f"{urls.base(request)}/agents/{agent}",
        "created_by": found.created_by,
        "created_at": rfc3339(found.created_at),
        "modified_at": rfc3339(found.modified_at),
    }


def _workflow(request: web.Request, found: Workflow) -> Json:
    return _summary(request, found) | {"access": found.access, "document": found.document}


def _run(found: Run) -> Any:
    times = {name: getattr(found, name) for name in ("created_at", "modified_at", "started_at", "completed_at")}
    return models.shown(
        found, {name: rfc3339(at, digits="milliseconds") if at is not None else None for name, at in times.items()}
    )
