"""Completes the arguments of resource templates with the namespaces and agents that the caller may know of."""

from lambdaagent.a2a import Json
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.mcp import resources
from lambdaagent.mcp.protocol import Code, McpError

_MOST = 100  # values, by the protocol
_VALUE = 256  # characters


async def complete(call: McpCall) -> Json:
    template, name, value = _asked(call)
    found: set[str] = set()
    if template == resources.CARD:
        context = call.message.params.get("context")
        chosen = context.get("arguments") if isinstance(context, dict) else None
        namespace = chosen.get("namespace") if isinstance(chosen, dict) else None
        async for entry in call.agents():
            if name == "name" and namespace not in (None, entry.key[0]):
                continue
            one = entry.key[0] if name == "namespace" else entry.key[1]
            if entry.discoverable and one.startswith(value):
                found.add(one)
    values = sorted(found)
    return {"completion": {"values": values[:_MOST], "total": len(values), "hasMore": len(values) > _MOST}}


def _asked(call: McpCall) -> tuple[str, str, str]:
    """Return the template, the argument's name and the beginning of its value. Raises McpError."""
    reference, argument = call.message.params.get("ref"), call.message.params.get("argument")
    if not isinstance(reference, dict) or not isinstance(argument, dict):
        raise McpError(Code.INVALID_PARAMS, "params.ref and params.argument must be objects.")
    template = reference.get("uri")
    if reference.get("type") != "ref/resource" or not isinstance(template, str) or template not in resources.ARGUMENTS:
        known = ", ".join(resources.ARGUMENTS)
        raise McpError(Code.INVALID_PARAMS, f"params.ref is no resource template; there are {known}.")
    name, value = argument.get("name"), argument.get("value")
    if name not in resources.ARGUMENTS[template]:
        names = ", ".join(resources.ARGUMENTS[template])
        raise McpError(Code.INVALID_PARAMS, f"params.argument.name must be one of {names}.")
    if not isinstance(value, str) or len(value) > _VALUE:
        raise McpError(Code.INVALID_PARAMS, f"params.argument.value must be a text of at most {_VALUE} characters.")
    return template, name, value
