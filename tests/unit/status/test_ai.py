"""The condition AIReady, by the response of an endpoint."""

from typing import Any

import pytest

from lambdaagent.api.ai import Ai
from lambdaagent.status.ai import Answer, ai_ready, endpoint, shown


def ai(**fields: Any) -> Ai:
    return Ai.model_validate({"endpoint": "http://ollama:11434", "model": "llama3.2:3b", **fields})


LISTED = frozenset({"llama3.2:3b", "llava:latest"})


@pytest.mark.parametrize(
    ("said", "answer", "status", "reason"),
    [
        pytest.param(ai(), None, "Unknown", "NotProbed", id="not asked yet"),
        pytest.param(ai(), Answer(200, LISTED), "True", "ModelAvailable", id="there"),
        pytest.param(ai(model="llava"), Answer(200, LISTED), "True", "ModelAvailable", id="latest is implied"),
        pytest.param(ai(model="llama3"), Answer(200, LISTED), "False", "ModelNotFound", id="not there"),
        pytest.param(ai(), Answer(200, frozenset()), "False", "ModelNotFound", id="has none at all"),
        pytest.param(ai(model=None), Answer(200, LISTED), "True", "EndpointAnswers", id="no model asked for"),
        pytest.param(ai(), Answer(200, None), "True", "EndpointAnswers", id="lists nothing"),
        pytest.param(ai(), Answer(401), "True", "EndpointAnswers", id="wants a key"),
        pytest.param(ai(), Answer(404), "False", "UnexpectedAnswer", id="something else answers"),
        pytest.param(ai(), Answer(problem="Connection refused"), "False", "EndpointUnreachable", id="nothing answers"),
        pytest.param(ai(endpoint=None), None, "Unknown", "NotProbed", id="the provider's own address"),
        pytest.param(ai(endpoint="unix://x"), None, "Unknown", "NotProbed", id="no HTTP"),
    ],
)
def test_what_an_endpoint_said(said: Ai, answer: Answer | None, status: str, reason: str) -> None:
    found = ai_ready(said, answer)
    assert found
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize("said", [None, ai(provider="none")])
def test_without_ai_nothing_is_said(said: Ai | None) -> None:
    assert ai_ready(said, None) is None
    assert endpoint(said) is None


@pytest.mark.parametrize(
    ("provider", "url"),
    [("ollama", "http://h/api/tags"), ("openai", "http://h/models"), ("anthropic", "http://h/v1/models")],
)
def test_each_provider_lists_its_models_elsewhere(provider: str, url: str) -> None:
    found = endpoint(ai(provider=provider, endpoint="http://h/", apiKeySecretRef={"name": "s", "key": "k"}))
    assert found == (provider, url)


def test_what_is_shown_holds_no_password() -> None:
    assert shown("http://me:secret@h:1/api/tags") == "http://h:1/api/tags"
    found = ai_ready(ai(endpoint="http://me:secret@h:1"), Answer(500))
    assert found
    assert "secret" not in found.message
