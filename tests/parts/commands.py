"""The command as a process, whose output holds no secret."""

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
    return await run("events", "dlq", *args, stdin=stdin, secrets=secrets, **settings)


async def run(*args: str, stdin: str = "", secrets: tuple[str, ...] = (), **settings: str) -> Done:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LAMBDAAGENT_")}
    env |= {f"LAMBDAAGENT_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lambdaagent", *args, env=env, cwd="/",  # where no dev left its folder
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate(stdin.encode())
    done = Done(process.returncode or 0, out.decode(), err.decode())
    for secret in secrets:
        assert secret not in done.out + done.err
    assert "Traceback" not in done.err, done.err
    return done
