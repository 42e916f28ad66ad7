"""Checks values against schemas of agents without holding the event loop.

Most values are small and are checked at once, with few steps. The rest is checked in a thread, so other requests have
their turns, and few at a time, so the threads leave the interpreter to the loop.
"""

import asyncio

from lambdaagent.json_schema.checker import Checker, ExhaustedError, few_values

_SMALL_VALUES, _SMALL_TEXT, _SMALL_STEPS = 200, 16_384, 500
_THREADS = 2


class SchemaChecks:
    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_THREADS)

    async def violations(self, checker: Checker, value: object, *, name: str) -> list[str]:
        """Return what is wrong, with its path below `name`; nothing if the value is valid."""
        if few_values(value, most=_SMALL_VALUES, characters=_SMALL_TEXT):
            try:
                return checker.violations(value, name=name, steps=_SMALL_STEPS)
            except ExhaustedError:
                pass  # the schema makes much work of a small value
        async with self._slots:
            try:
                return await asyncio.to_thread(checker.violations, value, name=name)
            except ExhaustedError:
                return [f"{name}: takes too long to check against the schema; send less"]
