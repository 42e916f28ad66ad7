"""A model that answers by fixed rules, without an API key, for the example and the tests. Replace it with your own."""

import asyncio
from typing import Any

from agents import Model, ModelResponse, Usage
from openai.types.responses import ResponseOutputMessage, ResponseOutputText


class Rules(Model):
    async def get_response(
        self, system_instructions: str | None, input: Any, *args: Any, **kwargs: Any
    ) -> ModelResponse:
        items = [{"role": "user", "content": input}] if isinstance(input, str) else input
        *before, last = [item["content"] for item in items if item.get("role") == "user"]
        if last == "fail":
            raise RuntimeError("broken")
        if last == "wait":
            await asyncio.sleep(8)
        text = " ".join(before) if last == "remember" else f"You said {last}."
        content = [ResponseOutputText(text=text, type="output_text", annotations=[])]
        message = ResponseOutputMessage(id="1", content=content, role="assistant", status="completed", type="message")
        return ModelResponse(output=[message], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError
