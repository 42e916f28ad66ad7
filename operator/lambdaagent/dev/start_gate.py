"""Holds back calls to an agent that is starting, as Knative does.

A gate outlives the processes of its agent. Invariant: a waiting call continues when the agent accepts connections,
fails with the cause if the agent's process ends without ever accepting one, and waits no longer than its timeout.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

from lambdaagent.httpclient.client import HttpClient, Response
from lambdaagent.httpclient.errors import ConnectError, UpstreamTimeoutError
from lambdaagent.httpclient.pool import PoolLimits
from lambdaagent.httpclient.wire import Target
from lambdaagent.trust import SYSTEM


class Gate:
    def __init__(self) -> None:
        self.problem = ""
        """Why calls fail at once; empty if they pass or wait."""
        self._up = asyncio.Event()
        self._decided = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._up.is_set()

    def starting(self) -> None:
        """Let calls wait from now on."""
        self.problem = ""
        self._up.clear()
        self._decided.clear()

    def opened(self) -> None:
        self.problem = ""
        self._up.set()
        self._decided.set()

    def broken(self, problem: str) -> None:
        """Let calls fail from now on, including those that wait."""
        self.problem = problem
        self._up.clear()
        self._decided.set()

    async def up(self) -> None:
        """Wait until the agent accepts connections, without a timeout."""
        await self._up.wait()

    async def passed(self, *, within: float) -> None:
        """Wait until the agent can be called. Raises UpstreamError if it cannot, or not `within` this many seconds."""
        try:
            async with asyncio.timeout(within):
                await self._decided.wait()
        except TimeoutError:
            raise UpstreamTimeoutError(f"it was still starting after {within:g} s") from None
        if self.problem:
            raise ConnectError(self.problem)


class PatientClient(HttpClient):
    """Waits at the gate of a target in `gates` before it calls the target; other targets are called directly."""

    def __init__(
        self,
        *,
        limits: PoolLimits,
        gates: Mapping[Target, Gate],
        monotonic: Callable[[], float] = time.monotonic,
        tls: Callable[[], ssl.SSLContext] = SYSTEM.context,
    ) -> None:
        super().__init__(limits=limits, tls=tls)
        self._gates = gates
        self._monotonic = monotonic

    async def request(self, target: Target, *, first_byte: float, total: float, **request: Any) -> Response:
        gate = self._gates.get(target)
        if gate is not None and not gate.is_open:
            begun = self._monotonic()
            await gate.passed(within=min(first_byte, total))
            waited = self._monotonic() - begun
            first_byte, total = max(0.1, first_byte - waited), max(0.1, total - waited)
        return await super().request(target, first_byte=first_byte, total=total, **request)
