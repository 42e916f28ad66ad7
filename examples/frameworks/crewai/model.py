"""A model that answers by fixed rules, without an API key, for the example and the tests. Replace it with your own."""

import asyncio
import re
import time
from typing import Any

from crewai import BaseLLM


class Rules(BaseLLM):
    def __init__(self) -> None:
        super().__init__(model="rules")

    def _answer(self, messages: Any) -> str:
        prompt = messages if isinstance(messages, str) else messages[-1]["content"]
        found = re.search(r"Current Task: (.*?)\n", prompt + "\n")
        text = found[1].strip() if found else prompt
        if text == "fail":
            raise RuntimeError("broken")
        return f"You said {text}."

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        answer = self._answer(messages)
        if answer == "You said wait.":
            time.sleep(8)
        return answer

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        answer = self._answer(messages)
        if answer == "You said wait.":
            await asyncio.sleep(8)
        return answer
