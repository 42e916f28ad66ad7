"""Detects declared objects that were deleted on RabbitMQ, and makes them again.

There are three signs: the broker cancels the consumers of a deleted queue, a publish to a missing exchange fails, and
every few seconds everything is checked. The interval grows with the duration of a round, so that the checks take a
small share of the time: a broker with thousands of queues is checked less often.

Hazard: after a quorum queue is deleted and made again at once, its consumers receive nothing and no cancellation (seen
on 3.10). So a queue that is found missing, by a report or by a check, is made a second later (`topology.mend`): the
consumers of every process detach. Where others make it again at once, no AMQP method shows it, and only the replacement
of consumers at intervals ends it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import structlog

from lambdaagent.broker.protocol import Loss
from lambdaagent.broker.rabbitmq.log_limit import LogLimit
from lambdaagent.errors import LambdaAgentError

log = structlog.get_logger(__name__)
_SHARE = 0.1  # the part of the time that checks may take
_KEPT = 1000
"""The number of losses that are remembered; the oldest are dropped."""


@dataclass
class Upkeep:
    standing: Callable[[], Iterable[str]]
    """Returns the exchanges that were declared."""
    mend: Callable[[str], Awaitable[dict[str, str] | None]]
    """Returns what was missing and its problem; None: the exchange is no longer wanted."""
    mend_shared: Callable[[], Awaitable[None]]
    """Makes again what belongs to no exchange."""
    ready: Callable[[], bool]
    every: float = 5.0
    now: Callable[[], float] = time.time
    logged: LogLimit = field(default_factory=LogLimit)
    losses: dict[str, Loss] = field(default_factory=dict, init=False)
    _refused: dict[str, frozenset[str]] = field(default_factory=dict, init=False)  # refused names by exchange
    _told: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def tell(self) -> None:
        """Request a check soon, because something may have been deleted."""
        self._told.set()

    async def run(self) -> None:
        """Check until cancelled."""
        pause = self.every
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._told.wait()
            except TimeoutError:
                pass
            self._told.clear()
            began = time.monotonic()
            if self.ready():
                try:
                    await self._look()
                except Exception:  # the outermost handler of this asyncio task: a failed check must not be the last
                    log.exception("topology.check_crashed")
            pause = max(self.every, (time.monotonic() - began) / _SHARE)

    async def _look(self) -> None:
        for exchange in list(self.standing()):
            try:
                found = await self.mend(exchange)
            except LambdaAgentError as problem:
                if self.logged.news(f"exchange {exchange}", str(problem)):
                    log.warning("topology.check_failed", exchange=exchange, error=str(problem))
            else:
                self.logged.over(f"exchange {exchange}")
                if found is not None:
                    self.note(exchange, found)
        try:
            await self.mend_shared()
        except LambdaAgentError as problem:
            if self.logged.news("delays", str(problem)):
                log.warning("delay_queues.check_failed", error=str(problem))
        else:
            self.logged.over("delays")

    def note(self, exchange: str, found: dict[str, str]) -> None:
        """Note what was missing of the exchange, with RabbitMQ's refusal, or "" where it was made again."""
        for name, problem in found.items():
            if problem:
                if self.logged.news(name, problem):
                    log.error("topology.recreate_failed", name=name, error=problem)
            else:
                self.logged.over(name)
                next_step = "find out who deletes it, or which policy expires it; the messages in it are lost"
                log.warning("topology.recreated", name=name, next_step=next_step)
            # A refused object keeps the time at which it was first seen to be missing.
            known = self.losses.pop(name, None)
            self.losses[name] = Loss(known.at if known and problem else self.now(), problem)
        for name in self._refused.get(exchange, frozenset()) - found.keys():
            self.logged.over(name)
            self.losses[name] = Loss(self.losses[name].at if name in self.losses else self.now())
        self._refused[exchange] = frozenset(name for name, problem in found.items() if problem)
        while len(self.losses) > _KEPT:
            del self.losses[next(iter(self.losses))]
