"""Failures and their frequency: processes die by SIGKILL and start again on their data; PostgreSQL is also paused.

One failure at a time, in a random order, each over before the next one begins.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

import tests.integration.durability.container as containers
from tests.integration.durability.container import Note
from tests.parts.container_process import ContainerProcess
from tests.parts.postgres import Postgres
from tests.parts.process import PartFailedError

Outage = tuple[float, float]  # seconds


class Part(Protocol):
    def kill(self) -> None: ...
    def start(self) -> None: ...


class CalledContainer(ContainerProcess):
    def notes(self) -> list[Note]:
        return containers.notes(self.log.read_text())


def container_process(folder: Path) -> CalledContainer:
    return CalledContainer(Path(containers.__file__), folder)


@dataclass(frozen=True)
class Kill:
    kind: str
    began: float
    back: float


@dataclass(frozen=True)
class Failure:
    """A kind of failure: `strike` returns when the part works again, and `share` is its weight."""

    kind: str
    share: int
    strike: Callable[[], Awaitable[None]]


def killing(kind: str, share: int, parts: Sequence[Part], *, chance: Random) -> Failure:
    async def strike() -> None:
        part = chance.choice(parts)
        await asyncio.to_thread(part.kill)
        await asyncio.to_thread(_started, part)

    return Failure(kind, share, strike)


def pausing(share: int, postgres: Postgres, *, seconds: Outage, chance: Random) -> Failure:
    async def strike() -> None:
        postgres.pause()
        try:
            await asyncio.sleep(chance.uniform(*seconds))
        finally:
            postgres.resume()

    return Failure("PostgreSQL paused", share, strike)


def stopping(share: int, postgres: Postgres, *, seconds: Outage, chance: Random) -> Failure:
    async def strike() -> None:
        await asyncio.to_thread(postgres.stop)
        await asyncio.sleep(chance.uniform(*seconds))
        await asyncio.to_thread(postgres.start)

    return Failure("PostgreSQL stopped", share, strike)


async def strike_all(
    failures: Sequence[Failure], *, count: int, pace: Outage, chance: Random, kills: list[Kill]
) -> None:
    """Causes `count` failures, each kind by its share, and adds them to `kills`."""
    for failure in _drawn(failures, count, chance):
        await asyncio.sleep(chance.uniform(*pace))
        began = time.time()
        await failure.strike()
        kills.append(Kill(failure.kind, began, time.time()))


def _drawn(failures: Sequence[Failure], count: int, chance: Random) -> list[Failure]:
    """Returns failures in random order, with none of RabbitMQ in the first third: 3.10 may lose a new quorum queue."""
    deck = [failure for failure in failures for _ in range(failure.share)]
    drawn: list[Failure] = []
    while len(drawn) < count:
        drawn += chance.sample(deck, len(deck))
    early, late = drawn[: count // 3], drawn[count // 3 : count]
    for place, failure in enumerate(early):
        if failure.kind == "RabbitMQ" and (others := [n for n, each in enumerate(late) if each.kind != "RabbitMQ"]):
            other = chance.choice(others)
            early[place], late[other] = late[other], failure
    return early + late


def _started(part: Part) -> None:
    """Starts a part, several times if need be: what a killed server leaves may hold its lock for a moment."""
    for _ in range(5):
        try:
            part.start()
        except PartFailedError:
            time.sleep(0.2)
        else:
            return
    part.start()
