"""A model that answers by fixed rules, without an API key, for the example and the tests. Replace it with your own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from agno.models.base import Model
from agno.models.message import Message
from agno.models.response import ModelResponse


@dataclass
class Rules(Model):
    id: str = "rules"

    async def _answer(self, messages: list[Message]) -> ModelResponse:
        *before, last = [message for message in messages if message.role == "user"]
        text = " ".join([last.get_content_string(), *(f"[{each.mime_type}]" for each in last.files or [])])
        if text == "fail":
            raise RuntimeError("broken")
        if text == "wait":
            await asyncio.sleep(8)
        known = " ".join(message.get_content_string() for message in before)
        return ModelResponse(role="assistant", content=known if text == "remember" else f"You said {text}.")

    async def ainvoke(self, messages: list[Message], *args: Any, **kwargs: Any) -> ModelResponse:
        return await self._answer(messages)

    async def ainvoke_stream(self, messages: list[Message], *args: Any, **kwargs: Any) -> AsyncIterator[ModelResponse]:
        yield await self._answer(messages)

    def invoke(self, messages: list[Message], *args: Any, **kwargs: Any) -> ModelResponse:
        return asyncio.run(self._answer(messages))

    def invoke_stream(self, messages: list[Message], *args: Any, **kwargs: Any) -> Iterator[ModelResponse]:
        yield asyncio.run(self._answer(messages))

    def _parse_provider_response(self, response: Any, **kwargs: Any) -> ModelResponse:
        return response

    def _parse_provider_response_delta(self, response: Any) -> ModelResponse:
        return response
