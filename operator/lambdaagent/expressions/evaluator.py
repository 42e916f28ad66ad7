"""Evaluates jq expressions in a few processes, each bounded in memory and each answer in time.

An expression that does not end, or that needs too much memory, costs its process, which is replaced; the evaluation
fails with a reason. Nothing that a document says is computed in this process.
"""

import asyncio
import importlib.util
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from lambdaagent.errors import PermanentError, TemporaryError
from lambdaagent.expressions.lending import Lending

_WORKER = Path(__file__).with_name("jq_worker.py")
_START_SECONDS = 20.0
_FIRST = b'{"expressions": ["."], "value": 1, "variables": {}}\n'


class ExpressionError(PermanentError):
    """An expression is not jq, fails for its input, or exceeds a bound. `at` is its place among those given."""

    def __init__(self, text: str, at: int = 0) -> None:
        super().__init__(text)
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionLimits:
    processes: int = 2
    seconds: float = 1.0  # of a processor, for the expressions of one evaluation together
    patience: float = 15.0  # seconds until an answer is given up, on a machine that is busy with other things
    memory: int = 128 * 1024 * 1024  # bytes of address space of a process
    result: int = 1024 * 1024  # characters of the results of one evaluation


@dataclass(slots=True)
class Evaluator:
    limits: ExpressionLimits = field(default_factory=ExpressionLimits)
    _lending: "Lending[Process | None]" = field(default_factory=Lending)
    _all: set[Process] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Processes start when they are first needed, and end with the context."""
        self._lending.offer([None] * self.limits.processes)
        try:
            yield
        finally:
            for process in list(self._all):
                await self._end(process)

    async def evaluate(
        self, expressions: Sequence[str], value: Any, variables: Mapping[str, Any], *, holder: str
    ) -> list[Any]:
        """Return the first output of each expression for the same input; null for one without an output.

        Holders take turns. Raises ExpressionError, TemporaryError.
        """
        if not expressions:
            return []
        found: list[Any] = await self._ask(
            {"expressions": list(expressions), "value": value, "variables": dict(variables)}, holder
        )
        return found

    async def check(self, expressions: Sequence[str], variables: Sequence[str], *, holder: str) -> None:
        """Raises ExpressionError for the first expression that is not jq, TemporaryError."""
        if expressions:
            request = {"expressions": list(expressions), "value": None, "variables": dict.fromkeys(variables)}
            await self._ask({**request, "check": True}, holder)

    async def _ask(self, request: dict[str, Any], holder: str) -> Any:
        line = orjson.dumps(request) + b"\n"
        free = await self._lending.borrow(holder)
        process: Process | None = None
        try:
            process = free if free is not None and free.returncode is None else await self._start()
            answer = await self._exchange(process, line)
        except BaseException:  # a cancelled evaluation leaves an answer behind, so its process cannot be used again
            if process is not None:
                await self._end(process)
            process = None
            raise
        finally:
            self._lending.give_back(holder, process)
        if "error" in answer:
            raise ExpressionError(answer["error"], answer["at"])
        return answer["results"]

    async def _exchange(self, process: Process, line: bytes) -> Any:
        too_long = f"it did not end within {self.limits.seconds:g} s"
        try:
            async with asyncio.timeout(self.limits.patience):
                answer = await _sent(process, line)
                ended = await process.wait() if not answer.endswith(b"\n") else 0
        except TimeoutError:
            raise ExpressionError(too_long) from None
        except (ConnectionError, ValueError):
            answer, ended = b"", 0
        if not answer.endswith(b"\n"):
            raise ExpressionError(
                too_long if ended == -signal.SIGPROF else "it needs too much memory, or makes jq crash"
            )
        return orjson.loads(answer)

    async def _start(self) -> Process:
        spec = importlib.util.find_spec("jq")
        if spec is None or spec.origin is None:
            raise TemporaryError("expressions cannot be evaluated: the package jq is not installed")
        where, limits = str(Path(spec.origin).parent), self.limits
        arguments = ("-I", str(_WORKER), where, str(limits.memory), str(limits.result), str(limits.seconds))
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                cwd="/",
                limit=limits.result + 1024,
            )
        except OSError as error:
            raise TemporaryError(f"expressions cannot be evaluated: no process can be started: {error}") from None
        self._all.add(process)
        try:
            async with asyncio.timeout(_START_SECONDS):  # of Python and jq; the time of an evaluation begins after it
                if not await _sent(process, _FIRST):
                    raise TemporaryError("expressions cannot be evaluated: the process of jq ends at once")
        except (TimeoutError, ConnectionError) as error:
            await self._end(process)
            raise TemporaryError(f"expressions cannot be evaluated: {error or 'jq does not start'}") from None
        except BaseException:
            await self._end(process)
            raise
        return process

    async def _end(self, process: Process) -> None:
        self._all.discard(process)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if process.stdin is not None:
            process.stdin.close()


async def _sent(process: Process, line: bytes) -> bytes:
    """Return the answer to a request; empty if the process ended."""
    if process.stdin is None or process.stdout is None:
        return b""
    process.stdin.write(line)
    await process.stdin.drain()
    return await process.stdout.readline()
