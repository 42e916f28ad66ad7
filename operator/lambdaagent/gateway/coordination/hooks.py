"""`/hooks/{id}`: webhooks of GitHub, Slack and others start jobs.

The id is unguessable and the body signed with the hook's own secret, so the request needs no other credential. The job
is that of the task's creator.
"""

from hashlib import sha256

from aiohttp import web

from lambdaagent.coordination import hook
from lambdaagent.coordination.bodies import BadBodyError, read
from lambdaagent.coordination.hook import BadSignatureError
from lambdaagent.coordination.job import NewJob
from lambdaagent.coordination.message import derived_id
from lambdaagent.coordination.refusals import TooManyError
from lambdaagent.gateway.access import limiting
from lambdaagent.gateway.coordination.requests import LARGEST, answer, coordination
from lambdaagent.gateway.http import bodies
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES
from lambdaagent.json_schema.checker import Checker


async def serve(request: web.Request) -> web.Response:
    """Start a job: 202 once it is durable. A repetition of a delivery is the same job."""
    services, jobs = request.app[SERVICES], coordination(request).jobs
    limiting.require_peer(services, request)
    found = await jobs.hooked(request.match_info["id"])
    if found is None:
        raise ProblemError(404, "unknown-hook", "There is no such webhook.")
    definition, secret = found
    body = await bodies.whole(request)
    if len(body) > LARGEST:
        raise ProblemError(413, "body-too-large", f"The body has {len(body)} bytes of at most {LARGEST}.")
    try:
        delivery = hook.read(definition.hook_kind, secret, request.headers, body, now=services.clock.now())
        given = read(
            NewJob,
            {
                "task_id": definition.task_id,
                "input_data": delivery.input_data,
            },
        )
    except BadSignatureError as error:
        raise ProblemError(401, "bad-signature", f"The request is refused: {error}.") from None
    except BadBodyError as error:
        raise ProblemError(400, "bad-body", f"The body is refused: {error}.") from None
    if delivery.challenge is not None:
        return answer(request, {"challenge": delivery.challenge})
    if definition.input_schema:
        checker = Checker(definition.input_schema)
        if wrong := await services.schema_checks.violations(checker, given.input_data, name="input_data"):
            raise ProblemError(422, "unfit-input", f"The input does not fit the task's schema: {'; '.join(wrong)}.")
    try:
        job, new = await jobs.submit(
            given,
            definition,
            by=definition.created_by,
            principal=definition.principal,
            job_id=_job_id(definition.task_id, delivery.id) if delivery.id else "",
        )
    except TooManyError:
        detail = "The task's creator has too many jobs that have not ended; send again later."
        raise ProblemError(429, "too-many-jobs", detail, headers={"Retry-After": "60"}) from None
    return answer(request, {"job_id": job.job_id, "status": job.status}, status=202 if new else 200)


def _job_id(task_id: str, delivery_id: str) -> str:
    """Return the id of the delivery's job: a repetition finds it, and no caller can have taken it."""
    return derived_id("hook", sha256(f"{task_id} {delivery_id}".encode()).hexdigest())
