"""What fails, and how often: processes by kill -9, each started again on its data, and PostgreSQL also for a while.

One failure at a time, in a random order, each over before the next one begins.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

import tests.integration.durability.container as containers
from tests.integration.durability.container import Note
from tests.parts.postgres import Postgres
from tests.parts.process import PartFailedError, Process, free_port, listens

Outage = tuple[float, float]  # seconds


class Part(Protocol):
    def kill(self) -> None: ...
    def start(self) -> None: ...


@dataclass
class ContainerProcess:
    folder: Path
    port: int = field(default_factory=free_port)
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        log = self.folder / "container.txt"
        log.touch()
        self.process = Process(
            "container", [sys.executable, containers.__file__, str(self.port), str(log)], folder=self.folder
        )
        self.process.await_ready(lambda: listens(self.port), within=20)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def notes(self) -> list[Note]:
        return containers.notes((self.folder / "container.txt").read_text())


@dataclass(frozen=True)
class Kill:
    kind: str
    began: float
    back: float


@dataclass(frozen=True)
class Failure:
    """`strike` returns when what it struck works again; `share` says how often it is chosen."""

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
    """`count` failures, of each kind in its share."""
    for failure in _drawn(failures, count, chance):
        await asyncio.sleep(chance.uniform(*pace))
        began = time.time()
        await failure.strike()
        kills.append(Kill(failure.kind, began, time.time()))


def _drawn(failures: Sequence[Failure], count: int, chance: Random) -> list[Failure]:
    """RabbitMQ not in the first third: 3.10 may lose a quorum queue that it made in the second before its end."""
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
    """What a killed server left behind may hold its lock for a moment."""
    for _ in range(5):
        try:
            part.start()
        except PartFailedError:
            time.sleep(0.2)
        else:
            return
    part.start()
