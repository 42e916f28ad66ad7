"""Runs the scenarios with the public Python SDK 1.x, prints JSON: `client.py CARD_BASE BINDING WEBHOOK`."""

import asyncio
import json
import sys
from typing import Any
from uuid import uuid4

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import a2a_pb2 as pb


def request(text: str, *, at_once: bool = False, **more: str) -> pb.SendMessageRequest:
    message = pb.Message(message_id=str(uuid4()), role=pb.Role.ROLE_USER, parts=[pb.Part(text=text)], **more)
    return pb.SendMessageRequest(message=message, configuration=pb.SendMessageConfiguration(return_immediately=at_once))


def state(status: pb.TaskStatus) -> str:
    return pb.TaskState.Name(status.state).removeprefix("TASK_STATE_")


def seen(event: pb.StreamResponse) -> str:
    kind = event.WhichOneof("payload")
    if kind == "artifact_update":
        return event.artifact_update.artifact.parts[0].text
    return state(event.task.status if kind == "task" else event.status_update.status)


async def main(base: str, binding: str, webhook: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with httpx.AsyncClient(timeout=30) as http:
        card = await A2ACardResolver(http, base).get_agent_card()
        found["card"] = [card.name, sorted({each.protocol_binding for each in card.supported_interfaces})]

        def client(*, streaming: bool) -> Any:
            config = ClientConfig(httpx_client=http, streaming=streaming, supported_protocol_bindings=[binding])
            return ClientFactory(config).create(card)

        plain, streaming = client(streaming=False), client(streaming=True)

        async def send(sent: pb.SendMessageRequest) -> pb.Task:
            return [answer async for answer in plain.send_message(sent)][-1].task

        task = await send(request("hello"))
        found["send"] = [state(task.status), task.artifacts[0].parts[0].text]
        found["get"] = state((await plain.get_task(pb.GetTaskRequest(id=task.id))).status)
        found["stream"] = [seen(event) async for event in streaming.send_message(request("pieces"))]
        asked = await send(request("ask"))
        answered = await send(request("apples", task_id=asked.id))
        found["turns"] = [state(asked.status), state(answered.status), answered.id == asked.id]
        listed = await plain.list_tasks(pb.ListTasksRequest(page_size=2))
        found["list"] = [len(listed.tasks), listed.total_size, bool(listed.next_page_token)]
        waiting = await send(request("wait", at_once=True))
        found["cancel"] = state((await plain.cancel_task(pb.CancelTaskRequest(id=waiting.id))).status)
        slow = await send(request("slow", at_once=True))
        push = pb.TaskPushNotificationConfig(task_id=slow.id, url=webhook, token="secret")
        await plain.create_task_push_notification_config(push)
        found["resubscribe"] = [
            seen(event) async for event in streaming.subscribe(pb.SubscribeToTaskRequest(id=slow.id))
        ]
        found["pushed"] = slow.id
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
