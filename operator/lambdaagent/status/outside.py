"""Decides what status says about an agent that is an MCP server outside, from its server's last answer. Pure.

What the server listed before stays while it cannot be reached, so that a short failure removes no skill.
"""

from lambdaagent.a2a import container_card
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.children.base import Object
from lambdaagent.status.readiness import Readiness, condition
from lambdaagent.status.tools import Answers, ServerAnswer, outside_server


def serving_ready(agent: LambdaAgent, answers: Answers, *, previous: Object) -> Readiness:
    """Return ServingReady. Before the server has answered, the former condition stays: the operator begins anew
    whenever it starts."""
    answer, url = _answer(agent, answers), agent.outside_url
    if answer is None:
        before = condition(previous, "ServingReady")
        if before is not None and before.get("observedGeneration") == agent.metadata.generation:
            return Readiness(before["status"], before.get("reason", ""), before.get("message", ""))
        return Readiness("Unknown", "NotAsked", f"the MCP server {url} has not been asked for its tools yet")
    if answer.problem:
        hint = "check the server and a2a.container.url; an address that is not public must be allowed"
        return Readiness("False", "ServerUnreachable", f"MCP server {url}: {answer.problem}; {hint}")
    return Readiness("True", "Ready", f"the MCP server {url} lists its tools")


def card(agent: LambdaAgent, answers: Answers, *, previous: Object) -> Object | None:
    """Return what the server listed last; None if nothing is known of the server at this URL."""
    answer = _answer(agent, answers)
    if answer is not None and answer.card is not None:
        return answer.card
    before: Object | None = (previous.get("a2aStatus") or {}).get("containerCard")
    known = before is not None and before.get("revision", "").startswith(
        container_card.revision_outside(agent.outside_url)
    )
    return before if known else None


def _answer(agent: LambdaAgent, answers: Answers) -> ServerAnswer | None:
    server = outside_server(agent)
    return answers.get(server) if server is not None else None
