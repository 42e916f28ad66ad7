"""The limits of the task engine: counts, sizes in bytes, times in seconds."""

from dataclasses import dataclass

LARGEST = 32 * 1024 * 1024
"""Bytes of one task: it is written and shown as a whole, which blocks the event loop."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    running: int = 1_000  # container calls at once
    held: int = 10_000  # tasks under way, with a running call or without one
    waiting: int = 100  # tasks beyond the limit of an agent that has its own
    retention: float = 7 * 86_400.0  # how long ended tasks are kept
    kept: int | None = None  # maximum number of ended tasks; None: no maximum
    letter_retention: float | None = 30 * 86_400.0  # how long dead letters are kept; None: until somebody drops them
    prune_every: float = 300.0
    beat_every: float = 3.0  # between signs of life of this replica
    lease: float = 10.0  # without a sign of life before other replicas take over this one's tasks
    look_every: float = 5.0  # until a follower sees a change that no notification reported
    first_word: float = 10.0  # until a stream begins with the task, if the container has not answered
    largest: int = LARGEST  # bytes of one task
    patience: float = 5.0  # how long a client's request waits for an unreachable store
