"""A Google ADK agent in a folder of agents, as `adk api_server --a2a` serves them."""

from google.adk.agents import LlmAgent
from google.adk.tools import LongRunningFunctionTool

from .model import Rules


def ask(question: str) -> None:
    """Asks the user."""


root_agent = LlmAgent(
    name="echo",
    model=Rules(),
    description="Says back what it is told.",
    instruction="Say it back.",
    tools=[LongRunningFunctionTool(ask)],
)
