"""What is done now and then: this replica says that it lives, sees to what dead ones left, and forgets what is old.

Several replicas see the same orphans. Each writes the next version of the task, and one write succeeds; that one begins
the task anew where its skill is idempotent, and fails it with the reason where it is not.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from lambdaagent.agents.callee import Callee, timeout
from lambdaagent.errors import TemporaryError
from lambdaagent.store.errors import ConflictError
from lambdaagent.store.records import TaskRecord
from lambdaagent.tasks.carrying import GRACE, last_of_client, travels
from lambdaagent.tasks.live import Limits, Live
from lambdaagent.tasks.lives import Lives
from lambdaagent.tasks.running import Runner

log = structlog.get_logger(__name__)


class Keeper:
    def __init__(
        self,
        *,
        lives: Lives,
        runner: Runner,
        lookup: Callable[[str, str], Callee | None],
        limits: Limits,
        replica: str,
    ) -> None:
        self._lives = lives
        self._runner = runner
        self._lookup = lookup
        self._limits = limits
        self._replica = replica
        self._tasks: list[asyncio.Task[None]] = []
        # Before its first sign of life this replica must hold nothing: another one would take it over.
        self.begun = False

    async def start(self) -> None:
        try:
            await self.beat()
        except TemporaryError as error:
            log.warning("tasks.not_begun", reason=str(error))
        self._tasks = [
            asyncio.create_task(self._every(self._limits.tidy_every, self.tidy), name="tasks-tidy"),
            asyncio.create_task(self._every(self._limits.beat_every, self.beat), name="tasks-beat"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def tidy(self) -> int:
        """How many tasks were forgotten."""
        before = self._lives.clock.now() - self._limits.retention
        return await self._lives.store.prune(before=before, keep=self._limits.kept)

    async def beat(self) -> None:
        store = self._lives.store
        await store.beat(self._replica, seconds=self._limits.lease)
        self.begun = True
        if dead := [holder for holder in await store.dead() if holder != self._replica]:
            for record in await store.unsettled(holders=dead):
                await self._adopt(record)
        for record in await store.overdue(now=self._lives.clock.now()):
            await self._fail(record, "No answer to the task came in time.")

    async def _adopt(self, record: TaskRecord) -> None:
        callee = self._lookup(record.namespace, record.agent)
        skill = callee.skills.get(record.skill) if callee is not None and record.skill is not None else None
        message, now = last_of_client(record), self._lives.clock.now()
        if callee is None and now < record.deadline:
            return  # not known here yet
        # A call that travels as an event is sent again under the same id, and whoever has it already knows it.
        idempotent = travels(skill) or (skill is not None and skill.invoke is not None and skill.invoke.idempotent)
        log.info("task.orphaned", task=record.id, agent=f"{record.namespace}/{record.agent}", again=idempotent)
        if callee is None or not idempotent or message is None:
            await self._fail(record, "The gateway was restarted while the task was running.")
            return
        mine = replace(
            record,
            version=record.version + 1,
            holder=self._replica,
            updated=now,
            deadline=now + timeout(skill) + GRACE,
        )
        try:
            await self._lives.store.append(mine, updates=[])
        except ConflictError:
            return
        self._runner.dispatch(Live(mine), callee, skill, message, traceparent=None)

    async def _fail(self, record: TaskRecord, text: str) -> None:
        try:
            await self._lives.fail(self._lives.known(record.id) or Live(record), text)
        except ConflictError:
            log.info("task.pruned", task=record.id)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:  # the root of this task
                self._lives.observer.crashed()
                log.exception("tasks.keeping_failed")
