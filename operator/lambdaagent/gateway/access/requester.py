"""The requester of an operation, as the task engine knows it."""

from collections.abc import Callable
from functools import partial

from aiohttp import web

from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.operations import Operation
from lambdaagent.access import registrant
from lambdaagent.containers.turn import Origin
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import tracing
from lambdaagent.gateway.services import SERVICES
from lambdaagent.tasks.requests import Requester

ONCE = "Idempotency-Key"
_ONCE_LIMIT = 255


async def _admission(request: web.Request, entry: Entry) -> Callable[[str | None], None] | None:
    """Return the check of the called skill, which only the engine knows; None if the caller may call every one."""
    skills = await request.app[SERVICES].guard.skills(request[PRINCIPAL], entry.rules)
    if skills is None:
        return None

    def admit(skill: str | None) -> None:
        if skill is None or skill not in skills:
            authorization.refuse_skill(request, entry, skill, allowed=skills)

    return admit


def origin(request: web.Request, entry: Entry) -> Origin:
    """Return what the container learns of the request."""
    principal, headers = request[PRINCIPAL], request.headers
    return Origin(
        owner=principal.name,
        actors=principal.actors,
        traceparent=tracing.parent(request),
        headers=tuple(
            (name, value) for name in entry.callee.forward_headers if name in headers for value in headers.getall(name)
        ),
    )


async def requester(request: web.Request, entry: Entry, operation: Operation) -> Requester:
    """Raises A2AError for an idempotency key that is too long or not printable."""
    idempotency_key = request.headers.get(ONCE) or None
    if idempotency_key is not None and (len(idempotency_key) > _ONCE_LIMIT or not idempotency_key.isprintable()):
        raise invalid(Violation(ONCE, f"must be at most {_ONCE_LIMIT} printable characters"))
    guard = request.app[SERVICES].guard
    return Requester(
        origin=origin(request, entry),
        idempotency_key=idempotency_key,
        admit=None if guard.off else await _admission(request, entry),
        all_tasks=await authorization.reaches_all_tasks(request, entry, operation),
        registrant=partial(registrant.stored, request[PRINCIPAL]),
    )
