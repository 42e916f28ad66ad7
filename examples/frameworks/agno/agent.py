"""An Agno agent, served by AgentOS with its A2A interface (0.3)."""

from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.os import AgentOS
from model import Rules

echo = Agent(
    id="echo",
    name="echo",
    model=Rules(),
    description="Says back what it is told.",
    db=InMemoryDb(),
    add_history_to_context=True,
    telemetry=False,
)
app = AgentOS(agents=[echo], a2a_interface=True, telemetry=False).get_app()
