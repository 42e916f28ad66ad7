"""Runs documents on the machine without a gateway: records in a dict, effects that count, and jq in this process."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jq

from lambdaagent.coordination.workflow_document import check
from lambdaagent.coordination.workflow_effects import EventFilter
from lambdaagent.coordination.workflow_errors import WorkflowError, fault
from lambdaagent.coordination.workflow_machine import NOTHING, Machine

Json = dict[str, Any]
HEAD = {"dsl": "1.0.3", "namespace": "default", "name": "w", "version": "1.0.0"}


class CrashError(Exception):
    """The process ends here."""


@dataclass
class Steps:
    known: dict[str, Json] = field(default_factory=dict)
    crash_at: int = -1  # the number of the record at which the process ends
    written: bool = True  # whether that record is written first
    count: int = 0

    def recorded(self, key: str) -> Json | None:
        return self.known.get(key)

    async def record(self, key: str, value: Json) -> None:
        assert key not in self.known, f"{key} has a record already"
        self.count += 1
        crashes = self.count == self.crash_at
        if not crashes or self.written:
            self.known[key] = json.loads(json.dumps(value))
        if crashes:
            raise CrashError


@dataclass
class Effects:
    """Calls are counted by key; the first two of a step that `flaky` names fail."""

    time: float = 1_000.0
    done: Counter[str] = field(default_factory=Counter)
    results: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    arriving: list[Json] = field(default_factory=list)
    emitted: list[Json] = field(default_factory=list)
    http: Any = None  # what `call: http` answers: a function of its arguments

    def now(self) -> float:
        return self.time

    def chance(self) -> float:
        return 0.5

    async def until(self, at: float) -> None:
        self.slept.append(max(0.0, at - self.time))
        self.time = max(self.time, at)

    async def evaluate(self, texts: Sequence[str], value: Any, variables: Mapping[str, Any]) -> list[Any]:
        names = sorted(variables)
        bound = ", ".join(f"${name}" for name in names)
        try:
            return [
                next(
                    iter(
                        jq.compile(f". as [$__v{', ' + bound if names else ''}] | $__v | (\n{text}\n)").input_value(
                            [value, *(variables[name] for name in names)]
                        )
                    ),
                    None,
                )
                for text in texts
            ]
        except ValueError as error:
            raise fault("expression", str(error)) from None

    async def call(self, kind: str, given: Json, value: Any, key: str) -> Any:
        self.done[key] += 1
        if self.http is not None:
            return self.http(given, value)
        if given["parameters"].get("fails"):
            raise fault("communication", "no", status=503)
        return self.results.setdefault(key, {"n": len(key)})

    async def emit(self, event: Json, key: str) -> Json:
        made = {"id": key, "specversion": "1.0", "time": "2026-01-01T00:00:00Z", **event}
        self.emitted.append(made)
        return made

    async def listen(self, how: str, filters: Sequence[EventFilter]) -> list[Json]:
        return self.arriving

    async def listened(self, events: Iterable[Json]) -> None:
        return None

    def tell(self, event: str, place: str, key: str, more: Json) -> None:
        self.events.append((event, place))


@dataclass
class Result:
    output: Any = None
    error: Json | None = None


def document(do: Any, **more: Any) -> Json:
    made = {"document": HEAD, "do": do, **more}
    faults, _ = check(made)
    assert faults == [], faults
    return made


async def run(made: Json, given: Any = None, *, steps: Steps | None = None, effects: Effects | None = None) -> Result:
    """Runs until the end, or until CrashError."""
    steps, effects = steps or Steps(), effects or Effects()
    exported = [value["context"] for value in steps.known.values() if "context" in value]
    machine = Machine(
        document=made,
        run_id="r",
        input=given,
        started_at=1_000.0,
        steps=steps,
        effects=effects,
        context=exported[-1] if exported else NOTHING,
    )
    try:
        return Result(output=await machine.run())
    except WorkflowError as error:
        return Result(error=error.as_json())
