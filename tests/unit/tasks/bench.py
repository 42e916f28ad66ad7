"""An engine with a container whose responses a test sets."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.parts.polling import eventually

from lambdaagent.a2a import params
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.params import Send
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import artifact_update, status_update
from lambdaagent.api.agent import parse
from lambdaagent.clock import Clock, system
from lambdaagent.containers.call import Caller
from lambdaagent.containers.callee import Callee, callee
from lambdaagent.containers.turn import Turn
from lambdaagent.events.cloudevents import Event
from lambdaagent.tasks.active_task import EventOutcome
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.push_delivery import EngineStore

Json = dict[str, Any]
CLOCK = system()
QUICK = EngineLimits(look_every=0.05, beat_every=0.05, lease=0.3, patience=0.2)  # seconds


@dataclass
class Observed:
    states: list[TaskState] = field(default_factory=list)
    events: list[EventOutcome] = field(default_factory=list)
    crashes: int = 0

    def settled(self, state: TaskState) -> None:
        self.states.append(state)

    def event(self, outcome: EventOutcome) -> None:
        self.events.append(outcome)

    def crashed(self) -> None:
        self.crashes += 1


def completed(text: str = "done") -> list[Json]:
    return [artifact_update({"artifactId": text, "parts": [{"text": text}]}), status_update(TaskState.COMPLETED, now=1)]


@dataclass
class Container:
    """A container whose calls run `answer`; `turns` holds the calls."""

    answer: Callable[[Turn], Awaitable[list[Json]]]
    turns: list[Turn] = field(default_factory=list)

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        self.turns.append(turn)
        yield await self.answer(turn)


def texts(task: Json) -> list[str]:
    """Returns the text of each artifact."""
    return ["".join(part["text"] for part in artifact["parts"]) for artifact in task.get("artifacts", [])]


async def at_once(turn: Turn) -> list[Json]:
    return completed(turn.message["parts"][0]["text"])


async def never(turn: Turn) -> list[Json]:
    await asyncio.Event().wait()
    raise AssertionError


async def accepted(turn: Turn) -> list[Json]:
    return []


def agent(name: str = "cart", *, forwards: list[str] = [], **a2a: Any) -> Callee:  # noqa: B006
    skills = [
        {"id": "say", "name": "Say", "inputModes": ["text"]},
        {"id": "slow", "name": "Slow", "invoke": {"timeoutSeconds": 1, "replyType": "my.reply"}},
        {"id": "later", "name": "Later", "invoke": {"mode": "async"}},
    ]
    spec: Json = {"image": {"repository": "r"}, "a2a": {"enabled": True, "skills": skills, **a2a}}
    if forwards:
        spec["eventing"] = {
            "forwards": [{"eventTypes": ["t"], "targetAgent": f, "targetNamespace": "shop"} for f in forwards]
        }
    return callee(parse({"metadata": {"name": name, "namespace": "shop"}, "spec": spec}), target=None)


def sending(text: str = "hi", *, skill: str | None = "say", immediately: bool = False, **more: Any) -> Send:
    metadata = {"metadata": {"skillId": skill}} if skill else {}
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}], **metadata, **more}
    return params.send({"message": message, "configuration": {"returnImmediately": immediately}})


@dataclass
class Bench:
    container: Container
    observed: Observed
    engine: Engine
    store: EngineStore

    def event(self, task_id: str, event_id: str = "1", **more: Any) -> Event:
        fields = {
            "type": "io.knative.lambda.response.success",
            "data": b"late",
            "datacontenttype": "text/plain",
            **more,
        }
        return Event(id=event_id, source="/s", extensions={"a2ataskid": task_id}, **fields)

    async def state(self, task_id: str) -> TaskState:
        record = await self.store.get(task_id)
        assert record is not None
        return record.state

    async def reach(self, task_id: str, state: TaskState) -> None:
        """Waits until the task has this state."""

        async def check() -> bool:
            return await self.state(task_id) is state

        await eventually(check, what=f"{state} of task {task_id}")

    async def settled(self, task_id: str) -> Json:
        """Waits until the task needs nothing further from the engine, and returns it as the store has it."""

        async def check() -> bool:
            return (await self.state(task_id)).settled

        await eventually(check)
        record = await self.store.get(task_id)
        assert record is not None
        return record.task


def bench_of(
    store: EngineStore,
    *,
    limits: EngineLimits | None = None,
    clock: Clock = CLOCK,
    known: Callee | None = None,
    caller: Caller | None = None,
    replica: str = "",
) -> Bench:
    """Returns an engine over the store with a container; `caller` replaces the container."""
    container, observed = Container(at_once), Observed()
    found = known or agent()
    engine = Engine(
        store=store,
        caller=caller or container,
        clock=clock,
        observer=observed,
        lookup=lambda namespace, name: found if name == found.name else None,
        limits=limits,
        replica=replica,
        letters=store,
    )
    return Bench(container, observed, engine, store)


def problem(raised: pytest.ExceptionInfo[A2AError]) -> Problem:
    return raised.value.problem
