"""The limits of the task engine: counts, sizes in bytes, times in seconds."""

from dataclasses import dataclass

LARGEST = 32 * 1024 * 1024
"""Bytes of one task: it is written and shown as a whole, and nothing else is done meanwhile."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    running: int = 1_000  # container calls at once
    held: int = 10_000  # tasks under way, calls and those that go on without one
    waiting: int = 100  # of one agent with a limit of its own: how many more than it may be held
    retention: float = 7 * 86_400.0  # for which ended tasks are kept
    kept: int | None = None  # ended tasks kept at most
    prune_every: float = 300.0
    beat_every: float = 3.0  # between signs of life of this replica
    lease: float = 10.0  # without a sign of life after which other replicas take over the tasks of this one
    look_every: float = 5.0  # how soon a follower sees a change that no notification reported
    first_word: float = 10.0  # after which a stream begins with the task, whatever the container answers later
    largest: int = LARGEST  # bytes of one task
    patience: float = 5.0  # for which a client's request waits for a store that is away
