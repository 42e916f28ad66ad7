"""A model that answers by fixed rules, without an API key, for the example and the tests. Replace it with your own."""

import asyncio
from collections.abc import AsyncGenerator

from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.genai import types


class Rules(BaseLlm):
    model: str = "rules"

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        parts = [part for each in llm_request.contents if each.role == "user" for part in each.parts or []]
        if parts[-1].function_response is not None:
            answer = types.Part(text=f"You were asked and said {parts[-1].function_response.response}.")
            yield LlmResponse(content=types.Content(role="model", parts=[answer]))
            return
        *before, last = [
            f"[{part.inline_data.mime_type} {len(part.inline_data.data)}]" if part.inline_data else part.text or ""
            for part in parts
        ]
        if last == "fail":
            raise RuntimeError("broken")
        if last == "wait":
            await asyncio.sleep(8)
        answer = types.Part(text=" ".join(before) if last == "remember" else f"You said {last}.")
        if last == "ask":
            answer = types.Part(function_call=types.FunctionCall(name="ask", args={"question": "Which one?"}))
        if last == "file":
            answer = types.Part(inline_data=types.Blob(data=b"a,b\n1,2\n", mime_type="text/csv", display_name="t.csv"))
        yield LlmResponse(content=types.Content(role="model", parts=[answer]))
