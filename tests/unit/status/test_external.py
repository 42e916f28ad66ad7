"""What status says about an external agent before its server has answered, and of cards of other servers."""

from typing import Any

import pytest

from lambdaagent.a2a import external_card
from lambdaagent.api import agent as agents
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.external import External
from lambdaagent.status import external
from lambdaagent.status.external import ExternalAnswer

URL = "https://agents.example.com/quotes"
FAILED = ExternalAnswer(reason="ServerUnreachable", problem="Connection refused; check the server")


def agent(url: str = URL, **a2a: Any) -> LambdaAgent:
    spec = {"external": {"url": url}} | ({"a2a": a2a} if a2a else {})
    return agents.parse({"metadata": {"name": "partner", "generation": 2}, "spec": spec})


def before(kind: str, generation: int) -> dict[str, Any]:
    found = {"type": kind, "status": "True", "reason": "R", "message": "m", "observedGeneration": generation}
    return {"conditions": [found]}


def kept(url: str, protocol: str = "a2a") -> dict[str, Any]:
    card = {"revision": external_card.revision(External(url=url), protocol, "abc"), "description": "d"}
    return {"a2aStatus": {"containerCard": card}}


@pytest.mark.parametrize("kind", ["ServingReady", "CardAccepted"])
def test_after_a_restart_the_condition_stays_until_the_server_has_answered(kind: str) -> None:
    say = {"ServingReady": external.serving_ready, "CardAccepted": external.card_accepted}[kind]
    same = say(agent(), None, previous=before(kind, 2))
    assert same is not None
    assert (same.status, same.reason, same.message) == ("True", "R", "m")
    changed = say(agent(), None, previous=before(kind, 1))
    assert changed is None if kind == "CardAccepted" else (changed is not None and changed.reason == "NotAsked")


def test_the_last_card_of_the_same_server_stays_and_that_of_another_does_not() -> None:
    assert external.card(agent(), FAILED, previous=kept(URL)) == kept(URL)["a2aStatus"]["containerCard"]
    assert external.card(agent(), None, previous=kept(URL)) is not None
    assert external.card(agent(), FAILED, previous=kept("https://other.example.com")) is None
    assert external.card(agent(), FAILED, previous=kept(URL, "mcp")) is None
    assert external.card(agents.parse({"metadata": {"name": "a"}, "spec": {}}), None, previous=kept(URL)) is None


def test_a_failure_names_the_server_the_cause_and_the_next_step() -> None:
    found = external.serving_ready(agent(), FAILED, previous={})
    assert (found.status, found.reason) == ("False", "ServerUnreachable")
    assert found.message == f"A2A server {URL}: Connection refused; check the server"


def test_an_mcp_server_has_no_condition_about_a_card() -> None:
    answer = ExternalAnswer({"revision": "r"}, "MCP 2026-07-28")
    assert external.card_accepted(agent(protocol="mcp"), answer, previous={}) is None
    assert (
        "lists its tools (MCP 2026-07-28)" in external.serving_ready(agent(protocol="mcp"), answer, previous={}).message
    )
