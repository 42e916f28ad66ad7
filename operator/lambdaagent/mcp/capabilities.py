"""What a host can do, as each of its requests says (2026-07-28). Hosts that began with a handshake said it once, and
nothing here remembers it.
"""

from collections.abc import Mapping
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.mcp.protocol import Code, McpError

TASKS = "io.modelcontextprotocol/tasks"
_OF_METHOD = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
ALL: Mapping[str, Json] = {name: {} for name in _OF_METHOD.values()}
ASKED = tuple(_OF_METHOD)
"""The requests that a server may put to a host."""


def has_tasks(capabilities: Mapping[str, Any]) -> bool:
    extensions = capabilities.get("extensions")
    return isinstance(extensions, dict) and TASKS in extensions


def require_tasks(capabilities: Mapping[str, Any], what: str) -> None:
    """Raises McpError if the host does not know the Tasks extension."""
    if not has_tasks(capabilities):
        raise _missing({"extensions": {TASKS: {}}}, f"{what} needs the extension {TASKS}, which the client lacks.")


def askable(capabilities: Mapping[str, Any]) -> Json:
    """Return what the host can be asked, without the rest of what it can."""
    return {name: capabilities[name] for name in _OF_METHOD.values() if isinstance(capabilities.get(name), dict)}


def can_answer(request: Json, capabilities: Mapping[str, Any]) -> bool:
    """Return whether the host can be asked this; a URL needs more than a form."""
    declared = capabilities.get(_OF_METHOD[request["method"]])
    if not isinstance(declared, dict):
        return False
    if request["method"] != "elicitation/create":
        return True
    mode = request["params"].get("mode", "form")  # the agent's own words, so it may be anything
    return isinstance(mode, str) and (mode in declared or (mode == "form" and not declared))


def require_answers(requests: Mapping[str, Json], capabilities: Mapping[str, Any]) -> None:
    """Raises McpError if the host cannot be asked one of them."""
    for request in requests.values():
        if not can_answer(request, capabilities):
            name = _OF_METHOD[request["method"]]
            raise _missing({name: {}}, f"The agent asks by {request['method']}, which the client does not support.")


def _missing(required: Json, text: str) -> McpError:
    return McpError(Code.MISSING_CAPABILITY, text, {"requiredCapabilities": required})
