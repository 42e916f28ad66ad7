"""An agent built with the A2A Python SDK alone (1.0). It answers by fixed rules; call your model instead."""

import asyncio
import os

from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part
from starlette.applications import Starlette

said: dict[str, list[str]] = {}


class Echo(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        text = " ".join(part.text or f"[{part.filename} {len(part.raw)}]" for part in context.message.parts)
        before = said.setdefault(task.context_id, [])
        answer = [Part(text=" ".join(before) if text == "remember" else f"You said {text}.")]
        before.append(text)
        if text == "ask":
            await updater.requires_input(updater.new_agent_message([Part(text="Which one?")]))
            return
        if text == "fail":
            await updater.failed(updater.new_agent_message([Part(text="broken")]))
            return
        if text == "wait":
            await asyncio.sleep(8)
        if text == "file":
            answer = [Part(raw=b"a,b\n1,2\n", filename="t.csv", media_type="text/csv")]
        for number, word in enumerate(text.split()):
            await updater.add_artifact(
                [Part(text=word)], artifact_id="words", name="words", append=number > 0, metadata={"number": number}
            )
        await updater.add_artifact(answer, name="answer")
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


url = f"http://localhost:{os.environ['PORT']}/rpc"
card = AgentCard(
    name="echo",
    description="Says back what it is told.",
    version="1.0.0",
    supported_interfaces=[AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")],
    capabilities=AgentCapabilities(streaming=True),
    default_input_modes=["text/plain", "text/csv"],
    default_output_modes=["text/plain", "text/csv"],
    skills=[AgentSkill(id="say", name="Say", description="Says it back.", tags=["echo"])],
)
handler = DefaultRequestHandler(agent_executor=Echo(), task_store=InMemoryTaskStore(), agent_card=card)
app = Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/rpc")])
