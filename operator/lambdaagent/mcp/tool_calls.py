"""A message to a tool as the call's parameters, and what the tool's server says as updates of the task.

A tool that fails makes a task that fails with the tool's own words. A result that asks for input makes a task that
waits for its client; the client's next message repeats the call with the answers and the server's sealed state.

Hazard: the server chooses how much it reports. The number of reports per call is limited, and each one's text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from lambdaagent import bounded_json
from lambdaagent.a2a import Json
from lambdaagent.a2a.states import Role, TaskState
from lambdaagent.a2a.tasks import agent_message, artifact_update, status_update
from lambdaagent.clock import Clock
from lambdaagent.mcp import content
from lambdaagent.mcp.client import ServerError
from lambdaagent.mcp.extension import (
    CAPABILITIES,
    ERROR,
    INPUT_REQUESTS,
    INPUT_RESPONSES,
    LOG,
    PROGRESS,
    REQUEST_STATE,
)
from lambdaagent.mcp.protocol import LOG_LEVEL_KEY, SERVER_KEY, Code

_LARGEST_CAPABILITIES = 4_096  # bytes
MOST_REPORTS = 256  # of one call
MOST_REQUESTS = 32
_TEXT = 4096  # characters of a report
_LABEL = 256  # characters of a log line's level or logger
_ELICITATION: Mapping[str, Any] = {"elicitation": {"form": {}, "url": {}}}


class UnfitMessageError(ValueError):
    """The message cannot be the tool's arguments or an answer to its question; the text says what can."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a task waits for: the server's requests by name, and its state."""

    requests: Json
    state: str | None


def first_message(task: Json | None, message: Json) -> Json:
    """Return the message that began the task: its parts are the arguments of every round of the call."""
    history = (task or {}).get("history") or [message]
    found: Json = history[0]
    return found


def question(task: Json | None) -> Question | None:
    """Return the question that the newest message of the task's client answers; None if it begins the call."""
    history = (task or {}).get("history") or []
    last = next((at for at in range(len(history) - 1, 0, -1) if history[at].get("role") == str(Role.USER)), 0)
    asked = history[last - 1] if last else {}
    metadata = asked.get("metadata") if asked.get("role") == str(Role.AGENT) else None
    if not isinstance(metadata, dict) or not (INPUT_REQUESTS in metadata or REQUEST_STATE in metadata):
        return None
    return Question(metadata.get(INPUT_REQUESTS) or {}, metadata.get(REQUEST_STATE))


def capabilities(message: Json) -> Mapping[str, Any]:
    """Return which requests of a server the client answers."""
    said = message.get("metadata", {}).get(CAPABILITIES)
    return said if isinstance(said, dict) else _ELICITATION


def params(
    tool: str, arguments: Json, *, token: str, responses: Json | None = None, state: str | None = None, modern: bool
) -> Json:
    """Return the parameters of `tools/call`; `token` is that of progress reports."""
    found: Json = {"name": tool, "arguments": arguments, "_meta": {"progressToken": token}}
    if modern:
        found["_meta"][LOG_LEVEL_KEY] = "info"
    if responses is not None:
        found["inputResponses"] = responses
    return found | ({"requestState": state} if state is not None else {})


def arguments(message: Json, schema: Json | None) -> Json:
    """Return the arguments: the message's JSON object, or its text where the tool takes one text.

    Raises UnfitMessageError.
    """
    data = [part["data"] for part in message["parts"] if "data" in part]
    if any("raw" in part or "url" in part for part in message["parts"]):
        raise UnfitMessageError(f"the tool takes no files; send one data part with an object: {_wanted(schema)}")
    if len(data) == 1 and isinstance(data[0], dict):
        found: Json = data[0]
        return found
    if data:
        raise UnfitMessageError(f"the tool takes one object as a data part: {_wanted(schema)}")
    text = "\n".join(part["text"] for part in message["parts"] if "text" in part)
    if (name := text_argument(schema)) is not None:
        return {name: text}
    written = _object_in(text)
    if written is None and (text.strip() or _required(schema)):
        raise UnfitMessageError(f"the tool takes no plain text; send one data part with an object: {_wanted(schema)}")
    return written or {}


def text_argument(schema: Json | None) -> str | None:
    """Return the argument that a plain text is: the only required one, or the only one, if it is a text."""
    properties, required = _properties(schema), _required(schema)
    names = required if required else list(properties)
    if len(names) != 1:
        return None
    described = properties.get(names[0])
    return names[0] if isinstance(described, dict) and described.get("type") == "string" else None


def answers(message: Json, asked: Question | None) -> Json | None:
    """Return the responses by name; None if there are none to give. Raises UnfitMessageError.

    A client that does not know the extension may answer one question of the user in its own words, or with an object.
    """
    said = message.get("metadata", {}).get(INPUT_RESPONSES)
    if asked is None:  # a client may give what it expects to be asked with the call
        return said if isinstance(said, dict) else None
    if not asked.requests:
        return None
    if isinstance(said, dict):
        if unknown := sorted(set(said) - set(asked.requests)):
            raise UnfitMessageError(f"{INPUT_RESPONSES} answers {unknown[0][:64]!r}, which was not asked")
        return said
    if len(asked.requests) != 1:
        raise UnfitMessageError(f"answer {', '.join(sorted(asked.requests))} by name in the metadata {INPUT_RESPONSES}")
    ((name, one),) = asked.requests.items()
    if one.get("method") != "elicitation/create":
        raise UnfitMessageError(f"answer {name} ({one.get('method')}) by name in the metadata {INPUT_RESPONSES}")
    return {name: {"action": "accept", "content": _filled(message, (one.get("params") or {}).get("requestedSchema"))}}


def _filled(message: Json, schema: Any) -> Json:
    schema = schema if isinstance(schema, dict) else {}
    data = [part["data"] for part in message["parts"] if isinstance(part.get("data"), dict)]
    if len(data) == 1:
        found: Json = data[0]
        return found
    text = "\n".join(part["text"] for part in message["parts"] if "text" in part).strip()
    properties, required = _properties(schema), _required(schema)
    names = required if required else list(properties)
    if not properties:
        return {}  # a question without a form, such as whether a page was visited
    if len(names) == 1 and isinstance(properties.get(names[0]), dict):
        value = _typed(text, properties[names[0]].get("type"))
        if value is not None:
            return {names[0]: value}
    raise UnfitMessageError(f"send one data part with an object: {_wanted(schema)}")


def _typed(text: str, kind: Any) -> Any:
    """Return a text as a value of a form's field; None if it is none."""
    if kind == "boolean":
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower())
    if kind in ("integer", "number"):
        value = _json(text)
        good = isinstance(value, int | float) and not isinstance(value, bool)
        return value if good and (kind == "number" or isinstance(value, int)) else None
    return text if kind == "string" else None


def report(method: str, said: Json, *, clock: Clock) -> Json | None:
    """Return the update of a notification during the call; None for one that is not shown."""
    if method == "notifications/progress" and isinstance(said.get("progress"), int | float):
        key, words = PROGRESS, said.get("message")
        shown = {name: said[name] for name in ("progress", "total") if isinstance(said.get(name), int | float)}
        text = words[:_TEXT] if isinstance(words, str) else ""
        shown |= {"message": text} if text else {}
    elif method == "notifications/message" and "data" in said:
        key, data = LOG, said["data"]
        whole = data if isinstance(data, str) else orjson.dumps(data).decode()
        text = whole[:_TEXT]
        shown = {name: said[name][:_LABEL] for name in ("level", "logger") if isinstance(said.get(name), str)}
        shown["data"] = data if len(whole) <= _TEXT else text
    else:
        return None
    message = agent_message([{"text": text}], message_id=clock.new_id()) if text else None
    return status_update(TaskState.WORKING, now=clock.now(), message=message, metadata={key: shown})


def asks_for_input(result: Json) -> Question | None:
    """Return the question of a result that is not the last one. Raises ValueError."""
    if result.get("resultType") != "input_required":
        return None
    requests, state = result.get("inputRequests") or {}, result.get("requestState")
    if not isinstance(requests, dict) or not all(isinstance(each, dict) for each in requests.values()):
        raise ValueError("its inputRequests are no object of requests")
    if len(requests) > MOST_REQUESTS:
        raise ValueError(f"it makes more than {MOST_REQUESTS} requests at once")
    if state is not None and not isinstance(state, str):
        raise ValueError("its requestState is no text")
    if not requests and state is None:
        raise ValueError("it asks for input and does not say for which")
    return Question(requests, state)


def waiting(asked: Question, *, clock: Clock) -> Json:
    """Return the update of a task that waits for its client."""
    metadata: Json = {INPUT_REQUESTS: asked.requests}
    if asked.state is not None:
        metadata[REQUEST_STATE] = asked.state
    parts = [{"text": _words(each)} for _, each in sorted(asked.requests.items())]
    message = {**agent_message(parts, message_id=clock.new_id()), "metadata": metadata}
    return status_update(TaskState.INPUT_REQUIRED, now=clock.now(), message=message)


def _words(request: Json) -> str:
    asked = request.get("params")
    asked = asked if isinstance(asked, dict) else {}
    if request.get("method") != "elicitation/create":
        return f"The tool asks its client for {str(request.get('method'))[:64]}."
    words = asked.get("message")
    said = words[:_TEXT] if isinstance(words, str) and words else "The tool asks for input."
    return f"{said}\n{asked['url'][:_TEXT]}" if isinstance(asked.get("url"), str) else said


def failure(error: ServerError, *, clock: Clock) -> Json:
    """Return the update of a call that the server answers with an error of the protocol."""
    message = agent_message([{"text": error.text}], message_id=clock.new_id())
    told: Json = {"code": error.code, "message": error.text}
    if error.code == Code.MISSING_CAPABILITY and isinstance(error.data, dict):
        required = error.data.get("requiredCapabilities")
        if isinstance(required, dict) and len(orjson.dumps(required)) <= _LARGEST_CAPABILITIES:
            told["data"] = {"requiredCapabilities": required}
    return status_update(TaskState.FAILED, now=clock.now(), message=message, metadata={ERROR: told})


def outcome(result: Json, *, name: str, clock: Clock) -> list[Json]:
    """Return the updates of a result: an artifact and the end of the task. Raises ValueError."""
    blocks = result.get("content", [])
    if not isinstance(blocks, list):
        raise ValueError("the content of its result is no list")
    parts = [content.part_of(block) for block in blocks]
    if result.get("structuredContent") is not None:
        parts.append(content.structured_part(result["structuredContent"]))
    meta = result.get("_meta")
    meta = {key: each for key, each in meta.items() if key != SERVER_KEY} if isinstance(meta, dict) else None
    if result.get("isError") is True:
        message = agent_message(
            parts or [{"text": f"The tool {name} failed without a word."}], message_id=clock.new_id()
        )
        return [status_update(TaskState.FAILED, now=clock.now(), message=content.with_meta(message, meta))]
    ended = status_update(TaskState.COMPLETED, now=clock.now())
    if not parts:
        return [ended]
    artifact = {"artifactId": clock.new_id(), "name": name, "parts": parts}
    return [artifact_update(content.with_meta(artifact, meta)), ended]


def _properties(schema: Json | None) -> Json:
    found = (schema or {}).get("properties")
    return found if isinstance(found, dict) else {}


def _required(schema: Json | None) -> list[str]:
    found = (schema or {}).get("required")
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _wanted(schema: Json | None) -> str:
    """Return the arguments for people, such as `a (number), b (string, optional)`."""
    required = _required(schema)
    said = []
    for name, each in list(_properties(schema).items())[:20]:
        kind = str(each.get("type", "any"))[:40] if isinstance(each, dict) else "any"
        said.append(f"{name[:64]} ({kind}{'' if name in required else ', optional'})")
    return ", ".join(said) or "any object"


def _object_in(text: str) -> Json | None:
    found = _json(text) if text.lstrip().startswith("{") else None
    return found if isinstance(found, dict) else None


def _json(text: str) -> Any:
    try:
        return bounded_json.loads(text.encode())
    except ValueError:
        return None
