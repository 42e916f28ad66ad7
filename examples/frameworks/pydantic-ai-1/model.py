"""A model that answers by fixed rules, without an API key, for the example and the tests. Replace it with your own."""

import asyncio

from pydantic_ai.messages import BinaryContent, ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel


def said(messages: list[ModelMessage]) -> list[str]:
    """Return the user's prompts as texts; a file is represented by its type and size."""
    prompts = [part.content for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    return [
        f"[{part.media_type} {len(part.data)}]" if isinstance(part, BinaryContent) else str(part)
        for prompt in prompts
        for part in ([prompt] if isinstance(prompt, str) else prompt)
    ]


async def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    *before, last = said(messages)
    if last == "fail":
        raise RuntimeError("broken")
    if last == "wait":
        await asyncio.sleep(8)
    text = " ".join(before) if last == "remember" else f"You said {last}."
    return ModelResponse(parts=[TextPart(text)])


model = FunctionModel(answer)
