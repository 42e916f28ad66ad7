"""Runs the scenarios with the public Python SDK 0.3, prints JSON: `client.py CARD_BASE BINDING WEBHOOK`."""

import asyncio
import json
import sys
from uuid import uuid4

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    Message,
    Part,
    PushNotificationConfig,
    Role,
    Task,
    TaskArtifactUpdateEvent,
    TaskIdParams,
    TaskPushNotificationConfig,
    TaskQueryParams,
    TextPart,
)


def message(text, **more):
    return Message(message_id=str(uuid4()), role=Role.user, parts=[Part(root=TextPart(text=text))], **more)


def state(task):
    return task.status.state.value.upper().replace("-", "_")


def seen(event):
    task, update = event
    if isinstance(update, TaskArtifactUpdateEvent):
        return update.artifact.parts[0].root.text
    return state(task if update is None else update)


async def main(base, binding, webhook):
    found = {}
    async with httpx.AsyncClient(timeout=30) as http:
        card = await A2ACardResolver(http, base).get_agent_card()
        transports = {card.preferred_transport, *(each.transport for each in card.additional_interfaces or [])}
        found["card"] = [card.name, sorted(transports)]

        def client(*, streaming, polling=False):
            config = ClientConfig(
                httpx_client=http, streaming=streaming, polling=polling, supported_transports=[binding]
            )
            return ClientFactory(config).create(card)

        plain, at_once, streaming = (
            client(streaming=False),
            client(streaming=False, polling=True),
            client(streaming=True),
        )

        async def send(using, sent):
            answers = [answer async for answer in using.send_message(sent)]
            task, _ = answers[-1]
            assert isinstance(task, Task)
            return task

        task = await send(plain, message("hello"))
        found["send"] = [state(task), task.artifacts[0].parts[0].root.text]
        found["get"] = state(await plain.get_task(TaskQueryParams(id=task.id)))
        found["stream"] = [seen(event) async for event in streaming.send_message(message("pieces"))]
        asked = await send(plain, message("ask"))
        answered = await send(plain, message("apples", task_id=asked.id, context_id=asked.context_id))
        found["turns"] = [state(asked), state(answered), answered.id == asked.id]
        waiting = await send(at_once, message("wait"))
        found["cancel"] = state(await plain.cancel_task(TaskIdParams(id=waiting.id)))
        slow = await send(at_once, message("slow"))
        config = PushNotificationConfig(url=webhook, token="secret")
        await plain.set_task_callback(TaskPushNotificationConfig(task_id=slow.id, push_notification_config=config))
        found["resubscribe"] = [seen(event) async for event in streaming.resubscribe(TaskIdParams(id=slow.id))]
        found["pushed"] = slow.id
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
