"""Keeps workflows, and runs them: each run on one replica at a time, each step recorded before the next one begins.

Invariant: a run is held by a lease in the database, and only its holder records steps. A replica that ends leaves its
runs to others, which take what is recorded and go on after it. So does a run that waits for long: it needs no memory
until it goes on, at any replica.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from lambdaagent import shares
from lambdaagent.a2a import Json
from lambdaagent.backoff import spread
from lambdaagent.cancellation import cancel
from lambdaagent.clock import rfc3339
from lambdaagent.coordination.workflow import ENDED, Listener, Run, Workflow
from lambdaagent.coordination.workflow_errors import WorkflowError, fault
from lambdaagent.coordination.workflow_machine import NOTHING, Machine
from lambdaagent.errors import LambdaAgentError
from lambdaagent.expressions.evaluator import Evaluator
from lambdaagent.messaging.messages import Messages
from lambdaagent.store.coordination import parking
from lambdaagent.store.coordination import workflows as table
from lambdaagent.store.coordination.database import Database, Notice
from lambdaagent.store.coordination.workflows import LostRunError
from lambdaagent.workflows.effects import Host, RunEffects, RunLimits, RunSteps
from lambdaagent.workflows.validation import checked

log = structlog.get_logger(__name__)

_SWEEP = 1.0
_PRUNE = 60.0
_RETENTION = 30 * 86_400.0
_AT_ONCE = 50
_LOOK = 5.0  # seconds after which whoever waits for a run looks again, should a notice be lost


@dataclass(slots=True)
class _Held:
    run: Run
    effects: RunEffects
    task: "asyncio.Task[None] | None" = None
    machine: Machine | None = None
    idle_since: float | None = None

    async def end(self) -> None:
        if self.task is not None:
            await cancel(self.task)

    def leave(self) -> None:
        """End the work on a run that goes on elsewhere."""
        self.effects.goes_on = True
        self.cancel()

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def goes_on_at(self, now: float, *, patience: float) -> float | None:
        """Return when a run goes on that has waited for a while, and will."""
        until = self.machine.idle_until() if self.machine is not None else None
        if until is None or until - now < patience:
            self.idle_since = None
            return None
        if self.idle_since is None:
            self.idle_since = now
        return until if now - self.idle_since >= patience else None


@dataclass(kw_only=True)
class Workflows:
    database: Database
    host: Host
    evaluator: Evaluator
    messages: Messages
    replica: str
    told: Callable[[str, Run, str, str, Json], None]
    changed: Callable[[Workflow], None]
    removed: Callable[[str], None]
    limits: RunLimits = field(default_factory=RunLimits)
    _running: dict[str, _Held] = field(default_factory=dict, init=False)
    _some: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _heard: dict[Notice, None] = field(default_factory=dict, init=False)
    _one: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _waiting: dict[str, set[asyncio.Event]] = field(default_factory=lambda: defaultdict(set), init=False)
    _shown: set[str] = field(default_factory=set, init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.database.on_notice(self._hear, missed=self._missed)
        async with self.evaluator.running():
            await self._show_all()
            loops = (self._claim(), self._watch(), self._renew(), self._park(), self._prune())
            tasks = [asyncio.create_task(each, name="workflows") for each in loops]
            try:
                yield
            finally:
                await cancel(*tasks)
                held = list(self._running.values())
                for each in held:
                    each.leave()
                await asyncio.gather(*(each.end() for each in held))
                with suppress(LambdaAgentError):  # otherwise the leases end
                    await self.database.run(lambda tx: table.release(tx, self.replica))

    # ---- definitions

    async def define(self, text: bytes, *, by: str, access: Callable[[Json], Json]) -> tuple[Workflow, bool]:
        """Return the workflow, and whether it is new. `access` reads who else may run it from the document's metadata.

        Raises BadWorkflowError, IdInUseError, TooManyError, TemporaryError.
        """
        document = await checked(text, self.evaluator, by=by)
        head = document["document"]
        workflow = Workflow(
            name=head["name"],
            version=head["version"],
            document=document,
            access=access(head.get("metadata", {})),
            created_by=by,
        )
        new = await self.database.run(lambda tx: table.define(tx, workflow, most=self.limits.workflows))
        await self._show(workflow.name)
        return await self.workflow(workflow.name) or workflow, new

    async def workflow(self, name: str) -> Workflow | None:
        return await self.database.read(lambda tx: table.find_workflow(tx, name))

    async def workflows(self, *, after: str, limit: int) -> list[Workflow]:
        return await self.database.read(lambda tx: table.listed_workflows(tx, after=after, limit=limit))

    async def undefine(self, name: str, *, by: str) -> bool:
        """Its runs go on: each has the document with which it began."""
        done = await self.database.run(lambda tx: table.undefine(tx, name, by))
        await self._show(name)
        return done

    # ---- runs

    async def submit(
        self, workflow: Workflow, given: Any, *, by: str, principal: str, run_id: str = "", depth: int = 0
    ) -> tuple[Run, bool]:
        """Return the run, once it is durable, and whether it is new. Raises TooManyError, StoreError."""
        run = Run(
            run_id=run_id or f"run_{secrets.token_hex(16)}",
            workflow=workflow.name,
            version=workflow.version,
            document=workflow.document,
            input=given,
            created_by=by,
            principal=principal,
            depth=depth,
        )
        known = await self.database.run(lambda tx: table.submit(tx, run, most=self.limits.of_owner))
        return (known, False) if known is not None else (await self.run(run.run_id) or run, True)

    async def run(self, run_id: str) -> Run | None:
        return await self.database.read(lambda tx: table.find(tx, run_id))

    async def listeners(self, run_ids: Sequence[str]) -> list[Listener]:
        return await self.database.read(lambda tx: table.listeners(tx, run_ids))

    async def runs(self, name: str, *, owner: str | None, status: str | None) -> list[Run]:
        return await self.database.read(
            lambda tx: table.listed(tx, workflow=name, owner=owner, status=status, limit=self.limits.page)
        )

    async def cancel(self, run_id: str, *, by: str) -> tuple[Run, bool] | None:
        """Return the run, and whether it was cancelled now."""
        done = await self.database.run(lambda tx: table.cancel(tx, run_id, by))
        if done is not None and done[1]:
            self._say("cancelled", done[0], {"cancelledAt": self._time()})
            await self._forget(run_id)
        return done

    async def ended(self, run_id: str) -> Run | None:
        """Return the run when it has ended; None if there is no such run any more."""
        some = asyncio.Event()
        self._waiting[run_id].add(some)
        try:
            while True:
                some.clear()
                run = await self.run(run_id)
                if run is None or run.status in ENDED:
                    return run
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):
                        await some.wait()
        finally:
            self._waiting[run_id].discard(some)
            if not self._waiting[run_id]:
                del self._waiting[run_id]

    async def counts(self) -> dict[str, int]:
        return await self.database.read(table.counts)

    # ---- what other replicas change

    def _hear(self, notice: Notice) -> None:
        if notice.kind not in (table.NOTICE, table.DEFINED):
            return
        self._some.set()
        for each in self._waiting.get(notice.id, ()):
            each.set()
        if notice.kind == table.DEFINED or notice.id in self._running:
            self._heard[notice] = None
            self._one.set()

    def _missed(self) -> None:
        self._some.set()
        self._heard[Notice(table.DEFINED, "")] = None
        self._one.set()

    async def _watch(self) -> None:
        while True:
            await self._one.wait()
            self._one.clear()
            heard, self._heard = self._heard, {}
            try:
                for notice in heard:
                    if notice.kind == table.DEFINED:
                        await (self._show(notice.id) if notice.id else self._show_all())
                    elif (held := self._running.get(notice.id)) is not None:
                        now = await self.run(notice.id)
                        if now is None or now.status == "cancelled":
                            held.cancel()
                        elif now.epoch != held.run.epoch:
                            held.leave()
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("workflow.watch_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
                await asyncio.sleep(_SWEEP)
                self._heard |= heard
                self._one.set()

    async def _show(self, name: str) -> None:
        found = await self.workflow(name)
        if found is not None:
            self._shown.add(name)
            self.changed(found)
        elif name in self._shown:
            self._shown.discard(name)
            self.removed(name)

    async def _show_all(self) -> None:
        names: set[str] = set()
        try:
            last = ""
            while page := await self.workflows(after=last, limit=self.limits.page):
                last = page[-1].name
                for each in page:
                    names.add(each.name)
                    self.changed(each)
        except Exception as error:  # the root of a loop that nothing may end
            log.warning("workflow.list_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
            self._heard[Notice(table.DEFINED, "")] = None
            self._one.set()
            return
        for name in self._shown - names:
            self.removed(name)
        self._shown = names

    # ---- executing

    async def _claim(self) -> None:
        while True:
            self._some.clear()
            room = shares.room((each.run.created_by for each in self._running.values()), most=self.limits.at_once)
            limit = min(room.limit, _AT_ONCE)
            taken = await self._taken(limit, room.without) if limit > 0 else []
            for run in taken:
                if (old := self._running.get(run.run_id)) is not None:  # its lease ended while the database was away
                    old.leave()
                    await old.end()
                effects = RunEffects(
                    run=run,
                    database=self.database,
                    host=self.host,
                    evaluator=self.evaluator,
                    messages=self.messages,
                    told=self.told,
                )
                held = self._running[run.run_id] = _Held(run, effects)
                held.task = asyncio.create_task(self._execute(held), name=f"run {run.run_id}")
            if len(taken) < max(limit, 1):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_SWEEP):
                        await self._some.wait()

    async def _taken(self, limit: int, without: Collection[str]) -> list[Run]:
        lease = self.limits.lease
        try:
            return await self.database.run(
                lambda tx: table.claim(tx, self.replica, limit=limit, lease=lease, without=without)
            )
        except Exception as error:  # the root of a loop that nothing may end
            log.warning("run.claim_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
            return []

    async def _execute(self, held: _Held) -> None:
        run, effects = held.run, held.effects
        try:
            await self._work(held)
        except LostRunError:
            effects.goes_on = True
            log.info("run.lost", run=run.run_id, epoch=run.epoch)
        except LambdaAgentError as error:  # of the database: the lease ends, and another replica goes on
            effects.goes_on = True
            log.warning("run.unsettled", run=run.run_id, error=str(error))
        except Exception:  # the root of this task
            log.exception("run.crashed", run=run.run_id)
            with suppress(LambdaAgentError):
                await self._finish(run, error=fault("runtime", "the gateway failed; see its log"))
        finally:
            if self._running.get(run.run_id) is held:
                del self._running[run.run_id]
            self._some.set()

    async def _work(self, held: _Held) -> None:
        run = held.run
        known = await self._recorded(run.run_id)
        exported = [value["context"] for value in known.values() if "context" in value]
        began = run.started_at if run.started_at is not None else self.database.now()
        steps = RunSteps(run=run, database=self.database, limits=self.limits, known=known)
        machine = held.machine = Machine(
            document=run.document,
            run_id=run.run_id,
            input=run.input,
            started_at=began,
            steps=steps,
            effects=held.effects,
            context=exported[-1] if exported else NOTHING,
        )
        if run.epoch == 1:
            self._say("started", run, {"startedAt": self._time(), "definition": _definition(run)})
        else:
            log.info("run.resumed", run=run.run_id, epoch=run.epoch, steps=len(known))
        try:
            async with asyncio.timeout(max(0.0, began + self.limits.seconds - self.database.now())):
                output = await machine.run()
        except WorkflowError as error:
            await self._finish(run, error=error)
        except TimeoutError:
            await self._finish(run, error=fault("timeout", f"a run has at most {self.limits.seconds:g} s"))
        else:
            await self._finish(run, output=output)

    async def _recorded(self, run_id: str) -> dict[str, Json]:
        """Return the records of a run in the order in which they were written."""
        known: dict[str, Json] = {}
        last = 0
        while page := await self.database.read(lambda tx, n=last: table.recorded(tx, run_id, after=n)):  # type: ignore[misc]
            last = page[-1][0]
            known |= {step: value for _, step, value in page}
        return known

    async def _finish(self, run: Run, *, output: Any = None, error: WorkflowError | None = None) -> None:
        status, shown = ("completed", None) if error is None else ("faulted", error.as_json())
        done = await self.database.run(lambda tx: table.finish(tx, run, status, output=output, error=shown))
        if not done:
            raise LostRunError(run.run_id)
        log.info("run.ended", run=run.run_id, workflow=run.workflow, status=status, error=str(error) if error else "")
        if error is None:
            self._say("completed", run, {"completedAt": self._time(), "output": output})
        else:
            self._say("faulted", run, {"faultedAt": self._time(), "error": shown})
        await self._forget(run.run_id)

    async def _forget(self, run_id: str) -> None:
        for subscription, *_ in await self.messages.subscribed([run_id]):
            await self.messages.unsubscribe(subscription)

    def _say(self, event: str, run: Run, data: Json) -> None:
        self.told(f"workflow.{event}", run, "", "", data)

    def _time(self) -> str:
        return rfc3339(self.database.now(), digits="milliseconds")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.limits.lease / 3)
            held = dict(self._running)
            try:
                mine = await self.database.run(
                    lambda tx, ids=list(held): table.renew(tx, self.replica, ids, lease=self.limits.lease)  # type: ignore[misc]
                )
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("run.renew_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
                continue
            for run_id in held.keys() - mine:
                now = await self._found(run_id)
                if now is not None and now.status == "cancelled":
                    held[run_id].cancel()
                elif now is not None:
                    held[run_id].leave()

    async def _park(self) -> None:
        """Let go of the runs that have waited for a while and go on later."""
        while True:
            await asyncio.sleep(min(self.limits.patience / 4, _SWEEP))
            now, until = self.database.now(), dict[str, tuple[Run, float]]()
            for run_id, held in self._running.items():
                if (at := held.goes_on_at(now, patience=self.limits.patience)) is not None:
                    began = held.run.started_at if held.run.started_at is not None else now
                    until[run_id] = (held.run, min(at, began + self.limits.seconds))
            if not until:
                continue
            try:
                parked = await self.database.run(lambda tx, which=until: parking.park(tx, which))  # type: ignore[misc]
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("run.park_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
                continue
            for run_id in parked:
                left = self._running.get(run_id)
                if left is not None and left.run is until[run_id][0]:
                    left.leave()
            log.debug("run.parked", runs=len(parked))

    async def _found(self, run_id: str) -> Run | None:
        try:
            return await self.run(run_id)
        except LambdaAgentError:
            return None

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(spread(_PRUNE))
            try:
                gone = await self.database.run(lambda tx: table.prune(tx, before=tx.now - _RETENTION, limit=_AT_ONCE))
                for run_id in gone:
                    await self._forget(run_id)
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("run.prune_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))


def _definition(run: Run) -> Json:
    head = run.document["document"]
    return {name: head[name] for name in ("name", "namespace", "version")}
