"""An Agent Stack SDK agent, served by its own server (0.3). It answers by fixed rules; call your model instead."""

import asyncio
import os
from collections.abc import AsyncGenerator

from a2a.types import FilePart, FileWithBytes, Message, Role, TextPart
from agentstack_sdk.a2a.types import InputRequired, RunYield
from agentstack_sdk.server import Server
from agentstack_sdk.server.context import RunContext
from agentstack_sdk.server.store.memory_context_store import InMemoryContextStore

server = Server()


def said(message: Message) -> str:
    parts = [part.root for part in message.parts]
    return " ".join(part.text if isinstance(part, TextPart) else f"[{part.file.name}]" for part in parts)


@server.agent(name="echo")
async def echo(message: Message, context: RunContext) -> AsyncGenerator[RunYield, Message]:
    """Says back what it is told."""
    history = [each async for each in context.load_history()]
    before = [said(each) for each in history if isinstance(each, Message) and each.role is Role.user]
    await context.store(message)
    text = said(message)
    if text == "fail":
        raise RuntimeError("broken")
    if text == "wait":
        await asyncio.sleep(8)
    if text == "ask":
        reply = yield InputRequired(text="Which one?")
        text = said(reply)
    if text == "file":
        yield FilePart(file=FileWithBytes(bytes="YSxiCjEsMgo=", mime_type="text/csv", name="t.csv"))
        return
    yield " ".join(before) if text == "remember" else f"You said {text}."


if __name__ == "__main__":
    server.run(
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ["PORT"]),
        self_registration=False,
        context_store=InMemoryContextStore(),
    )
