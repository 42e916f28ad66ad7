"""Registered agents for tests."""

from typing import Any

from lambdaagent.coordination.registered_agent import RegisteredAgent


def registered(agent_id: str = "search", **more: Any) -> RegisteredAgent:
    values = {"name": agent_id.title(), "label": agent_id, "created_by": "corp:ann", "protocol": "mailbox"} | more
    return RegisteredAgent(agent_id=agent_id, **values)
