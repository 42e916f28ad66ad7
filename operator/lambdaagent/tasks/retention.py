"""Deletes ended tasks that are older than the limit, and the oldest ones beyond the maximum number."""

from lambdaagent.clock import Clock
from lambdaagent.store.records import TaskStore
from lambdaagent.tasks.limits import EngineLimits


async def prune(store: TaskStore, *, clock: Clock, limits: EngineLimits) -> int:
    """Return the number of deleted tasks. Raises StoreError."""
    return await store.prune(before=clock.now() - limits.retention, keep=limits.kept)
