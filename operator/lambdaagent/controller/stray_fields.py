"""Finds fields in a child's spec that others wrote, from its managed fields, and builds the patch to remove them. Pure.

A server-side apply removes only fields that its own manager wrote before, so a field that another writer added would
stay for ever: a `uri` beside a Trigger's `ref`, pinned traffic, an environment variable. Defaults and the changes of
admission webhooks belong to no manager, so they never count. Deliberately left to others: the scale of a workload, and
the labels and annotations of its pods, by which a restart is requested.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from lambdaagent.api import naming
from lambdaagent.children.base import Object

Pointer = tuple[str | int, ...]
_MINE = frozenset((naming.MANAGER,))
_LEFT: tuple[Pointer, ...] = (
    ("spec", "replicas"),
    ("spec", "template", "metadata", "annotations"),
    ("spec", "template", "metadata", "labels"),
)


def entries(live: Object) -> list[Object]:
    """Return the managed fields to keep: all if others wrote into the spec, else none."""
    found = live["metadata"].get("managedFields", [])
    return found if any(map(_is_other, found)) else []


def overwritten(desired: Object, live: Object) -> bool:
    """Whether a desired field belongs to another manager only, such as a list that an edit replaced as a whole."""
    mine: Any = {}
    for entry in live["metadata"].get("managedFields", []):
        if entry["manager"] in _MINE:
            mine = _merged(mine, entry.get("fieldsV1", {}).get("f:spec", {}))
    return any(_lost(tree, mine, desired.get("spec")) for tree in _of_others(live))


def added(desired: Object, live: Object) -> list[Pointer]:
    """Return the fields that others added, deepest and last first, so that indices stay valid during the removal."""
    found: set[Pointer] = set()
    for tree in _of_others(live):
        found |= set(_added(tree, desired.get("spec"), live.get("spec"), ("spec",)))
    return sorted(found, key=lambda pointer: [(isinstance(part, int), str(part).zfill(9)) for part in pointer])[::-1]


def managers(live: Object) -> list[str]:
    return sorted({entry["manager"] for entry in live["metadata"].get("managedFields", []) if _is_other(entry)})


def removal(live: Object, pointers: list[Pointer]) -> list[Object]:
    """Return a JSON patch that is refused if the object has changed since it was read."""
    version = {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]}
    return [version, *({"op": "remove", "path": path(pointer)} for pointer in pointers)]


def path(pointer: Pointer) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in pointer)


def _of_others(live: Object) -> list[Any]:
    return [entry["fieldsV1"]["f:spec"] for entry in live["metadata"].get("managedFields", []) if _is_other(entry)]


def _is_other(entry: Object) -> bool:
    if entry["manager"] in _MINE or entry.get("subresource"):
        return False
    return "f:spec" in (entry.get("fieldsV1") or {})


def _merged(one: Any, other: Any) -> Any:
    return {key: _merged(one.get(key, {}), other.get(key, {})) for key in one.keys() | other.keys()}


def _lost(theirs: Any, mine: Any, desired: Any) -> bool:
    """Whether a leaf of another manager's fields is desired and not ours."""
    steps = [(key, sub) for key, sub in theirs.items() if key != "."]
    if not steps:
        return desired is not None and mine is None
    for key, sub in steps:
        part = _step(key, desired)
        if part is not None and _lost(sub, (mine or {}).get(key), desired[part]):
            return True
    return False


def _added(theirs: Any, desired: Any, live: Any, at: Pointer) -> Iterator[Pointer]:
    for key, sub in theirs.items():
        here = _step(key, live)
        if key == "." or here is None or (*at, here) in _LEFT:
            continue
        wanted, where = _step(key, desired), (*at, here)
        if wanted is not None:
            yield from _added(sub, desired[wanted], live[here], where)
        elif any(left[: len(where)] == where for left in _LEFT):
            yield from _added(sub, {}, live[here], where)
        else:
            yield where


def _step(key: str, value: Any) -> str | int | None:
    """Return the key or index that a step of a managed field leads to; None if it leads nowhere."""
    kind, _, name = key.partition(":")
    if kind == "f":
        return name if isinstance(value, dict) and name in value else None
    if not isinstance(value, list):
        return None
    wanted = orjson.loads(name)
    for index, item in enumerate(value):
        if kind == "k" and isinstance(item, dict) and all(item.get(part) == said for part, said in wanted.items()):
            return index
        if kind == "v" and item == wanted:
            return index
    return None
