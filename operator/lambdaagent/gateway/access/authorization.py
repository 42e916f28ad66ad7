"""Whether the request's principal may do what it asks for, and the record of that in the audit log."""

from aiohttp import web

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.access.actions import OF_OPERATION, Action
from lambdaagent.access.decide import Decision
from lambdaagent.access.principal import Principal
from lambdaagent.access.rules import Mode
from lambdaagent.gateway.access import auditing, challenges
from lambdaagent.gateway.access.authentication import PRINCIPAL, authenticate
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES

_VERBS = {Operation.LIST: "list", Operation.CANCEL: "delete"}
_OF_TASKS = frozenset((Operation.GET, Operation.LIST, Operation.SUBSCRIBE, Operation.CANCEL))
_INVISIBLE = Decision(False, "invisible", "the caller may not know of the agent, or it does not exist")


async def seen(request: web.Request, entry: Entry | None, *, asked: Key = ("", "")) -> Entry | None:
    """Return the entry, or None if the principal may not know of it. `asked` is what the request names.

    Raises ProblemError (401) if the request has no credential, whether there is an agent or not.
    """
    guard = request.app[SERVICES].guard
    principal = await authenticate(request)
    if entry is not None and await guard.sees(principal, entry.rules):
        return entry
    if guard.off:
        return None
    namespace, name = entry.key if entry is not None else (asked[0][:63], asked[1][:63])
    refused = 401 if principal.anonymous else 404
    auditing.record(request, principal, Action.DISCOVER, _INVISIBLE, namespace=namespace, name=name, code=refused)
    if principal.anonymous and guard.mode is Mode.ENFORCE:
        raise challenges.unauthorized(request)
    return None


async def lists(request: web.Request, entry: Entry) -> bool:
    """Return whether lists show the agent to the principal."""
    guard = request.app[SERVICES].guard
    return guard.off or await guard.sees(request[PRINCIPAL], entry.rules, listed=True)


async def require(request: web.Request, entry: Entry, action: Action, *, skill: str | None = None) -> None:
    """Raises ProblemError: 403, or 401 if the request has no credential."""
    guard = request.app[SERVICES].guard
    if guard.off:
        return
    principal = request[PRINCIPAL]
    found = await guard.decision(principal, action, entry.rules, skill=skill)
    namespace, name = entry.key
    _require(request, principal, action, found, namespace=namespace, name=name, skill=skill or "")


async def require_operation(request: web.Request, entry: Entry, operation: Operation) -> None:
    """Raises A2AError (403), and ProblemError (401) if the request has no credential."""
    try:
        await require(request, entry, OF_OPERATION[operation])
    except ProblemError as error:
        if error.status != 403:
            raise
        raise A2AError(Problem.PERMISSION_DENIED, str(error)) from None


async def reaches_all_tasks(request: web.Request, entry: Entry, operation: Operation) -> bool:
    """Return whether the principal may do this with the tasks of others."""
    guard = request.app[SERVICES].guard
    if guard.off or operation not in _OF_TASKS:
        return False
    return await guard.reaches_all_tasks(request[PRINCIPAL], entry.rules, _VERBS.get(operation, "get"))


async def require_publisher(request: web.Request, namespace: str) -> None:
    """Raises ProblemError unless the principal may send events to the namespace."""
    guard = request.app[SERVICES].guard
    if guard.off:
        return
    principal = await authenticate(request)
    found = await guard.may_publish(principal, namespace)
    _require(request, principal, Action.PUBLISH, found, namespace=namespace)


def _require(
    request: web.Request,
    principal: Principal,
    action: Action,
    found: Decision,
    *,
    namespace: str,
    name: str = "",
    skill: str = "",
) -> None:
    code = 0 if found.allowed else 401 if principal.anonymous else 403
    auditing.record(request, principal, action, found, namespace=namespace, name=name, skill=skill, code=code)
    if found.allowed or request.app[SERVICES].guard.mode is Mode.AUDIT:
        return
    if principal.anonymous:
        raise challenges.unauthorized(request)
    about = f"the agent {namespace}/{name}" if name else f"in the namespace {namespace}"
    raise ProblemError(403, "forbidden", f"{principal.name} may not {action} {about}: {found.reason}.")
