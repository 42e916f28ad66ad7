"""Follows an agent that is an MCP server outside: nothing is started, its tools are asked for now and then.

It is asked again soon after a failure, and otherwise rarely: nothing tells of changes of its tools.
"""

import asyncio
from collections.abc import Callable

import structlog

from lambdaagent.api.agent import A2aStatus, AgentStatus, LambdaAgent
from lambdaagent.api.container_card import ContainerCard
from lambdaagent.backoff import Backoff
from lambdaagent.toolservers.listing import ListError, skills
from lambdaagent.trust import Trust
from lambdaagent.webhooks.address_check import CheckOf

log = structlog.get_logger(__name__)

_SECONDS = 10.0  # for the answer
_EVERY = 60.0


async def follow(
    agent: LambdaAgent,
    *,
    check: CheckOf,
    trust: Trust,
    found: Callable[[AgentStatus], None],
    failed: Callable[[str], None],
) -> None:
    """Run until cancelled. `found` is called with the status for each list, `failed` with each reason of a failure."""
    backoff, said, ready = Backoff(first=1.0, cap=_EVERY), "", False
    while True:
        try:
            listed = await skills(agent.outside_url, seconds=_SECONDS, check=check, trust=trust)
        except ListError as error:
            problem = f"its MCP server {agent.outside_url} did not list its tools: {error}"
            if problem != said:
                log.warning("agent.list_failed", agent=agent.key, error=problem)
            failed(problem)
            said, ready, pause = problem, False, backoff.next()
        else:
            if not ready:
                log.info("agent.became_ready", agent=agent.key, url=agent.outside_url)
            card = ContainerCard.model_validate(listed.card)
            found(AgentStatus(a2a_status=A2aStatus(container_card=card)))
            backoff.reset()
            said, ready, pause = "", True, _EVERY
        await asyncio.sleep(pause)
