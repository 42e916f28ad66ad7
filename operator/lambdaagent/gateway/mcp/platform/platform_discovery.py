"""The tool a2a_discover_agents: the agents that the caller may call, in pages."""

import orjson

from lambdaagent import page_token
from lambdaagent.a2a import Json, cards, well_known
from lambdaagent.api.skills import Skill
from lambdaagent.coordination.registered_agent import capability_names
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.coordination.agents import status_of
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.discovery.catalog import Filter
from lambdaagent.gateway.http import urls
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.platform.platform_calls import ToolError
from lambdaagent.mcp import tools
from lambdaagent.mcp.platform_tools import LIMIT

_SKILLS = 500  # after which a page ends, with the agent that reaches it
_DESCRIPTION = 200


async def discover(call: McpCall, given: Json) -> Json:
    namespace, status = given.get("namespace", ""), given.get("status", "active")
    call.services.directory.require_listed(namespace or call.scope.namespace or None)
    wanted = Filter(namespace or None, None, None, given.get("q", "").casefold())
    shown: list[Json] = []
    skills, last = 0, None
    found: Json = {"agents": shown}
    async for entry in call.agents(_after(given.get("cursor"))):
        if not wanted.takes(entry) or status not in ("all", status_of(entry)):
            continue
        callable_ = authorization.listed_skills(call.request, entry)
        known = {each.casefold() for skill in callable_ for each in (skill.id, *skill.tags)} | _declared(entry)
        if not all(each.casefold() in known for each in given.get("capability_filter", ())):
            continue
        if (len(shown) == given.get("limit", LIMIT) or skills >= _SKILLS) and last is not None:
            found["next_cursor"] = page_token.of_agent(last)
            break
        shown.append(_shown(call, entry, callable_))
        skills, last = skills + len(callable_), entry.key
    return {"content": [{"type": "text", "text": orjson.dumps(found).decode()}], "structuredContent": found}


def _shown(call: McpCall, entry: Entry, skills: list[Skill]) -> Json:
    return {
        "agent_id": entry.agent_id,
        "description": cards.description(entry.public)[:_DESCRIPTION],
        "status": status_of(entry),
        "card_url": urls.agent(call.request, entry) + well_known.AGENT_CARD,
        "skills": [
            {
                "id": each.id,
                "name": each.name,
                "description": each.description[:_DESCRIPTION],
                "tags": each.tags,
                "tool": tools.name_of(entry.agent, each, call.scope),
            }
            for each in skills
        ],
    }


def _declared(entry: Entry) -> set[str]:
    """Return what a registered agent says that it can do."""
    if entry.registered is None:
        return set()
    return {each.casefold() for each in capability_names(entry.registered.capabilities)}


def _after(cursor: str | None) -> Key | None:
    if not cursor:
        return None
    try:
        return page_token.agent_of(cursor)
    except ValueError:
        raise ToolError("cursor is not a next_cursor of this tool.") from None
