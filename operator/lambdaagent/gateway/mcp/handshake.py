"""How a client begins: by a handshake before 2026-07-28, and by asking what the server can do since."""

from importlib.metadata import version

from lambdaagent.a2a import Json
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.mcp.protocol import HANDSHAKE, MODERN, Code, McpError

SERVER: Json = {"name": "lambdaagent", "title": "LambdaAgent", "version": version("lambdaagent")}
_CAPABILITIES: Json = {"tools": {}}
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
        "capabilities": _CAPABILITIES,
        "serverInfo": SERVER,
        "instructions": _INSTRUCTIONS,
    }


async def ping(_: McpCall) -> Json:
    return {}


async def discover(_: McpCall) -> Json:
    return {
        "supportedVersions": [*reversed(MODERN), *reversed(HANDSHAKE)],
        "capabilities": _CAPABILITIES,
        "instructions": _INSTRUCTIONS,
        "ttlMs": _FRESH,
        "cacheScope": "public",
    }
