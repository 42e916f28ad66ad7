"""Lends a few things, each to one borrower at a time, in turn among the holders that wait.

Invariant: while there are several things, no holder has all of them, so one whose work is long keeps none of the others
waiting for longer than one piece of work takes.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lambdaagent.shares import less

Thing = TypeVar("Thing")


@dataclass(slots=True)
class Lending(Generic[Thing]):
    _free: list[Thing] = field(default_factory=list, init=False)
    _lent: Counter[str] = field(default_factory=Counter, init=False)
    _waiting: "dict[str, deque[asyncio.Future[Thing]]]" = field(default_factory=dict, init=False)

    def offer(self, things: Iterable[Thing]) -> None:
        self._free.extend(things)

    async def borrow(self, holder: str) -> Thing:
        """Wait for a thing; the one that was given back last is lent first."""
        turn: asyncio.Future[Thing] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(holder, deque()).append(turn)
        self._lend()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(holder, turn.result())
            raise

    def give_back(self, holder: str, thing: Thing) -> None:
        less(self._lent, holder)
        self._free.append(thing)
        self._lend()

    def _lend(self) -> None:
        most = max(len(self._free) + self._lent.total() - 1, 1)
        for holder in [each for each in self._waiting if self._lent[each] < most]:
            if not self._free:
                return
            turns = self._waiting.pop(holder)
            while turns and turns[0].done():  # its borrower was cancelled
                turns.popleft()
            if not turns:
                continue
            turns.popleft().set_result(self._free.pop())
            self._lent[holder] += 1
            if turns:
                self._waiting[holder] = turns  # behind the others
