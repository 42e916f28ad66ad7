"""Deletes ended tasks that are older than the limits allow, and the oldest of those that are too many."""

from lambdaagent.clock import Clock
from lambdaagent.store.records import TaskStore
from lambdaagent.tasks.limits import EngineLimits


async def prune(store: TaskStore, *, clock: Clock, limits: EngineLimits) -> int:
    """The number of tasks that were deleted. Raises StoreError."""
    return await store.prune(before=clock.now() - limits.retention, keep=limits.kept)
