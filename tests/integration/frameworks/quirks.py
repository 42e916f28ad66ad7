"""Properties of each framework's server, and known differences between the gateway and a server.

A cell of OTHERWISE has to differ, and just so: it fails as well once both are the same.
"""

import sys
from dataclasses import dataclass
from typing import Any

# Agno has a URL per operation; its card names that of the stream.
PATHS = {
    "agno": {
        "send": "/a2a/agents/echo/v1/message:send",
        "stream": "/a2a/agents/echo/v1/message:stream",
        "get": "/a2a/agents/echo/v1/tasks:get",
        "cancel": "/a2a/agents/echo/v1/tasks:cancel",
    }
}

# Agent Stack 0.7 never answers a message that is to be waited for before Python 3.13: it waits there for a queue whose
# items it does not mark as done.
NEVER_WAITS = {"agentstack"} if sys.version_info < (3, 13) else set()


@dataclass(frozen=True)
class Otherwise:
    mark: str
    """more, or less."""
    seen: Any
    """Through the gateway."""
    why: str


_CANCELED = {"canceled": "canceled"}
_INTERRUPT = {
    "append": False,
    "artifact": {
        "artifactId": "<id>",
        "description": "Agent requires input to continue",
        "name": "Interrupt",
        "parts": [{"data": {"id": "<id>", "value": "Which one?"}}],
    },
}
_ASSISTANT = {
    "append": False,
    "artifact": {
        "artifactId": "<id>",
        "description": "Response from assistant <id>",
        "name": "Assistant Response",
        "parts": [{"text": "You said the blue one."}],
    },
}
OTHERWISE: dict[tuple[str, str], Otherwise] = {
    ("agno", "stream"): Otherwise(
        "less",
        [
            {
                "message": {
                    "metadata": {"agno_content_category": "content"},
                    "parts": [{"text": "You said hello there."}],
                },
                "state": "working",
            },
            {"state": "completed"},
        ],
        "its server sends its whole task once more when it has ended",
    ),
    ("agno", "error"): Otherwise(
        "more",
        {
            "failed": {
                "events": [{"message": {"parts": [{"text": "broken"}]}, "state": "failed"}],
                "metadata": {},
                "state": "failed",
            },
            "unknown": [-32001, -32001],
        },
        "its server says nothing of a task that it does not know",
    ),
    ("crewai", "cancel"): Otherwise("more", _CANCELED, "its server names a task only when it has ended"),
    ("langgraph", "cancel"): Otherwise("more", _CANCELED, "its server waits for the end though it is asked not to"),
    ("langgraph", "input"): Otherwise(
        "more",
        [
            {"state": "input-required", "events": [_INTERRUPT, {"state": "input-required"}], "metadata": {}},
            {"state": "completed", "events": [_INTERRUPT, _ASSISTANT, {"state": "completed"}], "metadata": {}},
            {"same": True},
        ],
        "its server drops the artifact of the question from its task; the gateway keeps what its client has seen",
    ),
    ("pydantic-ai", "cancel"): Otherwise("more", _CANCELED, "its server finishes the task and says so"),
    ("pydantic-ai-1", "cancel"): Otherwise("more", _CANCELED, "its server finishes the task and says so"),
    ("pydantic-ai-1", "card"): Otherwise(
        "more",
        {"streaming": True, "description": "Says back what it is told.", "extensions": []},
        "its server does not stream",
    ),
    ("pydantic-ai-1", "stream"): Otherwise(
        "more",
        [
            {"artifact": {"artifactId": "<id>", "name": "result", "parts": [{"text": "You said hello there."}]},
             "append": False},
            {"state": "completed"},
        ],
        "its server does not stream",
    ),
}  # fmt: skip
