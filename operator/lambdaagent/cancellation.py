"""Ends asyncio tasks: cancels them and waits until the last one has ended.

What a task returns or raises stays with it; nothing is raised here but the cancellation of the caller.
"""

import asyncio
from typing import Any


async def cancel(*tasks: "asyncio.Task[Any]") -> None:
    """A task that does not end when it is cancelled is waited for, however long that takes."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
