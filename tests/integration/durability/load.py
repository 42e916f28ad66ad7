"""The load of the clients while processes are killed: a coroutine for each kind of use, each bounded in time.

Each kind leaves in its `Sent` what it was told, so that all of it can be accounted for afterwards.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from tests.integration.durability.client import (
    NOT_CANCELABLE,
    AgainError,
    Client,
    Json,
    RefusedError,
    UnansweredError,
    ended,
    send,
    state,
)
from tests.integration.durability.container import WORD_SECONDS

from lambdaagent.a2a.tasks import fold

CALLS, PARALLEL, ORDERED = "calls", "parallel", "ordered"
"""The agents: one whose skills are called at once, and two whose calls travel through RabbitMQ."""
WORDS, TURNS = 12, 3
STREAM_PATIENCE = 60.0


@dataclass
class Sent:
    """One message and the responses to its sender; `problems` are responses that no client should get."""

    kind: str
    agent: str
    key: str
    began: float = field(default_factory=time.time)
    task_id: str = ""
    seconds: float | None = None
    gave_up: str = ""
    pushed: bool = False
    resumes: int = 0
    followed: Json | None = None  # the task as the events of its stream make it
    whole: bool = False  # the stream came to its end
    cancelled: bool = False
    turns: list[str] = field(default_factory=list)  # keys of the messages that were acknowledged
    problems: list[str] = field(default_factory=list)


@dataclass
class Load:
    client: Client
    chance: Random
    hook: str
    sent: list[Sent] = field(default_factory=list)
    stopping: bool = False
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self, workers: Mapping[str, int], *, each: int) -> None:
        """Runs workers of each kind, each for a number of messages at most, until `stopping`."""
        await asyncio.gather(
            *(self._work(kind, each) for kind, count in workers.items() for _ in range(count)),
        )

    async def _work(self, kind: str, most: int) -> None:
        agent, use = KINDS[kind]
        for _ in range(most):
            if self.stopping:
                return
            sent = Sent(kind, agent, f"{kind}-{next(self._numbers)}")
            self.sent.append(sent)
            try:
                await use(self, sent)
            except UnansweredError as error:
                sent.gave_up = str(error)
            except RefusedError as error:
                sent.problems.append(f"refused with {error.code}: {error}")
            await asyncio.sleep(self.chance.uniform(0, 0.3))

    def milliseconds(self) -> int:
        """Returns the duration of a call in milliseconds: most are short, and some take as long as an outage."""
        return self.chance.choice((5, 20, 50, 200, 500, 1000, 2000))

    async def send(self, sent: Sent, text: str, *, skill: str, wait: bool = True, key: str = "") -> Json:
        """Sends a message until a gateway returns its task, and returns it."""
        push = f"{self.hook}/{sent.key}" if sent.pushed and not sent.task_id else ""
        key = key or sent.key
        params = send(text, key, skill=skill, wait=wait, push=push, task_id=sent.task_id)
        began = time.monotonic()
        task: Json = (await self.client.insist(sent.agent, "SendMessage", params, key=key))["task"]
        if wait:
            sent.seconds = time.monotonic() - began
        if sent.task_id and task["id"] != sent.task_id:
            sent.problems.append(f"the follow-up was answered with task {task['id']}")
        sent.task_id = task["id"]
        sent.turns.append(key)
        return task


async def blocking(load: Load, sent: Sent) -> None:
    task = await load.send(sent, f"say {sent.key} {load.milliseconds()}", skill="say")
    if not ended(task):
        sent.problems.append(f"a blocking send was answered with {state(task)}")


async def polled(load: Load, sent: Sent) -> None:
    await load.send(sent, f"say {sent.key} {load.milliseconds()}", skill="say", wait=False)
    await load.client.settled(sent.agent, sent.task_id)


async def pushed(load: Load, sent: Sent) -> None:
    sent.pushed = True
    await polled(load, sent)


async def later(load: Load, sent: Sent) -> None:
    """Sends a message whose call goes through RabbitMQ."""
    sent.pushed = load.chance.random() < 0.3
    await load.send(sent, f"say {sent.key} {load.chance.choice((5, 50, 300))}", skill="later", wait=False)
    await load.client.settled(sent.agent, sent.task_id)


async def cancelled(load: Load, sent: Sent) -> None:
    await load.send(sent, f"hang {sent.key}", skill="say", wait=False)
    await asyncio.sleep(load.chance.uniform(0.05, 1.5))
    try:
        await load.client.insist(sent.agent, "CancelTask", {"id": sent.task_id})
    except RefusedError as error:
        # It ended before, or an earlier attempt cancelled it and was not answered.
        if error.code != NOT_CANCELABLE:
            raise
    sent.cancelled = True


async def asked(load: Load, sent: Sent) -> None:
    """Sends a message whose task asks for input, and follow-ups with keys of their own."""
    sent.pushed = load.chance.random() < 0.3
    task = await load.send(sent, f"ask {sent.key}.{TURNS} {TURNS}", skill="say")
    for left in reversed(range(TURNS)):
        if state(task) != "INPUT_REQUIRED":
            return
        await asyncio.sleep(load.chance.uniform(0, 0.3))
        task = await load.send(sent, f"ask {sent.key}.{left} {left}", skill="say", key=f"{sent.key}.{left}")


async def streamed(load: Load, sent: Sent) -> None:
    await _stream(load, sent, skill="say")


async def streamed_again(load: Load, sent: Sent) -> None:
    """Streams a skill that the engine may start again when its gateway dies."""
    await _stream(load, sent, skill="again")


async def _stream(load: Load, sent: Sent, *, skill: str) -> None:
    params = send(f"count {sent.key} {WORDS}", sent.key, skill=skill)
    deadline, gateway, last = time.monotonic() + STREAM_PATIENCE, load.client.any(), ""
    while True:
        method, asked_for = ("SubscribeToTask", {"id": sent.task_id}) if last else ("SendStreamingMessage", params)
        try:
            async for event in load.client.events(gateway, sent.agent, method, asked_for, key=sent.key, after=last):
                last = event.id
                _follow(sent, event.data)
        except AgainError:
            pass
        if sent.followed is not None and ended(sent.followed):
            sent.whole = True
            return
        if time.monotonic() > deadline:
            raise UnansweredError(f"the stream had no end: {sent.followed and state(sent.followed)}")
        if last:
            sent.resumes += 1
        gateway = load.client.any(but=gateway)
        await asyncio.sleep(load.chance.uniform(0.05, WORD_SECONDS * 5))


def _follow(sent: Sent, event: Json) -> None:
    if "task" in event:
        if sent.followed is not None:
            sent.problems.append("a stream that was resumed began anew")
        sent.followed, sent.task_id = event["task"], event["task"]["id"]
    elif sent.followed is None:
        sent.problems.append("a stream did not begin with its task")
    elif ended(sent.followed):
        sent.problems.append("a stream went on after the end of its task")
    else:
        sent.followed = fold(sent.followed, event)


Use = Callable[[Load, Sent], Awaitable[None]]
KINDS: Mapping[str, tuple[str, Use]] = {
    "blocking": (CALLS, blocking),
    "polled": (CALLS, polled),
    "pushed": (CALLS, pushed),
    "cancelled": (CALLS, cancelled),
    "asked": (CALLS, asked),
    "streamed": (CALLS, streamed),
    "again": (CALLS, streamed_again),
    "parallel": (PARALLEL, later),
    "ordered": (ORDERED, later),
}
