"""`/a2a/register`, `/a2a/agents/{id}`, `/a2a/discover`: agents elsewhere register, stay alive and are found.

Found are all agents, those of the cluster too, by the same rights as in `/agents`. An entry is its owner's: the
principal that registered it, and administrators, change it; whoever may not know of it gets what an id that is not
there gets.
"""

from urllib.parse import quote, urlencode

from aiohttp import web

from lambdaagent import page_token
from lambdaagent.a2a import Json, cards
from lambdaagent.access.actions import Action
from lambdaagent.api import naming
from lambdaagent.clock import rfc3339
from lambdaagent.coordination import registration
from lambdaagent.coordination.registered_agent import (
    MISSED,
    IdTakenError,
    RegisteredAgent,
    TooManyAgentsError,
    capability_names,
    label_of,
)
from lambdaagent.coordination.workflow import PREFIX, RUN
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination.agent_ids import key_of
from lambdaagent.gateway.coordination.requests import answer, body, coordination, require_identity
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES

_PAGE, _MOST = 100, 1000
_STATUSES = ("active", "inactive", "suspended", "all")


async def register(request: web.Request) -> web.Response:
    owner = await require_registrar(request)
    agent, new = await registered(request, await body(request, registration.Registration), owner=owner)
    location = f"{urls.base(request)}/a2a/agents/{quote(agent.agent_id)}"
    return answer(request, record(request, agent), status=201 if new else 200, headers={"Location": location})


async def require_registrar(request: web.Request) -> str:
    """Return the owner of what the caller registers. Raises ProblemError (401, 403)."""
    namespace = request.app[SERVICES].config.registry_namespace
    await authorization.require_in_namespace(request, Action.REGISTER, namespace)
    return require_identity(request)


async def registered(
    request: web.Request, given: registration.Registration, *, owner: str
) -> tuple[RegisteredAgent, bool]:
    """Return the agent once it is registered, and whether it is new. Raises ProblemError."""
    if given.agent_id is None and given.name is None:
        raise ProblemError(400, "bad-body", "The body is refused: it needs an agent_id or a name.")
    agent_id = given.agent_id or ""
    if label_of(agent_id).startswith(PREFIX) or agent_id.startswith(RUN):
        detail = f"An agent_id begins neither with {PREFIX} nor with {RUN}: workflows and their runs are called so."
        raise ProblemError(409, "agent-id-taken", detail)
    try:
        return await coordination(request).registry.register(owner, given)
    except IdTakenError:
        detail = f"The agent_id {given.agent_id!r} belongs to another principal; choose another one, or none."
        raise ProblemError(409, "agent-id-taken", detail) from None
    except TooManyAgentsError:
        detail = "You have registered as many agents as one principal may; delete those that are not needed."
        raise ProblemError(403, "too-many-agents", detail) from None


async def get(request: web.Request) -> web.Response:
    entry = await find(request, request.match_info["id"])
    if entry.registered is None or entry.is_workflow:
        return answer(request, listed(request, entry))
    agent = await coordination(request).registry.find(entry.agent_id)  # its load and heartbeat are not in the directory
    if agent is None:
        raise unknown(entry.agent_id)
    return answer(request, record(request, agent))


async def change(request: web.Request) -> web.Response:
    entry = await own(request, request.match_info["id"])
    given = await body(request, registration.Change)
    changed = await coordination(request).registry.change(entry.agent_id, request[PRINCIPAL].name, given)
    if changed is None:
        raise unknown(entry.agent_id)
    return answer(request, record(request, changed))


async def delete(request: web.Request) -> web.Response:
    entry = await own(request, request.match_info["id"])
    if not await coordination(request).registry.delete(entry.agent_id, request[PRINCIPAL].name):
        raise unknown(entry.agent_id)
    return web.Response(status=204)


async def heartbeat(request: web.Request) -> web.Response:
    entry = await own(request, request.match_info["id"])
    given = await body(request, registration.Heartbeat) if request.can_read_body else registration.Heartbeat()
    return answer(request, await beaten(request, entry, given))


async def beaten(request: web.Request, entry: Entry, given: registration.Heartbeat) -> Json:
    """Take a heartbeat of an own agent, and return until when it counts as active. Raises ProblemError."""
    agent = await coordination(request).registry.beat(entry.agent_id, given)
    if agent is None:
        raise unknown(entry.agent_id)
    seconds = agent.ttl_seconds
    due = rfc3339(agent.last_heartbeat + MISSED * seconds)
    return {"agent_id": agent.agent_id, "status": agent.status, "ttl_seconds": seconds, "expires_at": due}


async def discover(request: web.Request) -> web.Response:
    """Return a list of agents; `Link` has the next page (RFC 8288)."""
    query: dict[str, str] = dict(request.query)
    if request.method == "POST" and request.can_read_body:
        given = await body(request, registration.Query)
        query |= {name: str(value) for name, value in given.model_dump(exclude_none=True).items()}
    if (status := query.get("status", "active")) not in _STATUSES:
        raise ProblemError(400, "bad-query", f"status must be one of {', '.join(_STATUSES)}.")
    size = _size(query.get("limit"))
    try:
        after = page_token.agent_of(query["cursor"]) if query.get("cursor") else None
    except ValueError:
        raise ProblemError(400, "bad-page", "cursor is not one that this gateway issued.") from None
    request.app[SERVICES].directory.require_listed(query.get("namespace"))
    found: list[Json] = []
    headers: dict[str, str] = {}
    last = None
    wanted = Wanted.of(query, status)
    async for entry in authorization.listed(request, wanted.takes, after=after):
        if len(found) == size and last is not None:
            following = urlencode(query | {"cursor": page_token.of_agent(last)})
            headers["Link"] = f'<{urls.base(request)}/a2a/discover?{following}>; rel="next"'
            break
        found.append(listed(request, entry))
        last = entry.key
    return answer(request, found, headers=headers)


class Wanted:
    """What a search for agents asks for; all of it must hold."""

    def __init__(self, *, capability: str, skill: str, tag: str, q: str, namespace: str, status: str) -> None:
        self.capability, self.skill, self.tag, self.q = capability, skill, tag, q.casefold()
        self.namespace, self.status = namespace, status

    @classmethod
    def of(cls, query: dict[str, str], status: str) -> "Wanted":
        names = ("capability", "skill", "tag", "q", "namespace")
        return cls(**{name: query.get(name, "") for name in names}, status=status)

    def takes(self, entry: Entry) -> bool:
        if not entry.discoverable or not entry.enabled or (self.namespace and entry.key[0] != self.namespace):
            return False
        if self.status not in ("all", status_of(entry)):
            return False
        skills = entry.public.spec.a2a.skills if entry.public.spec.a2a is not None else []
        if self.skill and not any(self.skill in (each.id, each.name) for each in skills):
            return False
        if self.tag and not any(self.tag in each.tags for each in skills):
            return False
        if self.capability and self.capability not in capabilities_of(entry):
            return False
        if not self.q:
            return True
        texts = [entry.agent_id, cards.description(entry.public)]
        texts += [text for each in skills for text in (each.id, each.name, each.description, *each.tags)]
        return any(self.q in text.casefold() for text in texts)


def capabilities_of(entry: Entry) -> frozenset[str]:
    """Return the names by which an agent's capabilities are asked for: its skills, their tags, and what it declared."""
    skills = entry.public.spec.a2a.skills if entry.public.spec.a2a is not None else []
    own = frozenset(name for each in skills for name in (each.id, *each.tags))
    return own | (capability_names(entry.registered.capabilities) if entry.registered is not None else frozenset())


def status_of(entry: Entry) -> str:
    """An agent of the cluster is active if it can be called: asleep is active."""
    if entry.registered is not None:
        return entry.registered.status
    return "active" if entry.ready else "inactive"


def listed(request: web.Request, entry: Entry) -> Json:
    skills = authorization.listed_skills(request, entry)
    registered = entry.registered
    return {
        "agent_id": entry.agent_id,
        "name": registered.name if registered is not None else entry.agent.name,
        "description": cards.description(entry.public),
        "status": status_of(entry),
        "endpoint_url": urls.endpoint(request, entry),
        "capabilities": registered.capabilities
        if registered is not None
        else [
            {
                "name": each.id,
                "description": each.description or each.name,
                "input_schema": each.input_schema or {},
                "output_schema": each.output_schema or {},
            }
            for each in skills
        ],
        "protocols": _protocols(entry),
    }


def _protocols(entry: Entry) -> list[str]:
    if entry.registered is not None and entry.registered.protocol not in ("a2a", "mcp"):
        return [entry.registered.protocol]
    return [f"a2a/{version.value}" for version in entry.offered]


def record(request: web.Request, agent: RegisteredAgent) -> Json:
    """Return the whole entry, for its owner and for those who may know of it."""
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "description": agent.description,
        "version": agent.version,
        "endpoint_url": agent.endpoint_url,
        "protocol": agent.protocol,
        "capabilities": agent.capabilities,
        "status": agent.status,
        "owner": agent.created_by,
        "access": agent.access,
        "metadata": agent.metadata,
        "ttl_seconds": agent.ttl_seconds,
        "load": agent.load,
        "last_heartbeat": rfc3339(agent.last_heartbeat),
        "created_at": rfc3339(agent.created_at),
        "modified_at": rfc3339(agent.modified_at),
        "card": {"fetched": bool(agent.agent_card), "problem": agent.card_problem},
        "namespace": request.app[SERVICES].config.registry_namespace,
        "label": agent.label,
    }


def unknown(agent_id: str) -> ProblemError:
    return ProblemError(
        404, "unknown-agent", f"There is no agent {agent_id[:255]!r}; GET /a2a/discover lists the agents."
    )


async def find(request: web.Request, agent_id: str) -> Entry:
    """Return the agent of this id. Raises ProblemError (404, 401)."""
    namespace, name = key_of(agent_id, registry=request.app[SERVICES].config.registry_namespace)
    entry = await authorization.find(request, namespace, name) if naming.is_label(namespace, name) else None
    if entry is None or not entry.enabled or entry.agent_id != agent_id:
        raise unknown(agent_id)
    return entry


async def own(request: web.Request, agent_id: str) -> Entry:
    """Return the registered agent of this id. Raises ProblemError: 403 if it is of another owner."""
    entry = await find(request, agent_id)
    if entry.registered is None:
        detail = f"The agent {entry.agent_id} is a resource of the cluster: change it there."
        raise ProblemError(409, "not-registered", detail)
    if entry.is_workflow:
        detail = f"The agent {entry.agent_id} is a workflow: change it at /a2a/workflows."
        raise ProblemError(409, "not-registered", detail)
    principal = request[PRINCIPAL]
    if principal.name != entry.registered.created_by and not request.app[SERVICES].guard.is_admin(principal):
        raise ProblemError(403, "foreign-agent", f"The agent {entry.agent_id} belongs to another principal.")
    return entry


def _size(given: str | None) -> int:
    if given is None:
        return _PAGE
    if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= _MOST):
        raise ProblemError(400, "bad-page", f"limit must be a number from 1 to {_MOST}.")
    return int(given)
