"""Shares a limited number of places among callers, so that none holds so many that another gets none.

A caller may hold as many as are still free, and a few in any case: one alone gets half of the places, the next one half
of the rest.
"""

from collections import Counter

_ALWAYS = 20  # that a caller may hold while any are free


class Shares:
    def __init__(self, most: int) -> None:
        self._most = most
        self._of: Counter[str] = Counter()
        self.held = 0

    def of(self, holder: str) -> int:
        """Return how many places the caller holds."""
        return self._of[holder]

    def take(self, holder: str) -> bool:
        """Take a place. False: the caller gets none."""
        free = self._most - self.held
        if free <= 0 or self._of[holder] >= max(free, min(_ALWAYS, self._most)):
            return False
        self.held += 1
        self._of[holder] += 1
        return True

    def give_back(self, holder: str) -> None:
        self.held -= 1
        self._of[holder] -= 1
        if not self._of[holder]:
            del self._of[holder]
