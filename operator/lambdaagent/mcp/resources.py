"""The URIs of resources, and what lists say of each. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from lambdaagent import media_types
from lambdaagent.a2a import Json

AGENTS = "lambdaagent://agents"
CARD, TASK = f"{AGENTS}/{{namespace}}/{{name}}/card", "lambdaagent://tasks/{id}"
URI = 2_048  # characters of a URI
_TASKS = TASK.removesuffix("{id}")
_DESCRIPTION = 256
TEMPLATES: tuple[Json, ...] = (
    {
        "uriTemplate": CARD,
        "name": "agent-card",
        "title": "Agent card",
        "description": "The A2A agent card of an agent.",
        "mimeType": media_types.JSON,
    },
    {
        "uriTemplate": TASK,
        "name": "task",
        "title": "Task",
        "description": "A task of yours, with what the agent has answered so far.",
        "mimeType": media_types.JSON,
    },
)
ARGUMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType({CARD: ("namespace", "name"), TASK: ("id",)})
LIST: Json = {
    "uri": AGENTS,
    "name": "agents",
    "title": "Agents",
    "description": "The agents that you may call.",
    "mimeType": media_types.JSON,
}


def card_uri(namespace: str, name: str) -> str:
    return CARD.format(namespace=namespace, name=name)


def card(namespace: str, name: str, description: str) -> Json:
    return {
        "uri": card_uri(namespace, name),
        "name": f"{namespace}/{name}",
        "title": f"Agent card of {name}",
        "description": description[:_DESCRIPTION],
        "mimeType": media_types.JSON,
    }


def agent_of(uri: str) -> str | None:
    """Return the agent, as namespace/name, whose card a URI names; None for another URI."""
    found = uri.removeprefix(f"{AGENTS}/").removesuffix("/card")
    return found if uri == f"{AGENTS}/{found}/card" and found.count("/") == 1 else None


def task_of(uri: str) -> str | None:
    """Return the id of the task that a URI names; None for another URI."""
    found = uri.removeprefix(_TASKS)
    return found if uri == _TASKS + found and found and "/" not in found else None
