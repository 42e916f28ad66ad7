"""What the machine of workflows needs of the world: where its steps are recorded, and what its tasks do."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lambdaagent.a2a import Json

Variables = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventFilter:
    attributes: Json  # which the event must have, its type among them
    passes: Callable[[Any], Awaitable[bool]]  # of its data


class Steps(Protocol):
    def recorded(self, key: str) -> Json | None: ...

    async def record(self, key: str, value: Json) -> None:
        """Return once the record is durable. Raises WorkflowError if the run exceeds its bounds."""
        ...


class Effects(Protocol):
    """Raises WorkflowError where an effect fails, and whatever ends this machine but not the run."""

    def now(self) -> float: ...
    def chance(self) -> float: ...
    async def until(self, at: float) -> None: ...
    async def evaluate(self, texts: Sequence[str], value: Any, variables: Variables) -> list[Any]: ...
    async def call(self, kind: str, given: Json, value: Any, key: str) -> Any: ...
    async def emit(self, event: Json, key: str) -> Json: ...
    async def listen(self, how: str, filters: Sequence[EventFilter]) -> list[Json]: ...
    async def listened(self, events: Iterable[Json]) -> None: ...
    def tell(self, event: str, place: str, key: str, more: Json) -> None: ...
