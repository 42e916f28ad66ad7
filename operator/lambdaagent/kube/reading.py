"""LambdaAgents as the API server gives them, for processes that only follow them."""

import structlog

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.validation import parse_valid
from lambdaagent.kube.objects import Document

log = structlog.get_logger(__name__)


def read(obj: Document) -> LambdaAgent | None:
    """None for one that this release cannot read, which is logged: it stays as it last could be read."""
    agent = parse_valid(obj)
    if isinstance(agent, LambdaAgent):
        return agent
    name = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
    log.warning("agent cannot be read", agent=name, problems="; ".join(map(str, agent[:3])))
    return None
