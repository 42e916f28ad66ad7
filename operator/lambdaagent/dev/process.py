"""Runs one agent's process under its guard: passes on its output by lines, and restarts it with back-off."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.dev import guard
from lambdaagent.errors import PermanentError

log = structlog.get_logger(__name__)

# Seconds after which a process counts as healthy; its next failure resets the back-off.
HEALTHY_SECONDS = 30.0
_LINE_LIMIT = 64 * 1024


async def keep_running(
    name: str,
    command: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    folder: Path,
    output: Callable[[str, str], None],
    started: Callable[[int], None],
    ended: Callable[[int], None],
    backoff: Backoff,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Run until cancelled; on return the process and all its descendants have ended. `output` gets name and line.

    `started` gets the id of the guard, of which the agent's processes are descendants; `ended` gets the exit code.
    """
    while True:
        begun = monotonic()
        code = await _run(name, command, environment=environment, folder=folder, output=output, started=started)
        if monotonic() - begun > HEALTHY_SECONDS:
            backoff.reset()
        wait = backoff.next()
        log.warning("agent.exited", agent=name, exit_code=code, restart_seconds=round(wait, 1))
        ended(code)
        await asyncio.sleep(wait)


async def _run(
    name: str,
    command: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    folder: Path,
    output: Callable[[str, str], None],
    started: Callable[[int], None],
) -> int:
    try:
        process = await _guarded(command, environment=environment, folder=folder)
    except (OSError, ValueError) as error:
        # Such as a folder that no longer exists, or variables that are larger than the system allows.
        raise PermanentError(f"{name}: its process cannot be started: {error}") from None
    assert process.stdin is not None  # noqa: S101 -- a pipe was requested
    assert process.stdout is not None  # noqa: S101
    started(process.pid)
    try:
        await _copy(process.stdout, lambda line: output(name, line))
        return await process.wait()
    finally:
        # The guard ends all processes when this end closes.
        process.stdin.close()
        await asyncio.shield(process.wait())


async def _guarded(
    command: tuple[str, ...], *, environment: Mapping[str, str], folder: Path
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        guard.__file__,
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
        cwd=folder,
        limit=_LINE_LIMIT,
        # dev handles Ctrl-C.
        start_new_session=True,
    )


async def _copy(stream: asyncio.StreamReader, output: Callable[[str], None]) -> None:
    while True:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            if end.partial:
                output(end.partial.decode(errors="replace"))
            return
        except asyncio.LimitOverrunError as overrun:
            line = await stream.readexactly(overrun.consumed)
        output(line.decode(errors="replace").rstrip("\r\n"))
