"""A model that answers by fixed rules, without an API key, for the example and the tests. Replace it with your own."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from strands.models import Model


class Rules(Model):
    def update_config(self, **model_config: Any) -> None:
        """Ignore the configuration: the model has none."""

    def get_config(self) -> dict[str, Any]:
        return {"model_id": "rules"}

    async def structured_output(self, *args: Any, **kwargs: Any) -> AsyncGenerator[dict[str, Any], None]:
        raise NotImplementedError
        yield {}

    async def stream(self, messages: list[dict[str, Any]], *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        blocks = [block for message in messages if message["role"] == "user" for block in message["content"]]
        if "toolResult" in blocks[-1]:
            text = f"You were asked and said {blocks[-1]['toolResult']['content'][0]['text']}."
        else:
            *before, last = [block.get("text") or f"[{'/'.join(block)}]" for block in blocks]
            if last == "fail":
                raise RuntimeError("broken")
            if last == "wait":
                await asyncio.sleep(8)
            text = " ".join(before) if last == "remember" else f"You said {last}."
            if last == "ask":
                yield {"messageStart": {"role": "assistant"}}
                yield {"contentBlockStart": {"start": {"toolUse": {"name": "ask", "toolUseId": "ask-1"}}}}
                yield {"contentBlockDelta": {"delta": {"toolUse": {"input": "{}"}}}}
                yield {"contentBlockStop": {}}
                yield {"messageStop": {"stopReason": "tool_use"}}
                return
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": {}}}
        for word in text.split(" "):
            yield {"contentBlockDelta": {"delta": {"text": word + " "}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}
