"""The public SDK's own server, answering in-process: `python -m benchmarks.gateway_sdk PORT`.

As its documentation builds one: JSON-RPC routes on Starlette, uvicorn with its fastest parts, the in-memory store. It
calls nobody, so it does less than the gateway does for the same message.
"""

import sys

import uvicorn
from a2a.helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as pb
from starlette.applications import Starlette


class Echo(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        task = new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.add_artifact([pb.Part(text="hello")])
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError


def app(port: int) -> Starlette:
    url = f"http://127.0.0.1:{port}/rpc"
    card = pb.AgentCard(
        name="echo",
        description="echo",
        version="1",
        supported_interfaces=[pb.AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0")],
        capabilities=pb.AgentCapabilities(streaming=False),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[pb.AgentSkill(id="say", name="Say", description="says", tags=["x"])],
    )
    handler = DefaultRequestHandler(agent_executor=Echo(), task_store=InMemoryTaskStore(), agent_card=card)
    return Starlette(routes=create_jsonrpc_routes(handler, "/rpc"))


if __name__ == "__main__":
    at = int(sys.argv[1])
    uvicorn.run(
        app(at), host="127.0.0.1", port=at, loop="uvloop", http="httptools", log_level="error", access_log=False
    )
