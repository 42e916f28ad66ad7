"""Limits repeated writes to a child: applies of values that the server stores in another form, and removals of a field
that another writer adds each time.

Both are remembered by the object's UID while the process runs; another process tries again.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from lambdaagent.children.base import Object

_MOST, _WITHIN_SECONDS = 5, 600.0
_PASSING = ("resourceVersion", "managedFields", "generation")


@dataclass
class Settled:
    """Remembers objects that differ from what was applied, such as a quantity in its short form (`1000m` is `1`) or a
    label that an admission policy rewrites. While both stay the same, another apply would change nothing."""

    _known: dict[str, tuple[bytes, bytes]] = field(default_factory=dict, init=False)

    def keep(self, wanted: Object, live: Object) -> None:
        self._known[live["metadata"]["uid"]] = _digest(wanted), _digest(live)

    def holds(self, wanted: Object, live: Object) -> bool:
        known = self._known.get(live["metadata"]["uid"])
        return known is not None and known == (_digest(wanted), _digest(live))

    def forget(self, live: Object) -> None:
        self._known.pop(live["metadata"]["uid"], None)


@dataclass
class Repairs:
    """Limits the repairs of one object to `_MOST` in `_WITHIN_SECONDS`; beyond that the other writer's fields stay, and
    a warning names the writer."""

    monotonic: Callable[[], float] = time.monotonic
    _done: dict[str, list[float]] = field(default_factory=dict, init=False)

    def allowed(self, uid: str) -> bool:
        """Whether another repair is allowed; if so, it is counted."""
        now = self.monotonic()
        recent = [at for at in self._done.get(uid, ()) if now - at < _WITHIN_SECONDS]
        if len(recent) >= _MOST:
            return False
        self._done = {uid: times for uid, times in self._done.items() if now - times[-1] < _WITHIN_SECONDS}
        self._done[uid] = [*recent, now]
        return True


def _digest(obj: Object) -> bytes:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _PASSING}
    lasting = {key: value for key, value in obj.items() if key != "status"} | {"metadata": metadata}
    return hashlib.sha256(orjson.dumps(lasting, option=orjson.OPT_SORT_KEYS)).digest()
