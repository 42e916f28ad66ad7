"""Holds back watch events that result from our own writes; they often arrive before the response to the write.

The writer knows the new state, and waking its agent would cost a reconcile after most writes. Watch events of an object
that is being written are therefore held back until the response arrives, and count only if they are newer than it.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

from lambdaagent.children.base import Object
from lambdaagent.controller import ownership


@dataclass
class OwnWrites:
    # The newest version that was reported of each object that is being written; -1 if none was.
    _told: dict[Hashable, int] = field(default_factory=dict)

    def holds(self, what: Hashable, obj: Object) -> bool:
        """Whether this watch event is held back. `what` has at most one writer at a time."""
        if what not in self._told:
            return False
        self._told[what] = ownership.version(obj)
        return True

    async def write(
        self, what: Hashable, writing: Awaitable[Object], *, news: Callable[[], None]
    ) -> tuple[Object, bool]:
        """Return the result of the write, and whether a newer version was reported meanwhile. Calls `news` if so, or if
        the write fails after any version was reported."""
        self._told[what] = answered = -1
        try:
            answer = await writing
            answered = ownership.version(answer)
            return answer, self._told[what] > answered
        finally:
            if self._told.pop(what) > answered:
                news()
