"""News of our own writes, which often arrive before the answer to the write does.

Whoever wrote knows what stands there; being woken for it costs a whole reconcile, and most writes would. So the news of
what is being written are held back until the answer is there, and count only if they are newer than it.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

from lambdaagent.children.base import Object
from lambdaagent.controller import ownership


@dataclass
class OwnWrites:
    # The newest version that was told of what is being written; -1: nothing was told.
    _told: dict[Hashable, int] = field(default_factory=dict)

    def holds(self, what: Hashable, obj: Object) -> bool:
        """Whether this news is held back. One writer per `what` at a time."""
        if what not in self._told:
            return False
        self._told[what] = ownership.version(obj)
        return True

    async def write(
        self, what: Hashable, writing: Awaitable[Object], *, news: Callable[[], None]
    ) -> tuple[Object, bool]:
        """What the write answers, and whether something newer was told meanwhile. Calls `news` if so, or if the write
        fails after anything was told."""
        self._told[what] = answered = -1
        try:
            answer = await writing
            answered = ownership.version(answer)
            return answer, self._told[what] > answered
        finally:
            if self._told.pop(what) > answered:
                news()
