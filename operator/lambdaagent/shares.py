"""Shares a limited number of places among holders, so that none holds so many that another gets none.

One may hold as many as are still free, and a few in any case: one alone gets half of the places, the next one half of
the rest.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_ALWAYS = 20  # that one may hold while any are free, of 60 places or more; of fewer places, a third


class Shares:
    def __init__(self, most: int) -> None:
        self._most = most
        self._of: Counter[str] = Counter()
        self.held = 0

    def of(self, holder: str) -> int:
        """Return how many places the holder has."""
        return self._of[holder]

    def take(self, holder: str) -> bool:
        """Take a place. False: the holder gets none."""
        if has_its_share(self._of[holder], free=self._most - self.held, most=self._most):
            return False
        self.held += 1
        self._of[holder] += 1
        return True

    def give_back(self, holder: str) -> None:
        self.held -= 1
        less(self._of, holder)


@dataclass(frozen=True, slots=True)
class Room:
    """How many may be taken now, by others than those who have their share."""

    limit: int
    without: frozenset[str]


def room(held: Iterable[str] | Mapping[str, int], *, most: int) -> Room:
    """Return the room for more. `held` has the holder of each place that is taken, or the number of places of each."""
    of = Counter(held)
    free = most - of.total()
    served = frozenset(holder for holder, number in of.items() if has_its_share(number, free=free, most=most))
    return Room(limit=max((free + 1) // 2, 0), without=served)


def less(held: Counter[str], holder: str) -> None:
    """Take a place from a holder; one without any is forgotten."""
    held[holder] -= 1
    if not held[holder]:
        del held[holder]


def has_its_share(held: int, *, free: int, most: int) -> bool:
    """Whether one who has so many of the places gets no more now."""
    return free <= 0 or held >= max(free, min(_ALWAYS, most // 3), 1)
