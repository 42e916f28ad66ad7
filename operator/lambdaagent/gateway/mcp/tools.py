"""Lists the skills that the caller may call as tools, after the platform's own, and finds the one that a name means.

A tool that is not there and one that the caller may not know of are alike.
"""

import orjson

from lambdaagent import page_token
from lambdaagent.a2a import Json
from lambdaagent.api.skills import Skill
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.platform import platform_tools
from lambdaagent.mcp import tools

_PAGE = 100  # tools after which a page ends, with the agent that reaches it
_FRESH = 60_000  # milliseconds
_DIGESTS = 64  # of one agent


async def listed(call: McpCall) -> Json:
    call.services.directory.require_listed(call.scope.namespace or None)
    after = call.after
    found: list[Json] = platform_tools.definitions(call) if after is None else []
    last: Key | None = None
    more = False
    async for entry in call.agents(after):
        if len(found) >= _PAGE:
            more = True
            break
        found += of_agent(call, entry)
        last = entry.key
    result: Json = {"tools": found}
    if more and last is not None:
        result["nextCursor"] = page_token.of_agent(last)
    if call.message.modern:
        result |= {"ttlMs": _FRESH, "cacheScope": "private" if not call.services.guard.off else "public"}
    return result


def of_agent(call: McpCall, entry: Entry) -> list[Json]:
    """Return the definitions of the agent's tools that the caller may call."""
    shown = sorted(authorization.listed_skills(call.request, entry), key=lambda each: each.id)
    return [tools.definition(entry.public, skill, call.scope, modern=call.message.modern) for skill in shown]


def digest(call: McpCall, entry: Entry) -> int:
    """Return a digest of `of_agent`, which is made once for all callers that may call the same skills."""
    callable_ = call.services.guard.listed_skills(call.request[PRINCIPAL], entry.rules)
    made: dict[object, int] = entry.callee.prepared.setdefault("mcp digests", {})
    key = (bool(call.scope.namespace), bool(call.scope.agent), call.message.modern, callable_)
    found = made.get(key)
    if found is None:
        if len(made) >= _DIGESTS:
            made.clear()
        found = made[key] = hash(orjson.dumps(of_agent(call, entry)))
    return found


async def find(call: McpCall, name: str) -> tuple[Entry, Skill] | None:
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
