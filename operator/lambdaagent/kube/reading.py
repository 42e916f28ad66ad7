"""Reads LambdaAgents from the API server's objects, for processes that only follow them."""

import structlog

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.validation import parse_valid
from lambdaagent.children.base import Object

log = structlog.get_logger(__name__)


def read(obj: Object) -> LambdaAgent | None:
    """Return the agent, or None if this release cannot read it. That is logged; the caller keeps the last state."""
    agent = parse_valid(obj)
    if isinstance(agent, LambdaAgent):
        return agent
    name = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
    log.warning("agent.read_failed", agent=name, error="; ".join(map(str, agent[:3])))
    return None
