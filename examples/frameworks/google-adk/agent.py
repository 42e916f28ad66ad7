"""A Google ADK agent, served by `to_a2a` (1.0 and 0.3)."""

import os

from google.adk.a2a.utils.agent_to_a2a import to_a2a
from google.adk.agents import LlmAgent
from google.adk.tools import LongRunningFunctionTool
from model import Rules


def ask(question: str) -> None:
    """Asks the user."""


root_agent = LlmAgent(
    name="echo",
    model=Rules(),
    description="Says back what it is told.",
    instruction="Say it back.",
    tools=[LongRunningFunctionTool(ask)],
)
app = to_a2a(root_agent, port=int(os.environ["PORT"]))
