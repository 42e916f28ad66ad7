"""How a client begins: by a handshake before 2026-07-28, and by asking what the server can do since."""

from lambdaagent.a2a import Json
from lambdaagent.gateway.mcp import forwarded
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.mcp.capabilities import TASKS
from lambdaagent.mcp.notifications import level_of
from lambdaagent.mcp.protocol import HANDSHAKE, MODERN, SERVER, Code, McpError

_CAPABILITIES: Json = {"tools": {}, "resources": {}, "completions": {}, "logging": {}}
_MODERN: Json = {
    **_CAPABILITIES,
    "tools": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "extensions": {TASKS: {}},
}
_INSTRUCTIONS = (
    "Each tool is a skill of an agent of this installation. A result's contextId, as the argument context_id of a "
    "further call of the same agent, continues the conversation."
)
_FRESH = 300_000  # milliseconds


async def initialize(call: McpCall) -> Json:
    wanted = call.message.params.get("protocolVersion")
    if not isinstance(wanted, str):
        raise McpError(Code.INVALID_PARAMS, "params.protocolVersion must be a text.")
    return {
        "protocolVersion": wanted if wanted in HANDSHAKE else HANDSHAKE[-1],
        "capabilities": _CAPABILITIES | (forwarded.CAPABILITIES if forwarded.is_forwarded(call) else {}),
        "serverInfo": dict(SERVER),
        "instructions": _INSTRUCTIONS,
    }


async def ping(_: McpCall) -> Json:
    return {}


async def set_level(call: McpCall) -> Json:
    """Accept the level of a handshake revision. No session keeps it, so lines of the level info and above are sent."""
    level_of(call.message.params.get("level"))
    return {}


async def discover(call: McpCall) -> Json:
    return {
        "supportedVersions": [*reversed(MODERN), *reversed(HANDSHAKE)],
        "capabilities": _MODERN | (forwarded.CAPABILITIES if forwarded.is_forwarded(call) else {}),
        "instructions": _INSTRUCTIONS,
        "ttlMs": _FRESH,
        "cacheScope": "public",
    }
