"""A Strands agent, one per context, served by its A2A server (0.3)."""

import os

from model import Rules
from strands import Agent, tool
from strands.multiagent.a2a import A2AServer
from strands.types.tools import ToolContext


@tool(context=True)
def ask(tool_context: ToolContext) -> str:
    """Asks the user."""
    return str(tool_context.interrupt("question", reason="Which one?"))


def agent(_: str) -> Agent:
    return Agent(
        name="echo",
        description="Says back what it is told.",
        model=Rules(),
        tools=[ask],
        callback_handler=None,
    )


app = A2AServer(
    agent_factory=agent, port=int(os.environ["PORT"]), enable_a2a_compliant_streaming=True
).to_starlette_app()
