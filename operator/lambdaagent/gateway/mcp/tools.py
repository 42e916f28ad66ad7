"""Lists the skills that the caller may call as tools, after the platform's own tools, and calls them.

A tool that is not there and one that the caller may not know of get the same error. A call is a message to the agent,
so it has a task, which belongs to the caller like any other.
"""

from lambdaagent import page_token
from lambdaagent.a2a import Json, params
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.api.skills import Skill
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.mcp import platform_tools, schemas
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.mcp import results, tools
from lambdaagent.mcp.protocol import Code, McpError
from lambdaagent.mcp.tools import ArgumentError

_PAGE = 100  # tools after which a page ends, with the agent that reaches it
_FRESH = 60_000  # milliseconds


async def listed(call: McpCall) -> Json:
    call.services.directory.require_listed(call.scope.namespace or None)
    after = _after(call)
    found: list[Json] = platform_tools.definitions(call) if after is None else []
    last: Key | None = None
    more = False
    async for entry in call.agents(after):
        if len(found) >= _PAGE:
            more = True
            break
        callable_ = call.services.guard.listed_skills(call.request[PRINCIPAL], entry.rules)
        skills = sorted(tools.skills(entry.public), key=lambda each: each.id)
        shown = [each for each in skills if callable_ is None or each.id in callable_]
        found += (tools.definition(entry.public, skill, call.scope, modern=call.message.modern) for skill in shown)
        last = entry.key
    result: Json = {"tools": found}
    if more and last is not None:
        result["nextCursor"] = page_token.encode("/".join(last))
    if call.message.modern:
        result |= {"ttlMs": _FRESH, "cacheScope": "private" if not call.services.guard.off else "public"}
    return result


def _after(call: McpCall) -> Key | None:
    cursor = call.message.params.get("cursor")
    if cursor is None:
        return None
    try:
        namespace, name = page_token.decode(cursor).split("/")
    except (ValueError, TypeError):
        raise McpError(Code.INVALID_PARAMS, "params.cursor is not a cursor that this gateway issued.") from None
    return namespace, name


async def called(call: McpCall) -> Json:
    name = call.message.params.get("name")
    if not isinstance(name, str):
        raise McpError(Code.INVALID_PARAMS, "params.name must be a text.")
    if (own := platform_tools.find(call, name)) is not None:
        return await own.called(call)
    found = await _find(call, name)
    if found is None:
        raise McpError(Code.INVALID_PARAMS, f"There is no tool {name[:128]!r}.")
    entry, skill = found
    if call.entry is None:  # below an agent, the request is counted already
        limiting.require_agent(call.services, entry, call.request[PRINCIPAL])
    try:
        await authorization.require_operation(call.request, entry, Operation.SEND)
        if not entry.ready:
            return _error(f"The agent {entry.agent.key} cannot be called: {entry.why_not}.")
        client = await requester(call.request, entry, Operation.SEND)
        if client.admit is not None:  # before the arguments: what is wrong with them tells of the schema
            client.admit(skill.id)
        message = await schemas.message(call, entry, skill)
        task = await call.services.tasks.send(entry.callee, params.send({"message": message}), client=client)
    except A2AError as error:
        if error.problem is Problem.PERMISSION_DENIED:
            raise McpError(Code.FORBIDDEN, str(error)) from None
        return _error(str(error))
    except ArgumentError as error:
        return _error(str(error))
    except TemporaryError as error:
        return _error(f"The agent cannot be called now: {error}.")
    return await schemas.checked(call, entry, skill, results.of_task(task, any_data=call.message.modern))


async def _find(call: McpCall, name: str) -> tuple[Entry, Skill] | None:
    """Return the tool's agent and skill; None if there is none that the caller may know of."""
    place = tools.place(name, call.scope)
    entry = call.entry or call.services.directory.find(*place)
    if entry is None and not place[1] and tools.is_cut(name):
        entry = await _search(call, name)
    if call.entry is None:
        entry = await authorization.seen(call.request, entry, asked=place)
    if entry is None:
        call.services.directory.require_listed(place[0] or None)
        return None
    if not entry.enabled:
        return None
    skill = tools.find(entry.agent, name, call.scope)
    return (entry, skill) if skill is not None else None


async def _search(call: McpCall, name: str) -> Entry | None:
    """Return the agent that a name of which only the digest tells it means."""
    async for entry in call.services.directory.each():
        if call.covers(entry) and tools.find(entry.agent, name, call.scope) is not None:
            return entry
    return None


def _error(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}], "isError": True}
