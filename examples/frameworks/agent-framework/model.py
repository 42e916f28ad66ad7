"""A model that answers by fixed rules, without an API key, for the example and the tests. Replace it with your own."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Mapping, Sequence
from typing import Any

from agent_framework import BaseChatClient, ChatResponse, ChatResponseUpdate, Content, Message, ResponseStream


async def answer(messages: Sequence[Message]) -> str:
    *before, last = [message.text for message in messages if message.role == "user"]
    if last == "fail":
        raise RuntimeError("broken")
    if last == "wait":
        await asyncio.sleep(8)
    return " ".join(before) if last == "remember" else f"You said {last}."


class Rules(BaseChatClient):
    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Awaitable[ChatResponse] | ResponseStream[ChatResponseUpdate, ChatResponse]:
        async def whole() -> ChatResponse:
            return ChatResponse(messages=[Message(role="assistant", contents=[await answer(messages)])])

        async def pieces() -> AsyncIterable[ChatResponseUpdate]:
            for word in (await answer(messages)).split(" "):
                yield ChatResponseUpdate(role="assistant", contents=[Content.from_text(f"{word} ")])

        return self._build_response_stream(pieces()) if stream else whole()
