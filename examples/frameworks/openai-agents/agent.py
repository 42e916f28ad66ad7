"""An OpenAI Agents SDK agent behind the A2A SDK's server (1.0), since the OpenAI SDK has no A2A server."""

import os

from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part
from agents import Agent, Runner, SQLiteSession, set_tracing_disabled
from model import Rules
from starlette.applications import Starlette

set_tracing_disabled(True)
agent = Agent(name="echo", instructions="Say it back.", model=Rules())
sessions: dict[str, SQLiteSession] = {}


class Executor(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        session = sessions.setdefault(task.context_id, SQLiteSession(task.context_id))
        try:
            result = await Runner.run(agent, context.get_user_input(), session=session)
        except Exception as error:
            await updater.failed(updater.new_agent_message([Part(text=str(error))]))
            return
        await updater.add_artifact([Part(text=result.final_output)], name="answer")
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


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
handler = DefaultRequestHandler(agent_executor=Executor(), task_store=InMemoryTaskStore(), agent_card=card)
app = Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/")])
