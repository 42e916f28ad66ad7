"""Whether an agent's AI endpoint answers and has its model, from what the endpoint said when it was asked. Pure.

It informs and never gates: the endpoint is not a child, and an agent may do without it for a while. No key is used,
because the operator reads no Secret; an endpoint that wants one shows that it is there by refusing.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from lambdaagent.api.ai import Ai
from lambdaagent.status.readiness import Readiness

Endpoint = tuple[str, str]  # provider, URL that lists its models

_LISTS = {"ollama": "/api/tags", "openai": "/models", "anthropic": "/v1/models"}


@dataclass(frozen=True, slots=True)
class Answer:
    """`models` is None where the endpoint lists none; `problem` is why it could not be asked."""

    status: int = 0
    models: frozenset[str] | None = None
    problem: str = ""


def endpoint(ai: Ai | None) -> Endpoint | None:
    """Whom to ask for this agent; None: nobody."""
    if ai is None or ai.provider == "none" or not ai.endpoint or not ai.endpoint.startswith(("http://", "https://")):
        return None
    return ai.provider, ai.endpoint.rstrip("/") + _LISTS[ai.provider]


def shown(url: str) -> str:
    """As it may stand in status and logs: without a name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def ai_ready(ai: Ai | None, answer: Answer | None) -> Readiness | None:
    """None: the agent has no AI. `answer` is the last one, None if nobody has asked yet."""
    if ai is None or ai.provider == "none":
        return None
    asked = endpoint(ai)
    if asked is None:
        message = "spec.ai.endpoint names no HTTP address, so nobody asks whether the provider answers"
        return Readiness("Unknown", "NotProbed", message)
    url = shown(asked[1])
    if answer is None:
        return Readiness("Unknown", "NotProbed", f"{url} has not been asked yet")
    if answer.problem:
        hint = "correct spec.ai.endpoint or start what should answer there"
        return Readiness("False", "EndpointUnreachable", f"{url}: {answer.problem}; {hint}")
    if answer.status in (401, 403):
        message = f"{url} answers and wants a key; whether it takes the agent's shows in the agent's log"
        return Readiness("True", "EndpointAnswers", message)
    if answer.status != 200:
        hint = "see whether spec.ai.endpoint is the right address"
        return Readiness("False", "UnexpectedAnswer", f"{url}: HTTP {answer.status}; {hint}")
    if answer.models is None or not ai.model:
        return Readiness("True", "EndpointAnswers", f"{url} answers")
    if ai.model in answer.models or f"{ai.model}:latest" in answer.models:
        return Readiness("True", "ModelAvailable", f"{url} lists {ai.model}")
    known = ", ".join(sorted(answer.models)[:10]) or "none"
    hint = f"ollama pull {ai.model}, or correct spec.ai.model" if ai.provider == "ollama" else "correct spec.ai.model"
    return Readiness("False", "ModelNotFound", f"{url} does not list {ai.model} but {known}; {hint}")
