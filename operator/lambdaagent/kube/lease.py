"""Leader election by a Lease: at most one process works at a time, whatever the clocks and the network do.

Clocks of other contenders are never trusted. A contender measures from when it last saw the record change, and takes
the lease over only after a whole lease duration without a change. The leader stops without being asked: if no renewal
has succeeded for `renew_deadline` seconds, counted from before the last successful request was sent, the leading
coroutine is cancelled. `renew_deadline` is shorter than the duration.

Hazard: a process that was paused may still act when it resumes. Check `leading` before a write that must not be made
twice.

The library's own election is not used: it never creates its Lease, and its leading task runs on after the election has
ended.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from lambdaagent.cancellation import cancel
from lambdaagent.children.base import Object
from lambdaagent.errors import PermanentError, TemporaryError
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.errors import ConflictError, NotFoundError
from lambdaagent.kube.events import micro_time, utc_now
from lambdaagent.kube.resources import LEASE

log = structlog.get_logger(__name__)


class StillLeadingError(PermanentError):
    """The lease is lost and the work did not stop in time; this process must end before another one starts."""


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Times in seconds; docs/decisions/0010-lease-times.md explains why they are so short."""

    duration: float = 8.0
    renew_deadline: float = 16 / 3
    retry_period: float = 16 / 15

    def __post_init__(self) -> None:
        if not 0 < self.retry_period < self.renew_deadline < self.duration:
            raise ValueError("a lease needs 0 < retry_period < renew_deadline < duration")


@dataclass
class Lease:
    client: KubeClient
    name: str
    identity: str
    """Unique per process and not per pod: a restarted container must not inherit the lease of one that still runs."""
    namespace: str
    settings: LeaseSettings = field(default_factory=LeaseSettings)
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    holder: str = field(default="", init=False)
    """The identity of the leader, as last read."""
    _record: Object | None = field(default=None, init=False)
    _seen_at: float = field(default=0.0, init=False)
    _renewed_at: float = field(default=float("-inf"), init=False)
    _mine: Object | None = field(default=None, init=False)

    @property
    def leading(self) -> bool:
        return self._mine is not None and self.monotonic() < self._renewed_at + self.settings.renew_deadline

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, run `lead()`, and wait again whenever the lease was lost.

        Returns when `lead()` returns and raises what it raises. The lease is released then, and when this coroutine is
        cancelled. Raises StillLeadingError if the work does not stop in time after a loss.
        """
        while True:
            await self._acquire()
            log.info("lease.acquired", lease=self.name, identity=self.identity)
            work = asyncio.create_task(_await(lead()), name=f"lead {self.name}")
            try:
                if not await self._keep_while(work):
                    await work
                    return
                log.warning("lease.lost", lease=self.name, identity=self.identity, holder=self.holder)
                await self._stop(work)
            except StillLeadingError:
                raise  # the work did not stop, so it cannot be awaited as below
            except BaseException:
                await cancel(work)
                raise
            finally:
                if work.done():
                    await self._release()

    async def _acquire(self) -> None:
        while not await self._try():
            await self.sleep(self._pause())

    async def _keep_while(self, work: asyncio.Task[None]) -> bool:
        """Renew until the work ends (False) or the lease is lost (True)."""
        while True:
            pause = asyncio.ensure_future(_await(self.sleep(self._pause())))
            try:
                await asyncio.wait([work, pause], return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
            if work.done():
                return False
            await self._try()
            if not self.leading:
                return not work.done()

    async def _stop(self, work: asyncio.Task[None]) -> None:
        """Stop the work within the time that is left before another contender may take over."""
        work.cancel()
        left = self.settings.duration - self.settings.renew_deadline
        await asyncio.wait([work], timeout=left)
        if not work.done():
            raise StillLeadingError(
                f"the lease {self.namespace}/{self.name} is lost and the work did not stop within {left:g} s; this "
                f"process must end so that the next leader is alone"
            )
        if not work.cancelled() and (problem := work.exception()) is not None:
            log.error("leader.stop_failed", lease=self.name, exc_info=problem)

    async def _try(self) -> bool:
        """Try once to acquire or renew the lease; return whether this process holds it."""
        begun = self.monotonic()
        try:
            # Bounded, so that a renewal that hangs cannot outlast the deadline.
            async with asyncio.timeout(self._request_limit(begun)):
                written = await self._attempt()
        except (TemporaryError, TimeoutError) as problem:
            log.info(
                "lease.renew_failed" if self._mine else "lease.acquire_failed", lease=self.name, error=str(problem)
            )
            return False
        if written is None:
            self._mine = None
            return False
        self._mine, self._renewed_at = written, begun
        return True

    async def _attempt(self) -> Object | None:
        path = LEASE.path(namespace=self.namespace, name=self.name)
        if self._mine is not None:
            # Usually no other process has written to it, and it need not be read.
            with contextlib.suppress(ConflictError, NotFoundError):
                return await self._write(self._mine)
        try:
            found = await self._request("GET", path, None)
        except NotFoundError:
            return await self._create()
        spec = found.get("spec", {})
        self.holder = spec.get("holderIdentity") or ""
        if self._record != spec:
            self._record, self._seen_at = spec, self.monotonic()
        if self.holder not in ("", self.identity):
            # The duration in the record may be longer than ours; the longer one counts.
            duration = max(float(spec.get("leaseDurationSeconds") or 0), self.settings.duration)
            if self.monotonic() < self._seen_at + duration:
                return None
            log.warning("lease.expired", lease=self.name, identity=self.identity, holder=self.holder)
        return await self._write(found)

    async def _create(self) -> Object:
        body = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self._spec(acquired=micro_time(self.now()), transitions=0),
        }
        created = await self._request("POST", LEASE.path(namespace=self.namespace), body)
        self._record, self._seen_at, self.holder = created["spec"], self.monotonic(), self.identity
        return created

    async def _write(self, found: Object) -> Object:
        spec = found.get("spec", {})
        mine = self.holder == self.identity
        acquired = spec.get("acquireTime") if mine else None
        transitions = int(spec.get("leaseTransitions") or 0) + (0 if mine else 1)
        body = found | {"spec": self._spec(acquired=acquired or micro_time(self.now()), transitions=transitions)}
        # The version that was read guards the write: one of two contenders gets a ConflictError. For a leader this is
        # not yet a loss (the Lease may only have been labelled): it reads who holds the lease.
        written = await self._request("PUT", LEASE.path(namespace=self.namespace, name=self.name), body)
        self._record, self._seen_at, self.holder = written["spec"], self.monotonic(), self.identity
        return written

    async def _release(self) -> None:
        """Release the lease if possible; otherwise the next leader waits for the lease duration."""
        mine, self._mine = self._mine, None
        if mine is None:
            return
        spec = self._spec(acquired=None, transitions=int(mine["spec"].get("leaseTransitions") or 0))
        body = mine | {"spec": spec | {"holderIdentity": "", "leaseDurationSeconds": 1}}
        try:
            async with asyncio.timeout(self.settings.retry_period):
                await self._request("PUT", LEASE.path(namespace=self.namespace, name=self.name), body)
        except (TemporaryError, PermanentError, TimeoutError) as problem:
            log.info("lease.release_failed", lease=self.name, error=str(problem))
        self.holder = ""

    def _spec(self, *, acquired: str | None, transitions: int) -> Object:
        now = micro_time(self.now())
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.settings.duration)),
            "acquireTime": acquired or now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    def _request_limit(self, begun: float) -> float:
        if self._mine is None:
            return self.settings.renew_deadline
        return max(0.01, min(self.settings.renew_deadline / 2, self._renewed_at + self.settings.renew_deadline - begun))

    def _pause(self) -> float:
        """Return the seconds until the next attempt: jittered for a contender; for a leader, at most until its
        deadline."""
        if self._mine is None:
            return self.settings.retry_period * random.uniform(1.0, 1.2)  # noqa: S311
        left = self._renewed_at + self.settings.renew_deadline - self.monotonic()
        return max(0.0, min(self.settings.retry_period, left))

    async def _request(self, method: str, path: str, body: Any) -> Object:
        target = LEASE.named(namespace=self.namespace, name=self.name)
        answer: Object = await self.client.request(
            method, path, action="hold", target=target, body=body, timeout=self.settings.renew_deadline
        )
        return answer


async def _await(awaitable: Awaitable[None]) -> None:
    await awaitable
