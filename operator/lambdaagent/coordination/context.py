"""Shared contexts: JSON that several agents change, without an update that is lost silently.

A change is a JSON Merge Patch (RFC 7396), so a null deletes and cannot be stored. Who names the version that it changes
(`If-Match`) is refused if there is a newer one. Who names none merges: each key at the top has a strategy.

- `lastWriter`: the patch is applied; a later change of the same value replaces it, and the log keeps both.
- `append`: the items of the patch's list are added at the end.
- `union`: the items that are not in the list yet are added at the end.
- `max`: the larger number stays.

The result of concurrent changes is that of one after another, in the order of their versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, field_validator

from lambdaagent import bounded_json
from lambdaagent.a2a import Json
from lambdaagent.coordination.bodies import Body, Id
from lambdaagent.coordination.message import Name
from lambdaagent.coordination.refusals import TooLargeError, TooManyValuesError

LARGEST, TTL = 10_000, 3600
"""Bytes of a context and seconds since its last change, by default."""
KEPT = 1_000
"""Entries of a context's log: older ones are deleted."""
Strategy = Literal["lastWriter", "append", "union", "max"]
Key = Annotated[str, Field(min_length=1, max_length=255)]
ContextId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-.0-~]+$")]  # no slash: it is in a path
Participant = Id | Name
_STRATEGIES = 100
_VALUES = 60_000
"""As in `bounded_json`: a change compares all of them, more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    context_id: str
    data: Json
    version: int
    participants: list[str]
    strategies: dict[str, str]
    ttl_seconds: int
    expires_at: float
    created_at: float
    modified_at: float
    created_by: str
    modified_by: str


@dataclass(frozen=True, slots=True)
class Delta:
    version: int
    patch: list[Json]
    created_at: float
    created_by: str


class UnfitChangeError(Exception):
    """The change does not fit the strategy of its key; the text names both."""


class _Described(Body):
    participants: Annotated[list[Participant], Field(max_length=1000)] | None = None
    strategies: dict[Key, Strategy] | None = None
    ttl_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] | None = None

    @field_validator("strategies")
    @classmethod
    def _few(cls, given: dict[str, str] | None) -> dict[str, str] | None:
        if given is not None and len(given) > _STRATEGIES:
            raise ValueError(f"must name at most {_STRATEGIES} keys")
        return given


class NewContext(_Described):
    id: ContextId | None = None
    context_id: ContextId | None = None
    data: Json = {}


class Merge(Body):
    """Data, or another context, that is merged by one strategy for all keys, or by the context's own."""

    data: Json | None = None
    context_id: ContextId | None = None
    strategy: Strategy | None = None


class Settings(_Described):
    """What `PATCH` with the query `settings` changes: who takes part, how keys are merged, how long it lasts."""


def require_fit(data: Json, *, most: int) -> None:
    """Raises TooLargeError for more bytes, or more values than a change may take the time of."""
    text = orjson.dumps(data)
    if len(text) > most:
        raise TooLargeError(len(text), most)
    try:
        bounded_json.require_few_values(text, most=_VALUES)
    except bounded_json.BoundError:
        raise TooManyValuesError from None


def patched(value: Any, patch: Any) -> Any:
    """Apply a JSON Merge Patch (RFC 7396 section 2)."""
    if not isinstance(patch, dict):
        return patch
    found = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            found.pop(name, None)
        else:
            found[name] = patched(found.get(name), change)
    return found


def merged(data: Json, patch: Json, strategies: Mapping[str, str], *, usual: str = "lastWriter") -> Json:
    """Return the data with a change merged into it. Raises UnfitChangeError."""
    found = dict(data)
    for name, change in patch.items():
        strategy = strategies.get(name, usual)
        if change is None:
            found.pop(name, None)
        elif strategy == "lastWriter":
            found[name] = patched(found.get(name), change)
        else:
            found[name] = _combined(name, strategy, found.get(name), change)
    return found


def _combined(name: str, strategy: str, value: Any, change: Any) -> Any:
    if strategy == "max":
        numbers = [each for each in (value, change) if each is not None]
        if any(isinstance(each, bool) or not isinstance(each, int | float) for each in numbers):
            raise UnfitChangeError(f"{name[:64]} is merged by max, so it must be a number")
        return max(numbers)
    before = [] if value is None else value
    if not isinstance(before, list) or not isinstance(change, list):
        raise UnfitChangeError(f"{name[:64]} is merged by {strategy}, so it must be a list")
    if strategy == "append":
        return [*before, *change]
    known = {_same(each) for each in before}
    fresh = {_same(each): each for each in change}
    return [*before, *(each for key, each in fresh.items() if key not in known)]


def _same(value: Any) -> Any:
    """Return what is equal for values that are the same in JSON. Writing each of many numbers would hold the loop."""
    if value is None or isinstance(value, str | bool | int | float):
        return type(value), value or repr(value)  # there are two zeros
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def changes(before: Json, after: Json) -> list[Json]:
    """Return the JSON Patch of a change as it is kept: never much larger than the context, whatever its keys are."""
    found = delta(before, after)
    if len(found) > 1 and len(orjson.dumps(found)) > 2 * len(orjson.dumps(after)) + 1024:
        return [{"op": "replace", "path": "", "value": after}]
    return found


def delta(before: Any, after: Any, path: str = "") -> list[Json]:
    """Return a JSON Patch (RFC 6902) that makes `after` of `before`.

    A list that was not only extended is replaced as a whole: the shortest patch of two long lists takes longer to find
    than a request may hold the loop.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        found = [{"op": "remove", "path": f"{path}/{_pointer(name)}"} for name in before if name not in after]
        for name, value in after.items():
            at = f"{path}/{_pointer(name)}"
            if name in before:
                found += delta(before[name], value, at)
            else:
                found.append({"op": "add", "path": at, "value": value})
        return found
    if _equal(before, after):
        return []
    if isinstance(before, list) and isinstance(after, list) and before and _equal(after[: len(before)], before):
        return [{"op": "add", "path": f"{path}/-", "value": value} for value in after[len(before) :]]
    return [{"op": "replace", "path": path, "value": after}]


def _equal(one: Any, other: Any) -> bool:
    """JSON tells true from 1, and Python does not."""
    return bool(one == other) and _same(one) == _same(other)


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
