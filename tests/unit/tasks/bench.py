"""An engine with containers that do as the test says."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

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
    """`answer` is what a call does; `turns` is what was asked."""

    answer: Callable[[Turn], Awaitable[list[Json]]]
    turns: list[Turn] = field(default_factory=list)

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        self.turns.append(turn)
        yield await self.answer(turn)


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


def bench_of(
    store: EngineStore,
    *,
    limits: EngineLimits | None = None,
    clock: Clock = CLOCK,
    known: Callee | None = None,
    caller: Caller | None = None,
) -> Bench:
    """`caller` takes the place of the bench's own container."""
    container, observed = Container(at_once), Observed()
    found = known or agent()
    engine = Engine(
        store=store,
        caller=caller or container,
        clock=clock,
        observer=observed,
        lookup=lambda namespace, name: found if name == found.name else None,
        limits=limits,
    )
    return Bench(container, observed, engine, store)


def problem(raised: pytest.ExceptionInfo[A2AError]) -> Problem:
    return raised.value.problem
