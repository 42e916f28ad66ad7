"""A Microsoft Agent Framework agent behind the A2A SDK's server (1.0)."""

import os

from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from agent_framework import Agent
from agent_framework_a2a import A2AExecutor
from model import Rules
from starlette.applications import Starlette

url = f"http://localhost:{os.environ['PORT']}/"
card = AgentCard(
    name="echo",
    description="Says back what it is told.",
    version="1.0.0",
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    capabilities=AgentCapabilities(streaming=True),
    supported_interfaces=[AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")],
    skills=[AgentSkill(id="say", name="Say", description="Says it back.", tags=["echo"])],
)
agent = Agent(Rules(), name="echo", instructions="Say it back.")
executor = A2AExecutor(agent, stream=True)
handler = DefaultRequestHandler(agent_executor=executor, task_store=InMemoryTaskStore(), agent_card=card)
app = Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/")])
