"""As which agent a caller acts: nobody speaks for another.

A caller is the agent of its own name (for an agent of the cluster, `agent:namespace/name`, the source may be left out),
and each agent that it registered. Where access is not checked, everybody is who they say.
"""

from aiohttp import web

from lambdaagent.access.rules import Mode
from lambdaagent.gateway.access import challenges
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination.requests import coordination
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES


def own_id(request: web.Request) -> str:
    """Return the id of the caller itself."""
    principal = request[PRINCIPAL]
    return principal.name.partition(":")[2] if principal.name.startswith("agent:") else principal.name


def is_own(request: web.Request, agent_id: str) -> bool:
    services, principal = request.app[SERVICES], request[PRINCIPAL]
    if services.guard.mode is not Mode.ENFORCE:
        return True
    if principal.anonymous:
        return False
    if agent_id in (principal.name, own_id(request)):
        return True
    known = coordination(request).registry.known(agent_id)
    return known is not None and known.created_by == principal.name


def require(request: web.Request, agent_id: str, *, field: str) -> None:
    """Raises ProblemError: 403, or 401 without a credential."""
    if is_own(request, agent_id):
        return
    principal = request[PRINCIPAL]
    if principal.anonymous:
        raise challenges.unauthorized(request)
    detail = (
        f"`{field}` is {agent_id[:64]!r}, and the credential is that of {principal.name}: act as yourself, or as an "
        "agent that you registered."
    )
    raise ProblemError(403, "foreign-sender", detail)
