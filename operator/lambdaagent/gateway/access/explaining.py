"""Explains a decision to the caller whom it concerns, or about anybody to an administrator."""

import orjson
from aiohttp import web

from lambdaagent import media_types
from lambdaagent.access import decide as rules
from lambdaagent.access import hypothetical
from lambdaagent.access.actions import Action
from lambdaagent.access.decide import Decision
from lambdaagent.access.principal import Principal
from lambdaagent.api import naming
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import caching
from lambdaagent.gateway.http.problems import ProblemError, unknown_agent
from lambdaagent.gateway.services import SERVICES

ACTIONS = (Action.INVOKE, Action.READ, Action.CANCEL, Action.PUSH, Action.CARD, Action.DISCOVER)


async def explain(request: web.Request) -> web.Response:
    """Answer with what would be decided, by which rule and why. Raises ProblemError."""
    services, query = request.app[SERVICES], request.query
    namespace, _, name = query.get("agent", "").partition("/")
    action, skill = query.get("action", Action.INVOKE), query.get("skill") or None
    if not naming.is_label(namespace, name):
        raise ProblemError(400, "bad-query", "The parameter agent must be namespace/name.")
    if action not in ACTIONS:
        raise ProblemError(400, "bad-query", f"The parameter action must be one of {', '.join(ACTIONS)}.")
    entry = await authorization.seen(request, services.directory.find(namespace, name), asked=(namespace, name))
    if entry is None:
        services.directory.require_listed(namespace)
        raise unknown_agent(namespace, name)
    asked = _asked(request, services.guard, entry)
    found = await _decided(services.guard, asked, Action(action), entry, skill)
    answer = {
        "agent": entry.agent.key,
        "caller": asked.name,
        "action": action,
        "skill": skill or "",
        "allowed": found.allowed,
        "rule": found.rule,
        "reason": found.reason,
        "mode": services.guard.mode.value,
    }
    return web.Response(body=orjson.dumps(answer), content_type=media_types.JSON, headers=caching.of_caller(request))


def _asked(request: web.Request, guard: Guard, entry: Entry) -> Principal:
    """Return whom the request asks about. Raises ProblemError (403) if that is another than the caller."""
    principal, query, state = request[PRINCIPAL], request.query, guard.state
    if not {"as", "group", "claim"} & query.keys():
        return principal
    if state is not None:
        above = rules.above_ceiling(principal, entry.agent.namespace, state.rules)
        if above is not None or not rules.is_admin(principal, state.rules):
            raise ProblemError(403, "forbidden", "Only an administrator may ask about others; leave out as.")
    try:
        return hypothetical.principal(
            query.get("as", ""),
            groups=query.getall("group", ()),
            claims=query.getall("claim", ()),
            groups_of_key=guard.groups_of_key,
        )
    except ValueError as error:
        raise ProblemError(400, "bad-query", f"The parameter as is refused: {error}.") from None


async def _decided(guard: Guard, asked: Principal, action: Action, entry: Entry, skill: str | None) -> Decision:
    """Decide as for a request. A message that names no skill means the only one, or the agent as a whole."""
    offered = list(entry.callee.skills)
    if action is Action.INVOKE and skill is None and len(offered) == 1:
        skill = offered[0]
    found = await guard.decision(asked, action, entry.rules, skill=skill)
    if not found.allowed or action is not Action.INVOKE or skill is not None:
        return found
    return rules.as_a_whole(await guard.skills(asked, entry.rules)) or found
