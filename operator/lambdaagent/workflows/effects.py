"""What a run does outside itself, and the records of its steps: the machine's `Steps` and `Effects`."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from lambdaagent.a2a import Json
from lambdaagent.coordination.bodies import has_nul
from lambdaagent.coordination.deliveries import Delivery
from lambdaagent.coordination.refusals import TooLargeError, TooManyError
from lambdaagent.coordination.workflow import Run
from lambdaagent.coordination.workflow_effects import EventFilter
from lambdaagent.coordination.workflow_errors import fault
from lambdaagent.coordination.workflow_event import event_of
from lambdaagent.expressions.evaluator import Evaluator, ExpressionError
from lambdaagent.messaging.messages import Messages
from lambdaagent.store.coordination import workflows as table
from lambdaagent.store.coordination.database import Database

_LONGEST_SLEEP = 60.0
_LISTEN = 30.0


class Host(Protocol):
    """What the gateway does for a run, with the rights of its creator at that moment.

    Raises WorkflowError. A call under a key that was used before is the same call.
    """

    async def call(self, run: Run, kind: str, given: Json, value: Any, key: str) -> Any: ...

    async def abandon(self, run: Run, key: str) -> None:
        """Cancel what a call began, because the run goes on without its result."""
        ...

    async def emit(self, run: Run, event: Json) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    at_once: int = 500  # runs of this replica at once; the others wait
    patience: float = 10.0  # seconds that a run waits in memory; then the database keeps it until it goes on
    lease: float = 15.0  # seconds
    of_owner: int = 1_000  # runs that have not ended
    workflows: int = 200  # of one owner
    page: int = 100
    steps: int = 5_000  # of a run
    value: int = 256 * 1024  # bytes of an input, and of what one step records
    size: int = 16 * 1024 * 1024  # bytes of all records of a run
    seconds: float = 7 * 86_400.0  # of a run


@dataclass(kw_only=True)
class RunSteps:
    run: Run
    database: Database
    limits: RunLimits
    known: dict[str, Json]

    def recorded(self, key: str) -> Json | None:
        return self.known.get(key)

    async def record(self, key: str, value: Json) -> None:
        text = orjson.dumps(value)
        size, most = len(text), self.limits
        if size > most.value:
            detail = f"a step may come to {most.value} bytes, and this one has {size}"
            raise fault("runtime", detail, title="Too much data")
        if has_nul(text):
            raise fault("validation", "the data contains the character U+0000, which cannot be stored")
        try:
            await self.database.run(
                lambda tx: table.record(tx, self.run, key, value, size=size, most=most.steps, largest=most.size)
            )
        except TooManyError:
            detail = f"a run has at most {most.steps} steps; a loop may have no end"
            raise fault("runtime", detail, title="Too many steps") from None
        except TooLargeError as error:
            raise fault("runtime", f"the records of the run's steps: {error}", title="Too much data") from None
        self.known[key] = value


@dataclass(kw_only=True)
class RunEffects:
    run: Run
    database: Database
    host: Host
    evaluator: Evaluator
    messages: Messages
    told: Callable[[str, Run, str, str, Json], None]  # a lifecycle event: its name, the run, a task, its key, data
    goes_on: bool = False  # the run continues elsewhere, so what its calls began must not be cancelled
    _taken: set[str] = field(default_factory=set, init=False)

    def now(self) -> float:
        return self.database.now()

    def chance(self) -> float:
        return random.random()  # noqa: S311 -- of a delay

    async def until(self, at: float) -> None:
        while (left := at - self.now()) > 0:  # noqa: ASYNC110 -- nobody sets an event; the shared clock is asked again
            await asyncio.sleep(min(left, _LONGEST_SLEEP))

    async def evaluate(self, texts: Sequence[str], value: Any, variables: Mapping[str, Any]) -> list[Any]:
        try:
            return await self.evaluator.evaluate(texts, value, variables, holder=self.run.created_by)
        except ExpressionError as error:
            raise fault("expression", f"{texts[error.at][:200]}: {error}") from None

    async def call(self, kind: str, given: Json, value: Any, key: str) -> Any:
        try:
            return await self.host.call(self.run, kind, given, value, key)
        except asyncio.CancelledError:
            if not self.goes_on:
                await self.host.abandon(self.run, key)
            raise

    async def emit(self, event: Json, key: str) -> Json:
        made = event_of(self.run, event, key, at=self.now())
        await self.host.emit(self.run, made)
        return made

    async def listen(self, how: str, filters: Sequence[EventFilter]) -> list[Json]:
        """Return the events that were waited for. The subscription outlives this process."""
        for topic in sorted({each.attributes["type"] for each in filters}):
            if await self.messages.subscribe(self.run.run_id, topic, by=self.run.created_by) is None:
                raise fault("runtime", "the run listens to too many topics")
        found: dict[int, Json] = {}
        while len(found) < (len(filters) if how == "all" else 1):
            for each in await self.messages.fetch(self.run.run_id, limit=10, wait=_LISTEN):
                open_ = {} if how != "all" and found else {n: f for n, f in enumerate(filters) if n not in found}
                event = received(each)
                number = await self._matching(event, open_) if each.message.id not in self._taken else None
                if number is not None:
                    found[number] = event
                    self._taken.add(event["id"])
                elif open_ and (each.message.topic is not None or each.message.id in self._taken):
                    await self.messages.acknowledge(each.message.id, self.run.run_id)
        return [found[number] for number in sorted(found)]

    async def _matching(self, event: Json, filters: Mapping[int, EventFilter]) -> int | None:
        for number, each in filters.items():
            same = all(event.get(name) == value for name, value in each.attributes.items())
            if same and await each.passes(event.get("data")):
                return number
        return None

    async def listened(self, events: Iterable[Json]) -> None:
        for each in events:
            self._taken.add(each["id"])
            await self.messages.acknowledge(each["id"], self.run.run_id)

    def tell(self, event: str, place: str, key: str, more: Json) -> None:
        self.told(event, self.run, place, key, more)


def received(delivery: Delivery) -> Json:
    """Return a message as the event that it is for a run. `a2asender` is verified; the other attributes are claims."""
    message = delivery.message
    content = message.content.get("data", message.content) if message.form == "003" else message.content
    claimed = (message.metadata or {}).get("cloudevent")
    claimed = claimed if isinstance(claimed, dict) else {}
    data = content.get("value") if claimed.get("wrapped") is True else content
    event: Json = {
        "specversion": "1.0",
        "id": message.id,
        "source": claimed.get("source") or f"/a2a/agents/{message.sender}",
        "type": message.topic or MESSAGE,
        "a2asender": message.sender,
        "datacontenttype": "application/json",
        "data": data,
    }
    return event | ({"subject": claimed["subject"]} if isinstance(claimed.get("subject"), str) else {})


MESSAGE = "io.knative.lambda.a2a.message"
"""The type of the event that a message to a run is."""
