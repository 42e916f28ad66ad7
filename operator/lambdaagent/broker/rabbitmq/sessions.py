"""Repeats what uses one connection or channel for as long as it lives: opens it again, with back-off, when it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NoReturn

from lambdaagent.backoff import Backoff
from lambdaagent.errors import LambdaAgentError

Session = Callable[[Callable[[], None]], Awaitable[None]]
"""Opens, works and returns when it has ended. It calls its argument once it works, which ends the back-off."""


async def repeat(session: Session, *, backoff: Backoff, failed: Callable[[LambdaAgentError], None]) -> NoReturn:
    """Run the session until cancelled, again after each end. `failed` is called with each LambdaAgentError."""
    own = replace(backoff)
    while True:
        try:
            await session(own.reset)
        except LambdaAgentError as error:
            failed(error)
        await asyncio.sleep(own.next())
