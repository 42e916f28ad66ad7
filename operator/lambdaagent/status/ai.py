"""Decides whether an agent's AI endpoint answers and has its model, from the last response of the endpoint. Pure.

The condition informs and does not affect Ready: the endpoint is not a child, and an agent may work without it for a
while. No key is used, because the operator reads no Secret; an endpoint that requires one shows by its refusal that it
is reachable.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from lambdaagent.api.ai import Ai
from lambdaagent.status.readiness import Readiness

Endpoint = tuple[str, str]  # provider, URL that lists its models

_LISTS = {"ollama": "/api/tags", "openai": "/models", "anthropic": "/v1/models"}


@dataclass(frozen=True, slots=True)
class Answer:
    """`models` is None if the endpoint lists none; `problem` is why the request failed."""

    status: int = 0
    models: frozenset[str] | None = None
    problem: str = ""


def endpoint(ai: Ai | None) -> Endpoint | None:
    """Return the endpoint to probe for this agent; None if there is none."""
    if ai is None or ai.provider == "none" or not ai.endpoint or not ai.endpoint.startswith(("http://", "https://")):
        return None
    return ai.provider, ai.endpoint.rstrip("/") + _LISTS[ai.provider]


def shown(url: str) -> str:
    """Return the URL for status and logs, without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def ai_ready(ai: Ai | None, answer: Answer | None) -> Readiness | None:
    """Return the condition AIReady; None if the agent has no AI. `answer` is the last result, None if there is none."""
    if ai is None or ai.provider == "none":
        return None
    asked = endpoint(ai)
    if asked is None:
        message = "spec.ai.endpoint is not an HTTP address, so the operator does not check the provider"
        return Readiness("Unknown", "NotProbed", message)
    url = shown(asked[1])
    if answer is None:
        return Readiness("Unknown", "NotProbed", f"{url} has not been checked yet")
    if answer.problem:
        hint = "correct spec.ai.endpoint, or start the service at that address"
        return Readiness("False", "EndpointUnreachable", f"{url}: {answer.problem}; {hint}")
    if answer.status in (401, 403):
        message = f"{url} responds and requires a key; the agent's log shows whether it accepts the agent's key"
        return Readiness("True", "EndpointAnswers", message)
    if answer.status != 200:
        hint = "check that spec.ai.endpoint is the right address"
        return Readiness("False", "UnexpectedAnswer", f"{url}: HTTP {answer.status}; {hint}")
    if answer.models is None or not ai.model:
        return Readiness("True", "EndpointAnswers", f"{url} responds")
    if ai.model in answer.models or f"{ai.model}:latest" in answer.models:
        return Readiness("True", "ModelAvailable", f"{url} lists {ai.model}")
    known = ", ".join(sorted(answer.models)[:10]) or "none"
    hint = f"ollama pull {ai.model}, or correct spec.ai.model" if ai.provider == "ollama" else "correct spec.ai.model"
    return Readiness("False", "ModelNotFound", f"{url} does not list {ai.model} but {known}; {hint}")
