"""Deletes ended tasks that are too old, the oldest ones beyond the maximum number, and old dead letters."""

import structlog

from lambdaagent.clock import Clock
from lambdaagent.store.records import DeadLetterStore, TaskStore
from lambdaagent.tasks.limits import EngineLimits

log = structlog.get_logger(__name__)


async def prune(store: TaskStore, *, clock: Clock, limits: EngineLimits) -> int:
    """Return the number of deleted tasks. Raises StoreError."""
    return await store.prune(before=clock.now() - limits.retention, keep=limits.kept)


async def prune_letters(letters: DeadLetterStore, *, clock: Clock, limits: EngineLimits) -> int:
    """Return the number of deleted dead letters. Raises StoreError."""
    if limits.letter_retention is None:
        return 0
    gone = await letters.prune_letters(before=clock.now() - limits.letter_retention)
    if gone:
        log.info("dead_letters.pruned", count=gone)
    return gone
