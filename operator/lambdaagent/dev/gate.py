"""Whether an agent may be called, for whoever wants to call it: calls to one that is starting wait, as on Knative.

A gate outlives the processes of its agent. Invariant: a call that waits goes on when the agent takes connections, fails
with the cause when its process ended without ever taking one, and waits no longer than it may.
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
        """Why calls fail at once; empty: they go through, or wait."""
        self._up = asyncio.Event()
        self._decided = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._up.is_set()

    def starting(self) -> None:
        """Calls wait from now on."""
        self.problem = ""
        self._up.clear()
        self._decided.clear()

    def opened(self) -> None:
        self.problem = ""
        self._up.set()
        self._decided.set()

    def broken(self, problem: str) -> None:
        """Calls fail from now on, those that wait too."""
        self.problem = problem
        self._up.clear()
        self._decided.set()

    async def up(self) -> None:
        """Returns once the agent takes connections, however long that takes."""
        await self._up.wait()

    async def passed(self, *, within: float) -> None:
        """Raises UpstreamError where the agent cannot be called, or not in time."""
        try:
            async with asyncio.timeout(within):
                await self._decided.wait()
        except TimeoutError:
            raise UpstreamTimeoutError(f"it was still starting after {within:g} s") from None
        if self.problem:
            raise ConnectError(self.problem)


class PatientClient(HttpClient):
    """`gates` by the target that each stands before; another target is called as it is."""

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
