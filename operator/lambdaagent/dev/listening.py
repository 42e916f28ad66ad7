"""Waits until an agent accepts connections on its port, and logs what prevents it if that takes long."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from lambdaagent.dev import ports

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.05


async def until_listening(
    port: int,
    *,
    process: int,
    agent: str,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    connects: Callable[[int], Awaitable[bool]] | None = None,
    listeners: Callable[[int], Sequence[str] | None] = ports.listening,
) -> None:
    """Return when the agent accepts connections. After `PATIENCE_SECONDS` a warning is logged once. The agent's
    processes are descendants of `process`."""
    begun, said = monotonic(), False
    while not await (connects or _connects)(port):
        if not said and monotonic() - begun >= PATIENCE_SECONDS:
            said = True
            found = await asyncio.to_thread(listeners, process)
            log.warning("agent.listen_failed", agent=agent, error=problem(port, found), next_step=_NEXT_STEP)
        await sleep(_POLL_SECONDS)


_NEXT_STEP = "let the agent listen on $PORT, or give it the port in its command as $(PORT); calls wait until then"


def problem(port: int, found: Sequence[str] | None) -> str:
    """Return the warning's text. `found` is the addresses on which the agent listens; None if that is not known."""
    begin = f"nothing accepts connections on its port {port} (the variable PORT) after {PATIENCE_SECONDS:g} s"
    if found is None:
        return begin
    return f"{begin}; it listens on {', '.join(found)}" if found else f"{begin}; it listens on no port yet"


async def _connects(port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 1.0)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
