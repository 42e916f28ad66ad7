"""Whether the request's principal may do what it asks for, and the record of that in the audit log."""

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.access.actions import OF_OPERATION, Action
from lambdaagent.access.decide import Decision
from lambdaagent.access.principal import GATEWAY, Principal
from lambdaagent.access.rules import AgentRules, Mode
from lambdaagent.api import naming
from lambdaagent.api.skills import Skill
from lambdaagent.gateway.access import auditing, challenges
from lambdaagent.gateway.access.authentication import PRINCIPAL, authenticate, credential
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES
from lambdaagent.identity.errors import CredentialError, IdentityUnavailableError

_VERBS = {Operation.LIST: "list", Operation.CANCEL: "delete"}
_OF_TASKS = frozenset((Operation.GET, Operation.LIST, Operation.SUBSCRIBE, Operation.CANCEL))
_INVISIBLE = Decision(False, "invisible", "the caller may not know of the agent, or it does not exist")


async def seen(request: web.Request, entry: Entry | None, *, asked: Key = ("", "")) -> Entry | None:
    """Return the entry, or None if the principal may not know of it. `asked` is what the request names.

    Raises ProblemError (401) if the request has no credential, whether there is an agent or not.
    """
    guard = request.app[SERVICES].guard
    principal = await authenticate(request)
    namespace, name = entry.key if entry is not None else (asked[0][:63], asked[1][:63])
    # The cluster is asked about an agent that is not there too: the time of the response tells nothing.
    rules = entry.rules if entry is not None else AgentRules(namespace, name)
    sees = (entry is not None or naming.is_label(namespace, name)) and await guard.sees(principal, rules)
    if sees and entry is not None:
        return entry
    if guard.off:
        return None
    refused = 401 if principal.anonymous else 404
    auditing.record(request, principal, Action.DISCOVER, _INVISIBLE, namespace=namespace, name=name, code=refused)
    if principal.anonymous and guard.mode is Mode.ENFORCE:
        raise challenges.unauthorized(request)
    return None


async def lists(request: web.Request, entry: Entry) -> bool:
    """Return whether lists show the agent to the principal."""
    guard = request.app[SERVICES].guard
    return guard.off or await guard.sees(request[PRINCIPAL], entry.rules, listed=True)


async def listed(
    request: web.Request, wanted: Callable[[Entry], bool], *, after: Key | None = None
) -> AsyncIterator[Entry]:
    """Yield the wanted agents that lists show to the principal, in the directory's order."""
    async for entry in request.app[SERVICES].directory.each(after):
        if wanted(entry) and await lists(request, entry):
            yield entry


def listed_skills(request: web.Request, entry: Entry) -> list[Skill]:
    """Return the public skills of a listed agent that lists show to the principal."""
    callable_ = request.app[SERVICES].guard.listed_skills(request[PRINCIPAL], entry.rules)
    a2a = entry.public.spec.a2a
    return [each for each in (a2a.skills if a2a is not None else []) if callable_ is None or each.id in callable_]


async def find(request: web.Request, namespace: str, name: str) -> Entry | None:
    """Return the agent; None if there is none that the principal may know of. Raises ProblemError (401), and
    NotListedError while there may be one: after the check, which is the same whether there is one or not.
    """
    directory = request.app[SERVICES].directory
    entry = await seen(request, directory.find(namespace, name), asked=(namespace, name))
    if entry is None:
        directory.require_listed(namespace)
    return entry


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
    await require_method(request, entry, OF_OPERATION[operation])


async def require_method(request: web.Request, entry: Entry, action: Action) -> None:
    """Raises A2AError (403), and ProblemError (401) if the request has no credential."""
    try:
        await require(request, entry, action)
    except ProblemError as error:
        if error.status != 403:
            raise
        raise A2AError(Problem.PERMISSION_DENIED, str(error)) from None


def known(request: web.Request) -> Callable[[], Awaitable[bool]] | None:
    """Return the check whether the request's credential is still that of its principal; None where none is checked.

    In a sidecar, a caller of the gateway has no credential: the gateway checks it, and ends its own request.
    """
    guard = request.app[SERVICES].guard
    principal = request[PRINCIPAL]
    if guard.mode is not Mode.ENFORCE or principal.source == GATEWAY:
        return None

    async def check() -> bool:
        try:
            return await guard.principal(credential(request)) == principal
        except CredentialError:
            return False
        except IdentityUnavailableError:
            return True  # nobody says that it was withdrawn

    return check


def standing(
    request: web.Request, entry: Entry, operation: Operation, *, all_tasks: bool = False
) -> Callable[[], Awaitable[bool]] | None:
    """Return the check whether the principal may still do what a stream was begun for, by the rules of now.

    `all_tasks` is whether it may follow the tasks of others: the stream may be of such a task.
    """
    still_known = known(request)
    if still_known is None:
        return None
    services, principal, action = request.app[SERVICES], request[PRINCIPAL], OF_OPERATION[operation]

    async def check() -> bool:
        now = services.directory.find(*entry.key)
        if now is None or not await still_known():
            return False
        if all_tasks and not await reaches_all_tasks(request, now, operation):
            return False
        found = await services.guard.decision(principal, action, now.rules)
        if not found.allowed:
            namespace, name = entry.key
            auditing.record(request, principal, action, found, namespace=namespace, name=name, code=403)
        return found.allowed

    return check


def refuse_skill(request: web.Request, entry: Entry, skill: str | None, *, allowed: frozenset[str]) -> None:
    """Record the refusal of a skill. Raises A2AError (403) in mode `enforce`."""
    asked = f"the skill {skill!r}" if skill is not None else "the agent without naming a skill"
    reason = f"no grant allows to call {asked}"
    namespace, name = entry.key
    auditing.record(
        request,
        request[PRINCIPAL],
        Action.INVOKE,
        Decision(False, "skills", reason),
        namespace=namespace,
        name=name,
        skill=skill or "",
        code=403,
    )
    if request.app[SERVICES].guard.mode is Mode.ENFORCE:
        known = ", ".join(sorted(allowed)) or "none"
        text = f"{reason}; metadata.skillId may name one of these: {known}."
        raise A2AError(Problem.PERMISSION_DENIED, text[:1].upper() + text[1:])


async def require_all_skills(request: web.Request, entry: Entry) -> None:
    """Raises ProblemError (403) unless the principal may call the agent as a whole."""
    allowed = await request.app[SERVICES].guard.skills(request[PRINCIPAL], entry.rules)
    if allowed is None:
        return
    try:
        refuse_skill(request, entry, None, allowed=allowed)
    except A2AError as error:
        raise ProblemError(403, "forbidden", str(error)) from None


async def reaches_all_tasks(request: web.Request, entry: Entry, operation: Operation) -> bool:
    """Return whether the principal may do this with the tasks of others."""
    guard = request.app[SERVICES].guard
    if guard.off or operation not in _OF_TASKS:
        return False
    return await guard.reaches_all_tasks(request[PRINCIPAL], entry.rules, _VERBS.get(operation, "get"))


async def require_in_namespace(request: web.Request, action: Action, namespace: str) -> None:
    """Raises ProblemError unless the principal may send events to the namespace, or register agents there."""
    guard = request.app[SERVICES].guard
    if guard.off:
        return
    principal = await authenticate(request)
    found = await guard.in_namespace(principal, action, namespace)
    _require(request, principal, action, found, namespace=namespace)


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
