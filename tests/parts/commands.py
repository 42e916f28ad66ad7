"""Runs the `lambdaagent` command as a process."""

import asyncio
import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


async def dlq(*args: str, stdin: str = "", secrets: tuple[str, ...] = (), **settings: str) -> Done:
    """Runs `lambdaagent events dlq`."""
    return await run("events", "dlq", *args, stdin=stdin, secrets=secrets, **settings)


async def run(*args: str, stdin: str = "", secrets: tuple[str, ...] = (), **settings: str) -> Done:
    """Runs the command with these settings, and asserts that its output holds none of the secrets and no traceback."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("LAMBDAAGENT_")}
    env |= {f"LAMBDAAGENT_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambdaagent", *args, env=env, cwd="/",  # a folder without the data of `lambdaagent dev`
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate(stdin.encode())
    done = Done(process.returncode or 0, out.decode(), err.decode())
    for secret in secrets:
        assert secret not in done.out + done.err
    assert "Traceback" not in done.err, done.err
    return done
