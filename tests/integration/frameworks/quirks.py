"""What is particular to a framework's server, and where the gateway offers more than a server does.

A cell of MORE differs, and has to: it fails as well once the server offers the same.
"""

import sys
from dataclasses import dataclass
from typing import Any

# Where the card is, of servers whose resource names no card because the gateway can do nothing with it.
CARDS = {"agno": "/a2a/agents/echo/.well-known/agent-card.json"}

# Agno has a URL per operation; its card names that of the stream, which takes no other method.
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
class More:
    seen: Any
    """Through the gateway."""
    why: str


_CANCELED = {"canceled": "canceled"}
MORE: dict[tuple[str, str], More] = {
    ("crewai", "cancel"): More(_CANCELED, "its server names a task only when it has ended"),
    ("langgraph", "cancel"): More(_CANCELED, "its server waits for the end though it is asked not to"),
    ("pydantic-ai", "cancel"): More(_CANCELED, "its server finishes the task and says so"),
    ("pydantic-ai-1", "cancel"): More(_CANCELED, "its server finishes the task and says so"),
    ("pydantic-ai-1", "stream"): More(
        [
            {"artifact": {"artifactId": "<id>", "name": "result", "parts": [{"text": "You said hello there."}]},
             "append": False},
            {"state": "completed"},
        ],
        "its server does not stream",
    ),
}  # fmt: skip
