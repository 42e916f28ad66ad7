"""An agent built with the public SDK, unchanged: `python -m tests.integration.gateway.sdk_agent PORT [old] [here]`.

It echoes in pieces; "ask" asks back, "wait" works until it is cancelled, "fail" fails. `old` makes it speak 0.3 only.
Its card names another host than its own, unless it is told `here`.
"""

import asyncio
import sys

import uvicorn
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as pb
from starlette.applications import Starlette

CANCELED: list[str] = []


class Echo(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        text = context.get_user_input()
        task = context.current_task
        if task is None:
            task = new_task_from_user_message(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        if text == "ask":
            message = updater.new_agent_message([pb.Part(text="which one?")])
            await updater.requires_input(message)
            return
        if text == "fail":
            await updater.failed(updater.new_agent_message([pb.Part(text="broken")]))
            return
        if text == "wait":
            await asyncio.Event().wait()
        for number, word in enumerate(text.split()):
            await updater.add_artifact([pb.Part(text=word)], artifact_id="echo", append=number > 0)
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        print("canceled", context.task_id, flush=True)
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def app(port: int, *, old: bool, here: bool = False) -> Starlette:
    url, version = f"http://{'127.0.0.1' if here else 'agent.invalid'}:{port}/rpc", "0.3" if old else "1.0"
    card = pb.AgentCard(
        name="echo",
        description="echo",
        version="1",
        supported_interfaces=[pb.AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version)],
        capabilities=pb.AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[pb.AgentSkill(id="say", name="Say", description="says", tags=["x"])],
    )
    handler = DefaultRequestHandler(agent_executor=Echo(), task_store=InMemoryTaskStore(), agent_card=card)
    routes = create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=old)
    return Starlette(routes=[*routes, *create_agent_card_routes(card)])


if __name__ == "__main__":
    at = int(sys.argv[1])
    uvicorn.run(
        app(at, old="old" in sys.argv, here="here" in sys.argv),
        host="127.0.0.1",
        port=at,
        log_level="error",
        access_log=False,
    )
