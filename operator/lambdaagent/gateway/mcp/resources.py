"""Resources: the list of agents, their cards, and the caller's tasks. Nothing starts a pod.

A resource that is not there and one that the caller may not know of get the same error.
"""

import orjson

from lambdaagent import media_types, page_token
from lambdaagent.a2a import Json, cards
from lambdaagent.a2a.operations import Operation
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.discovery import cards as card_pages
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import answering
from lambdaagent.gateway.mcp.platform import candidates
from lambdaagent.mcp import resources
from lambdaagent.mcp.protocol import Code, McpError

_PAGE = 100  # agents
_MOST = 1_000  # agents in the resource that lists them
_FRESH = 60_000  # milliseconds


async def listed(call: McpCall) -> Json:
    call.services.directory.require_listed(call.scope.namespace or None)
    after = call.after
    found: list[Json] = [resources.LIST] if after is None and call.entry is None else []
    result: Json = {"resources": found}
    number, last = 0, None
    async for entry in call.agents(after):
        if not entry.discoverable:
            continue
        if number == _PAGE and last is not None:
            result["nextCursor"] = page_token.of_agent(last)
            break
        found.append(resources.card(*entry.key, cards.description(entry.public)))
        number, last = number + 1, entry.key
    return result | _cached(call, _FRESH)


async def templates(call: McpCall) -> Json:
    if call.after is not None:
        raise McpError(Code.INVALID_PARAMS, "params.cursor is not a cursor that this gateway issued.")
    return {"resourceTemplates": list(resources.TEMPLATES)} | _cached(call, _FRESH)


async def read(call: McpCall) -> Json:
    uri = _uri(call)
    fresh = _FRESH
    if uri == resources.AGENTS and call.entry is None:
        body = await _agents(call)
    elif (agent_id := resources.agent_of(uri)) is not None:
        body = await _card(call, agent_id, uri)
    elif (task_id := resources.task_of(uri)) is not None:
        body, fresh = await _task(call, task_id, uri), 0
    else:
        raise _unknown(call, uri)
    content = {"uri": uri, "mimeType": media_types.JSON, "text": body.decode()}
    return {"contents": [content]} | _cached(call, fresh)


async def subscribed(call: McpCall) -> Json:
    """Take the subscription of a handshake revision. Those revisions tell changes in a session's stream, and there are
    no sessions here; `subscriptions/listen` replaces it since 2026-07-28.
    """
    _uri(call)
    return {}


def _uri(call: McpCall) -> str:
    uri = call.message.params.get("uri")
    if not isinstance(uri, str) or len(uri) > resources.URI:
        raise McpError(Code.INVALID_PARAMS, f"params.uri must be a text of at most {resources.URI} characters.")
    return uri


async def _agents(call: McpCall) -> bytes:
    call.services.directory.require_listed(call.scope.namespace or None)
    found: list[Json] = []
    async for entry in call.agents():
        if len(found) == _MOST:
            return orjson.dumps({"agents": found, "more": "a2a_discover_agents lists all of them."})
        found.append(_agent(call, entry))
    return orjson.dumps({"agents": found})


def _agent(call: McpCall, entry: Entry) -> Json:
    return {
        "agent_id": entry.agent.key,
        "description": cards.description(entry.public),
        "status": "active" if entry.ready else "inactive",
        "card": resources.card_uri(*entry.key),
        "skills": [each.id for each in authorization.listed_skills(call.request, entry)],
    }


async def _card(call: McpCall, agent_id: str, uri: str) -> bytes:
    entry = await candidates.agent(call, agent_id)
    if entry is None or not entry.discoverable:
        raise _unknown(call, uri)
    return card_pages.body(call.request, entry)


async def _task(call: McpCall, task_id: str, uri: str) -> bytes:
    try:
        _, record = await answering.counted(call, task_id, Operation.GET)
    except McpError:
        raise _unknown(call, uri) from None
    return orjson.dumps(record.task)


def _unknown(call: McpCall, uri: str) -> McpError:
    """Return the error of a resource that the caller cannot read (SEP-2164, which changed its code)."""
    code = Code.INVALID_PARAMS if call.message.modern else Code.RESOURCE_NOT_FOUND
    return McpError(code, "There is no such resource.", {"uri": uri})


def _cached(call: McpCall, milliseconds: int) -> Json:
    if not call.message.modern:
        return {}
    return {"ttlMs": milliseconds, "cacheScope": "public" if call.services.guard.off and milliseconds else "private"}
