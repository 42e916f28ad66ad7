"""One agent's process under its guard: output line by line, restart with back-off, an end that is waited for."""

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

# A process that lasted so long was well; its next failure starts the back-off anew.
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
    """Until cancelled; then the process and all its descendants are gone. `output` gets the name and each line.

    `started` gets the id of the process whose descendants the agent is, `ended` the agent's exit code.
    """
    while True:
        begun = monotonic()
        code = await _run(name, command, environment=environment, folder=folder, output=output, started=started)
        if monotonic() - begun > HEALTHY_SECONDS:
            backoff.reset()
        wait = backoff.next()
        log.warning("agent ended", agent=name, exit_code=code, restart_seconds=round(wait, 1))
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
        # Such as a folder that went away, or variables that are larger than the system takes.
        raise PermanentError(f"{name}: its process cannot be started: {error}") from None
    assert process.stdin is not None  # noqa: S101 -- asked for
    assert process.stdout is not None  # noqa: S101
    started(process.pid)
    try:
        await _copy(process.stdout, lambda line: output(name, line))
        return await process.wait()
    finally:
        # The guard ends everything when this end closes.
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
        # Ctrl-C is dev's to handle.
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
