"""The tools that have an agent do something: a2a_execute_task, a2a_message and ask."""

from collections.abc import Sequence

from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.api.skills import Skill
from lambdaagent.gateway.coordination import carriers
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.platform import candidates, platform_calls, platform_coordination
from lambdaagent.gateway.mcp.platform.platform_calls import Order, ToolError, no_agent
from lambdaagent.mcp import selection, tools
from lambdaagent.mcp.platform_tools import ASK, EXECUTE, MESSAGE
from lambdaagent.mcp.selection import Candidate, Match, Question, Type

_SHOWN = 10  # candidates
_DESCRIPTION = 200


async def execute(call: McpCall, given: Json) -> Json | web.StreamResponse:
    type_ = given["task_type"]
    matches, _ = await candidates.matching(call, Type(type_), agent_id=given.get("agent_id", ""))
    if not matches:
        raise ToolError(
            f"No agent that you may call has a skill with the id or tag {type_[:256]!r}; see a2a_discover_agents."
        )
    if given.get("strategy", "auto") == "first":
        chosen, how = matches[0], "it is the first of them by name"
    else:
        running = call.services.tasks.running({each.candidate.key for each in matches})
        chosen, how = selection.least_busy(matches, running), "it has the fewest tasks at this gateway"
    reason = f"Chosen because {chosen.why}" + (f"; {len(matches)} match, and {how}." if len(matches) > 1 else ".")
    entry, skill = await _called(call, chosen.candidate)
    order = Order(EXECUTE, given["input_data"], reason, given.get("context_id", ""), given.get("priority"))
    do = platform_calls.answered if given.get("wait", True) else platform_calls.begun
    return await do(call, entry, skill, order)


async def message(call: McpCall, given: Json) -> Json | web.StreamResponse:
    entry = await candidates.agent(call, given["agent_id"])
    if entry is None:
        raise no_agent(given["agent_id"])
    if carriers.via_of(entry) in ("http", "mailbox"):
        return await platform_coordination.to_mailbox(call, entry, given)
    order = Order(MESSAGE, given["content"], context_id=given.get("session_id", ""))
    do = platform_calls.answered if given["message_type"] == "request" else platform_calls.begun
    return await do(call, entry, None, order)


async def ask(call: McpCall, given: Json) -> Json | web.StreamResponse:
    query, agent_id = given["query"], given.get("agent", "")
    matches, some = await candidates.matching(
        call, Question(query), agent_id=agent_id, namespace=given.get("namespace", "")
    )
    best = selection.best(matches)
    if agent_id and len(some) == 1:
        best = [Match(some[0], 0, "it is the only skill of the agent")]
    if not best:
        shown = [Match(each, 0, "nothing of the question is in its texts") for each in some]
        raise_none = "No skill that you may call fits the question; name the agent, or rephrase it."
        return _choice(call, shown, raise_none, error=True)
    if len(best) > 1:
        return _choice(call, best, f"{len(best)} skills fit equally well; ask again with agent, or call one's tool.")
    chosen = best[0]
    entry, skill = await _called(call, chosen.candidate)
    data: Json = {"text": query}
    checker = entry.checker(skill.input_schema)
    if checker is not None and await call.services.schema_checks.violations(checker, data, name="arguments"):
        return _choice(call, best, "The skill that fits takes arguments of its own; call its tool with them.")
    order = Order(ASK, data, f"Chosen because {chosen.why}.", given.get("context_id", ""))
    return await platform_calls.answered(call, entry, skill, order)


async def _called(call: McpCall, chosen: Candidate) -> tuple[Entry, Skill]:
    """Return the chosen agent and skill as they are now: other requests had their turns since."""
    entry = await candidates.agent(call, f"{chosen.namespace}/{chosen.agent}")
    skill = entry.callee.skills.get(chosen.skill) if entry is not None else None
    if entry is None or skill is None:
        raise no_agent(f"{chosen.namespace}/{chosen.agent}")
    return entry, skill


def _choice(call: McpCall, matches: Sequence[Match], text: str, *, error: bool = False) -> Json:
    """Return skills to choose from, in place of an answer."""
    shown = [_shown(call, each) for each in matches[:_SHOWN]]
    lines = [f"- {each['tool']} ({each['agent_id']}): {each['description']} ({each['reason']})" for each in shown]
    found: Json = {
        "content": [{"type": "text", "text": "\n".join([text, *lines])}],
        "structuredContent": {"answered": False, "reason": text, "candidates": shown},
    }
    return found | ({"isError": True} if error else {})


def _shown(call: McpCall, match: Match) -> Json:
    each = match.candidate
    return {
        "agent_id": f"{each.namespace}/{each.agent}",
        "skill_id": each.skill,
        "tool": tools.name_for(each.namespace, each.agent, each.skill, call.scope),
        "description": (each.description or each.name)[:_DESCRIPTION],
        "reason": match.why,
        "score": match.score,
    }
