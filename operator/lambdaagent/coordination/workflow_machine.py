"""Runs a workflow's document: in which order tasks follow, what data they get, and what is known of them already.

Every task has a key, which its place and its visit determine. What a task came to is recorded under its key before the
next one begins. A machine that is given records takes each recorded result instead of executing the task, so it goes on
where another one stopped: it repeats no expression, no wait and no recorded effect.

Pure but for its `Steps`, which keep the records, and its `Effects`, which do everything else. Hazard: an effect whose
record was not written is done again, under the same key; so `Effects` make it the same effect by that key.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.cancellation import cancel
from lambdaagent.clock import rfc3339
from lambdaagent.coordination import workflow_expressions as expressions
from lambdaagent.coordination import workflow_retry as retry
from lambdaagent.coordination.workflow_document import kind_of, pointer
from lambdaagent.coordination.workflow_effects import Effects, EventFilter, Steps
from lambdaagent.coordination.workflow_errors import WorkflowError, fault, restored
from lambdaagent.coordination.workflow_fields import seconds
from lambdaagent.coordination.workflow_text import Path

_RUNTIME = {"name": "lambdaagent", "version": "1.0.3", "metadata": {}}
NOTHING: Any = object()
"""No task has exported a context yet: it is the workflow's input."""
Task = Mapping[str, Any]
Variables = Mapping[str, Any]


class _EndedError(Exception):
    """The directive `end`: the workflow completes with this output."""

    def __init__(self, output: Any) -> None:
        super().__init__("end")
        self.output = output


@dataclass(frozen=True, slots=True)
class _Place:
    """A task in the document, and in the run."""

    name: str
    task: Task
    path: Path
    key: str
    raw: Any  # its input, before `input.from`
    variables: Variables

    @property
    def pointer(self) -> str:
        return pointer(self.path)


@dataclass(kw_only=True)
class Machine:
    document: Json
    run_id: str
    input: Any
    started_at: float
    steps: Steps
    effects: Effects
    context: Any = NOTHING  # of the latest record that has one
    _branches: int = field(default=1, init=False)  # that run beside one another
    _waits: list[float] = field(default_factory=list, init=False)  # when the branches that only wait go on
    _deadlines: list[float] = field(default_factory=list, init=False)

    def idle_until(self) -> float | None:
        """Return when the run goes on or ends, if all that it does is wait; infinity if only an event can tell."""
        return min(self._waits + self._deadlines) if len(self._waits) >= self._branches > 0 else None

    async def _idle(self, until: float, waiting: Awaitable[Any]) -> Any:
        self._waits.append(until)
        try:
            return await waiting
        finally:
            self._waits.remove(until)

    async def run(self) -> Any:
        """Return the workflow's output. Raises WorkflowError if it faults."""
        given = await self._once("/input", self._begin)
        if self.context is NOTHING:
            self.context = given["value"]
        longest = seconds(self.document.get("timeout", {}).get("after"))
        until = self.started_at + longest if longest is not None else None
        output = await self._within(until, lambda: self._whole(given["value"]))
        made = await self._once("/output", lambda: self._end(output))
        return made["value"]

    async def _begin(self) -> Json:
        return {"value": await self._data(self.document.get("input", {}).get("from", "."), self.input, {})}

    async def _end(self, output: Any) -> Json:
        template = self.document.get("output", {}).get("as", ".")
        return {"value": await self._data(template, output, {"context": self.context})}

    async def _whole(self, given: Any) -> Any:
        try:
            return await self._scope(self.document["do"], ("do",), "", given, {})
        except _EndedError as end:
            return end.output

    async def _once(self, key: str, work: Callable[[], Awaitable[Json]]) -> Json:
        known = self.steps.recorded(key)
        if known is None:
            known = await work()
            await self.steps.record(key, known)
        return known

    async def _within(self, until: float | None, work: Callable[[], Awaitable[Any]]) -> Any:
        if until is None:
            return await work()
        self._deadlines.append(until)
        try:
            async with asyncio.timeout(max(0.0, until - self.effects.now())) as limit:
                return await work()
        except TimeoutError:
            if not limit.expired():
                raise
            raise fault("timeout", "it did not end in time") from None
        finally:
            self._deadlines.remove(until)

    async def _scope(self, tasks: Sequence[Json], path: Path, key: str, given: Any, variables: Variables) -> Any:
        """Run the tasks of a list in the order that their directives say."""
        names = [next(iter(item)) for item in tasks]
        visits = dict.fromkeys(names, 0)
        at, data = 0, given
        while at < len(tasks):
            name = names[at]
            visit = f"#{visits[name]}" if visits[name] else ""
            visits[name] += 1
            place = _Place(name, tasks[at][name], (*path, at, name), f"{key}/{name}{visit}", data, variables)
            data, then = await self._task(place)
            if then == "exit":
                break
            if then == "end":
                raise _EndedError(data)
            at = names.index(then) if then != "continue" else at + 1
            if self.steps.recorded(place.key) is not None:
                await asyncio.sleep(0)  # a long replay leaves the loop to others
        return data

    async def _task(self, place: _Place) -> tuple[Any, str]:
        """Return the task's output, and where it leads."""
        known = self.steps.recorded(place.key)
        if known is None:
            if self.steps.recorded(f"{place.key}+") is None:
                self._tell("task.created", place, {"createdAt": self._time()})
                self._tell("task.started", place, {"startedAt": self._time()})
            try:
                known = await self._execute(place)
            except WorkflowError as error:
                error.instance = error.instance or place.pointer
                known = {"error": error.as_json()}
            except _EndedError as end:
                known = {"end": end.output}
            await self._settle(place, known)
        if "error" in known:
            raise restored(known["error"])
        if "end" in known:
            raise _EndedError(known["end"])
        if "events" in known:
            await self.effects.listened(known["events"])
        return known["output"], known["then"]

    async def _settle(self, place: _Place, known: Json) -> None:
        await self.steps.record(place.key, known)
        if "context" in known:
            self.context = known["context"]
        if "error" in known:
            self._tell("task.faulted", place, {"faultedAt": self._time(), "error": known["error"]})
        else:
            self._tell("task.completed", place, {"completedAt": self._time()})

    async def _execute(self, place: _Place) -> Json:
        task, kind = place.task, kind_of(place.task)
        entered = await self._enter(place, lasting=kind in ("do", "for", "fork", "try", "wait", "listen"))
        if entered["skipped"]:
            return {"output": place.raw, "then": "continue"}
        given = entered["input"]
        more: Json = {}
        body = getattr(self, f"_{kind}")
        output = await self._within(entered.get("until"), lambda: body(place, given, entered, more))
        bound = self._described(place, output) | {"input": given}
        if "as" in task.get("output", {}):
            output = await self._data(task["output"]["as"], output, bound)
        known = {"output": output, "then": more.pop("then", task.get("then", "continue")), **more}
        if "as" in task.get("export", {}):
            known["context"] = await self._data(task["export"]["as"], output, bound | {"output": output})
        return known

    async def _enter(self, place: _Place, *, lasting: bool) -> Json:
        """Decide whether the task runs, with which input and until when. A task that lasts has a record of it."""
        timeout = seconds(place.task.get("timeout", {}).get("after"))

        async def enter() -> Json:
            bound = self._described(place)
            if "if" in place.task and not await self._truth(place.task["if"], place.raw, bound | {"input": place.raw}):
                return {"skipped": True}
            template = place.task.get("input", {}).get("from")
            given = await self._data(template, place.raw, bound) if template is not None else place.raw
            entered: Json = {"skipped": False, "input": given, "begun": self.effects.now()}
            if timeout is not None:
                entered["until"] = entered["begun"] + timeout
            if "for" in place.task:
                entered["items"] = await self._items(place, given)
            return entered

        if not lasting and timeout is None:
            return await enter()
        return await self._once(f"{place.key}+", enter)

    async def _items(self, place: _Place, given: Any) -> list[Any]:
        items = await self._one(place.task["for"]["in"], given, self._described(place) | {"input": given})
        if not isinstance(items, list):
            raise fault("validation", f"`for.in` must give a list, and gave {_kind(items)}")
        return items

    # ---- the kinds of tasks: each returns its output

    async def _do(self, place: _Place, given: Any, _entered: Json, _more: Json) -> Any:
        return await self._scope(place.task["do"], (*place.path, "do"), place.key, given, place.variables)

    async def _for(self, place: _Place, given: Any, entered: Json, _more: Json) -> Any:
        loop, data = place.task["for"], given
        for number, item in enumerate(entered["items"]):
            key = f"{place.key}[{number}]"
            variables = {**place.variables, loop.get("each", "item"): item, loop.get("at", "index"): number}
            if "while" in place.task:
                inner = _Place(place.name, place.task, place.path, key, data, variables)
                if not await self._decide(f"{key}?", place.task["while"], data, self._described(inner)):
                    break
            data = await self._scope(place.task["do"], (*place.path, "do"), key, data, variables)
        return data

    async def _fork(self, place: _Place, given: Any, _entered: Json, _more: Json) -> Any:
        fork = place.task["fork"]
        places = [
            _Place(
                (name := next(iter(item))),
                item[name],
                (*place.path, "fork", "branches", number, name),
                f"{place.key}|{name}",
                given,
                place.variables,
            )
            for number, item in enumerate(fork["branches"])
        ]
        branches = [asyncio.create_task(self._branch(each), name=f"workflow {each.key}") for each in places]
        self._branches += len(branches) - 1  # the task itself goes on when they have ended
        for branch in branches:
            branch.add_done_callback(self._ended)
        try:
            if fork.get("compete", False):
                return await self._first(place, places, branches)
            await asyncio.wait(branches, return_when=asyncio.FIRST_EXCEPTION)
            for branch in branches:
                if branch.done() and not branch.cancelled() and (error := branch.exception()) is not None:
                    raise error
            return [branch.result() for branch in branches]
        finally:
            self._branches += 1
            await cancel(*branches)

    def _ended(self, _: "asyncio.Task[Any]") -> None:
        self._branches -= 1

    async def _branch(self, place: _Place) -> Any:
        output, then = await self._task(place)
        if then == "end":
            raise _EndedError(output)
        return output

    async def _first(self, place: _Place, places: Sequence[_Place], branches: Sequence["asyncio.Task[Any]"]) -> Any:
        """Return the output of the branch that completes first; if all fault, the error of the first one."""
        known = self.steps.recorded(f"{place.key}=")
        if known is not None:
            number = known["winner"]
        else:
            number = await _winner(branches)
            await self.steps.record(f"{place.key}=", {"winner": number})
            for each, branch in zip(places, branches, strict=True):
                if not branch.done():
                    self._tell("task.cancelled", each, {"cancelledAt": self._time()})
        return await branches[number]

    async def _switch(self, place: _Place, given: Any, _entered: Json, more: Json) -> Any:
        bound = self._described(place) | {"input": given}
        for item in place.task["switch"]:
            [case] = item.values()
            if "when" not in case or await self._truth(case["when"], given, bound):
                more["then"] = case["then"]
                break
        return given

    async def _set(self, place: _Place, given: Any, _entered: Json, _more: Json) -> Any:
        return await self._filled(place.task["set"], given, self._described(place) | {"input": given})

    async def _call(self, place: _Place, given: Any, _entered: Json, _more: Json) -> Any:
        filled = await self._filled(place.task["with"], given, self._described(place) | {"input": given})
        return await self.effects.call(place.task["call"], filled, given, place.key)

    async def _emit(self, place: _Place, given: Any, _entered: Json, _more: Json) -> Any:
        event = place.task["emit"]["event"]["with"]
        return await self.effects.emit(
            await self._filled(event, given, self._described(place) | {"input": given}), place.key
        )

    async def _listen(self, place: _Place, given: Any, _entered: Json, more: Json) -> Any:
        """The events that were taken are part of the record: none of them is taken twice."""
        listen, bound = place.task["listen"], self._described(place) | {"input": given}
        [(how, wanted)] = listen["to"].items()
        filters = [await self._filter(each, given, bound) for each in ([wanted] if how == "one" else wanted)]
        self.effects.tell("workflow.correlation-started", "", place.key, {"startedAt": self._time()})
        events = await self._idle(inf, self.effects.listen(how, filters))
        self.effects.tell("workflow.correlation-completed", "", place.key, {"completedAt": self._time()})
        more["events"] = [{"id": each["id"]} for each in events]
        return events if listen.get("read", "data") == "envelope" else [each.get("data") for each in events]

    async def _filter(self, wanted: Json, given: Any, bound: Json) -> EventFilter:
        attributes = {name: each for name, each in wanted["with"].items() if name != "data"}
        test: str | None = wanted["with"].get("data")

        async def passes(data: Any) -> bool:
            return test is None or await self._truth(test, data, bound)

        return EventFilter(await self._filled(attributes, given, bound), passes)

    async def _raise(self, place: _Place, given: Any, _entered: Json, _more: Json) -> Any:
        error = place.task["raise"]["error"]
        filled = await self._filled(error, given, self._described(place) | {"input": given})
        raise WorkflowError(
            str(filled["type"]), filled["status"], str(filled.get("title", "")), str(filled.get("detail", ""))
        )

    async def _wait(self, place: _Place, given: Any, entered: Json, _more: Json) -> Any:
        until = entered["begun"] + (seconds(place.task["wait"]) or 0.0)
        await self._idle(until, self.effects.until(until))
        return given

    async def _try(self, place: _Place, given: Any, entered: Json, _more: Json) -> Any:
        task, attempt = place.task, 0
        while True:
            key = f"{place.key}~{attempt}" if attempt else place.key
            try:
                return await self._scope(task["try"], (*place.path, "try"), key, given, place.variables)
            except WorkflowError as error:
                attempt += 1
                decided = await self._caught(place, given, error, f"{place.key}!{attempt}", attempt, entered["begun"])
                if decided["action"] == "raise":
                    raise
                if decided["action"] == "retry":
                    await self._idle(decided["until"], self.effects.until(decided["until"]))
                    continue
                if "do" not in task["catch"]:
                    return given
                variables = {**place.variables, task["catch"].get("as", "error"): error.as_json()}
                return await self._scope(
                    task["catch"]["do"], (*place.path, "catch", "do"), f"{place.key}!", given, variables
                )

    async def _caught(
        self, place: _Place, given: Any, error: WorkflowError, key: str, attempt: int, begun: float
    ) -> Json:
        catch = place.task["catch"]
        bound = self._described(place) | {"input": given, catch.get("as", "error"): error.as_json()}

        async def applies(of: Mapping[str, Any]) -> bool:
            if "when" in of and not await self._truth(of["when"], given, bound):
                return False
            return "exceptWhen" not in of or not await self._truth(of["exceptWhen"], given, bound)

        async def decide() -> Json:
            if not retry.matches(catch, error) or not await applies(catch):
                return {"action": "raise"}
            policy, now = catch.get("retry"), self.effects.now()
            left = policy is not None and retry.retries(policy, attempt=attempt, begun=begun, now=now)
            if left and await applies(policy):
                after = retry.delay(policy, attempt=attempt, chance=self.effects.chance())
                self._tell("task.retried", place, {"retriedAt": self._time()}, key=key)
                return {"action": "retry", "until": now + after}
            # What was tried as often as it may be is raised, unless there is a handler.
            return {"action": "catch" if policy is None or "do" in catch else "raise"}

        return await self._once(key, decide)

    # ---- expressions

    def _described(self, place: _Place, output: Any = None) -> Json:
        """Return the arguments of the expressions of a task."""
        described: Json = {
            "name": place.name,
            "reference": place.pointer,
            "definition": place.task,
            "input": place.raw,
            "output": output,
        }
        return {**place.variables, "context": self.context, "task": described}

    def _workflow(self) -> Json:
        at = self.started_at
        moment = {"seconds": int(at), "milliseconds": int(at * 1000)}
        return {
            "id": self.run_id,
            "definition": self.document,
            "input": self.input,
            "startedAt": {"iso8601": rfc3339(at, digits="milliseconds"), "epoch": moment},
        }

    async def _decide(self, key: str, text: str, value: Any, bound: Json) -> bool:
        async def decide() -> Json:
            return {"value": await self._truth(text, value, bound | {"input": value})}

        return bool((await self._once(key, decide))["value"])

    async def _truth(self, text: str, value: Any, bound: Json) -> bool:
        return await self._one(text, value, bound) not in (None, False)

    async def _one(self, text: str, value: Any, bound: Json) -> Any:
        return (await self._evaluated([expressions.bare(text)], value, bound))[0]

    async def _data(self, template: Any, value: Any, bound: Json) -> Any:
        """Return what `from` or `as` makes: an expression, or an object with expressions in it."""
        if template in (".", "${.}", "${ . }"):
            return value
        return await (self._one if isinstance(template, str) else self._filled)(template, value, bound)

    async def _filled(self, template: Any, value: Any, bound: Json) -> Any:
        found = list(expressions.within(template))
        results = await self._evaluated(found, value, bound) if found else []
        return expressions.filled(template, iter(results))

    async def _evaluated(self, texts: Sequence[str], value: Any, bound: Json) -> list[Any]:
        """Evaluate with those arguments that occur in the expressions: all of them may be large."""
        every = dict.fromkeys(expressions.ARGUMENTS) | bound
        every |= {"workflow": self._workflow(), "runtime": _RUNTIME}
        used = {name: each for name, each in every.items() if any(f"${name}" in text for text in texts)}
        return await self.effects.evaluate(texts, value, used)

    def _tell(self, event: str, place: _Place, more: Json, *, key: str = "") -> None:
        self.effects.tell(event, place.pointer, key or place.key, more)

    def _time(self) -> str:
        return rfc3339(self.effects.now(), digits="milliseconds")


async def _winner(branches: Sequence["asyncio.Task[Any]"]) -> int:
    waiting = set(branches)
    failed: list[int] = []
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for number, branch in enumerate(branches):
            if branch in done:
                error = branch.exception()
                if error is None or isinstance(error, _EndedError):
                    return number
                if not isinstance(error, WorkflowError):
                    raise error
                failed.append(number)
    return failed[0]


def _kind(value: Any) -> str:
    names = {dict: "an object", str: "a text", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
