"""A model without a key: it answers by rule, for trying the example and for the tests. Put your own in its place."""

import asyncio

from pydantic_ai.messages import BinaryContent, ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel


def said(messages: list[ModelMessage]) -> list[str]:
    """What the user said, one text per message; a file is told by its type and size."""
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
