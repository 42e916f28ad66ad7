"""A model that answers by fixed rules, without an API key, for the example and the tests. Replace it with your own."""

import asyncio
from collections.abc import Sequence
from typing import Any

from ag2 import Context
from ag2.config import LLMClient, ModelConfig
from ag2.events import BaseEvent, ModelMessage, ModelRequest, ModelResponse, TextInput


class Client(LLMClient):
    async def __call__(self, messages: Sequence[BaseEvent], context: Context, **kwargs: Any) -> ModelResponse:
        asked = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
        *before, last = [part.content if isinstance(part, TextInput) else f"[{type(part).__name__}]" for part in asked]
        if last == "fail":
            raise RuntimeError("broken")
        if last == "wait":
            await asyncio.sleep(8)
        message = ModelMessage(" ".join(before) if last == "remember" else f"You said {last}.")
        await context.send(message)
        return ModelResponse(message)


class Rules(ModelConfig):
    provider = None
    model = "rules"

    def copy(self) -> "Rules":
        return self

    def create(self) -> Client:
        return Client()
