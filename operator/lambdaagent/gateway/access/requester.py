"""The requester of an operation, as the task engine knows it."""

from collections.abc import Callable
from functools import partial

from aiohttp import web

from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.operations import Operation
from lambdaagent.access import registrant
from lambdaagent.containers.turn import Origin
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import tracing
from lambdaagent.gateway.services import SERVICES
from lambdaagent.tasks.requests import Requester

ONCE = "Idempotency-Key"
_ONCE_LIMIT = 255


async def _admission(request: web.Request, entry: Entry) -> Callable[[str | None], None] | None:
    """Return the check of the called skill, which only the engine knows; None if there is nothing to check."""
    services, principal = request.app[SERVICES], request[PRINCIPAL]
    skills = None if services.guard.off else await services.guard.skills(principal, entry.rules)
    if skills is None and not entry.skill_rates:
        return None

    counted = False

    def admit(skill: str | None) -> None:
        nonlocal counted
        if skills is not None and (skill is None or skill not in skills):
            authorization.refuse_skill(request, entry, skill, allowed=skills)
        if not counted:  # a message is checked again when it is tried again
            limiting.require_skill(services, entry, principal, skill)
            counted = True

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
    return Requester(
        origin=origin(request, entry),
        idempotency_key=idempotency_key,
        admit=await _admission(request, entry),
        all_tasks=await authorization.reaches_all_tasks(request, entry, operation),
        registrant=partial(registrant.stored, request[PRINCIPAL]),
    )
