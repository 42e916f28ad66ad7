"""The arguments and results of tools whose skills have schemas of their own.

Wrong arguments are a result with `isError` that names what is wrong, so that the host's model can correct them
(SEP-1303), and reach no container. A result that does not match is shown and marked as an error, without
`structuredContent`: hosts rely on that to match the schema.
"""

from collections.abc import Sequence
from functools import partial

from lambdaagent.a2a import Json
from lambdaagent.api.base import GROUP
from lambdaagent.api.skills import Skill
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.mcp import param_headers, tools
from lambdaagent.mcp.param_headers import ParamHeader
from lambdaagent.mcp.protocol import Code, McpError
from lambdaagent.mcp.tools import ArgumentError

CONTEXT_KEY = f"{GROUP}/contextId"
"""In a call's `_meta`: the conversation that the call continues, whatever arguments the tool has."""


async def message(call: McpCall, entry: Entry, skill: Skill) -> Json:
    """Return the message of a call, in the 1.0 form. Raises McpError, and ArgumentError for wrong arguments."""
    arguments = call.message.params.get("arguments", {})
    if not isinstance(arguments, dict):
        raise McpError(Code.INVALID_PARAMS, "arguments must be an object.")
    if call.message.modern:
        values = partial(call.request.headers.getall, default=())
        param_headers.require_equal(_headers(entry, skill), arguments, values)
    if (checker := entry.checker(skill.input_schema)) is not None:
        wrong = await call.services.schema_checks.violations(checker, arguments, name="arguments")
        if wrong:
            raise ArgumentError("; ".join(wrong) + ".")
    meta = call.message.params.get("_meta")
    context = meta.get(CONTEXT_KEY) if isinstance(meta, dict) else None
    return tools.message(arguments, skill=skill, message_id=call.services.clock.new_id(), context_id=context)


def _headers(entry: Entry, skill: Skill) -> Sequence[ParamHeader]:
    key = f"mcp headers {skill.id}"
    found: Sequence[ParamHeader] | None = entry.callee.prepared.get(key)
    if found is None:
        found = entry.callee.prepared[key] = param_headers.of_schema(skill.input_schema)
    return found


async def checked(call: McpCall, entry: Entry, skill: Skill, result: Json) -> Json:
    """Return the result, marked as an error if it does not match the schema that the tool's definition shows."""
    schema = tools.shown_output(skill, modern=call.message.modern)
    checker = entry.checker(schema)
    if checker is None or result.get("isError"):
        return result
    if "structuredContent" not in result:
        return _not_matching(result, "The agent's result is not the JSON that the tool's outputSchema describes.")
    value = result["structuredContent"]
    wrong = await call.services.schema_checks.violations(checker, value, name="result")
    if not wrong:
        return result
    return _not_matching(result, f"The agent's result does not match the tool's outputSchema: {'; '.join(wrong)}.")


def _not_matching(result: Json, why: str) -> Json:
    found = {name: value for name, value in result.items() if name != "structuredContent"}
    return found | {"content": [*result["content"], {"type": "text", "text": why}], "isError": True}
