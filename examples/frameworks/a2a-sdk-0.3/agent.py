"""An agent built with A2A Python SDK 0.3. It answers by rules, mostly with messages; call your model instead."""

import asyncio
import os

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.apps import A2AStarletteApplication
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentSkill, FilePart, FileWithBytes, Part, TextPart
from a2a.utils import new_agent_parts_message, new_task

said: dict[str, list[str]] = {}


def text_of(part: Part) -> str:
    return part.root.text if isinstance(part.root, TextPart) else f"[{part.root.file.name}]"


class Echo(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        text = " ".join(text_of(part) for part in context.message.parts)
        before = said.setdefault(context.context_id, [])
        answer = Part(root=TextPart(text=" ".join(before) if text == "remember" else f"You said {text}."))
        before.append(text)
        if text in ("ask", "fail", "wait") or context.current_task is not None:
            await self._work(text, answer, context, event_queue)
            return
        if text == "file":
            file = FileWithBytes(bytes="YSxiCjEsMgo=", mime_type="text/csv", name="t.csv")
            answer = Part(root=FilePart(file=file, metadata={"rows": 1}))
        await event_queue.enqueue_event(new_agent_parts_message([answer], context.context_id))

    async def _work(self, text: str, answer: Part, context: RequestContext, event_queue: EventQueue) -> None:
        task = context.current_task
        if task is None:
            task = new_task(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        if text == "ask":
            question = updater.new_agent_message([Part(root=TextPart(text="Which one?"))])
            await updater.requires_input(question, final=True)
            return
        if text == "fail":
            await updater.failed(updater.new_agent_message([Part(root=TextPart(text="broken"))]))
            return
        if text == "wait":
            await asyncio.sleep(8)
        await updater.add_artifact([answer], name="answer")
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


card = AgentCard(
    name="echo",
    description="Says back what it is told.",
    version="1.0.0",
    url=f"http://localhost:{os.environ['PORT']}/",
    capabilities=AgentCapabilities(streaming=True),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    skills=[AgentSkill(id="say", name="Say", description="Says it back.", tags=["echo"])],
)
handler = DefaultRequestHandler(agent_executor=Echo(), task_store=InMemoryTaskStore())
app = A2AStarletteApplication(agent_card=card, http_handler=handler).build()
