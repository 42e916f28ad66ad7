"""A Pydantic AI 2 agent as an A2A server (1.0)."""

import os

from fasta2a.pydantic_ai import agent_to_a2a
from model import model
from pydantic_ai import Agent

agent = Agent(model, name="echo", instructions="Say it back.")
app = agent_to_a2a(agent, url=f"http://localhost:{os.environ['PORT']}", description="Says back what it is told.")
