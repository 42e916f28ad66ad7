"""A Pydantic AI 1 agent as an A2A server (0.3)."""

import os

from model import model
from pydantic_ai import Agent

agent = Agent(model, name="echo", instructions="Say it back.")
app = agent.to_a2a(url=f"http://localhost:{os.environ['PORT']}", description="Says back what it is told.")
