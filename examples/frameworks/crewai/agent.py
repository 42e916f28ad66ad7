"""A CrewAI agent with CrewAI's A2A tasks behind the A2A SDK's server (0.3)."""

import os

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.apps import A2AStarletteApplication
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore
from crewai import Agent
from crewai.a2a import A2AServerConfig
from crewai.a2a.utils import task as tasks
from model import Rules

agent = Agent(role="echo", goal="Says back what it is told.", backstory="None.", llm=Rules(), a2a=A2AServerConfig())


class Executor(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        # An agent runs one task at a time, so each task gets a copy.
        await tasks.execute(agent.copy(), context, event_queue)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await tasks.cancel(context, event_queue)


card = agent.to_agent_card(f"http://localhost:{os.environ['PORT']}/")
handler = DefaultRequestHandler(agent_executor=Executor(), task_store=InMemoryTaskStore())
app = A2AStarletteApplication(agent_card=card, http_handler=handler).build()
