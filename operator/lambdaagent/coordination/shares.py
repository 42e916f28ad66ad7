"""Shares the room of a replica among owners, so that one who has much to do leaves room for the others. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """How many an owner without any may get now, and which owners have their share already."""

    limit: int
    without: frozenset[str]


def share(owners: Iterable[str], *, most: int) -> Share:
    """Return the share of each owner, and of one more. `owners` has the owner of each thing that has a place.

    However many owners there are, the next one finds a place, unless there is one for each of them only.
    """
    taken = Counter(owners)
    each = max(most // (len(taken) + 1), 1)
    return Share(
        limit=max(min(most - taken.total(), each), 0),
        without=frozenset(owner for owner, number in taken.items() if number >= each),
    )
