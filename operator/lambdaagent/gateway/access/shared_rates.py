"""Tells the other replicas, once a second, what the keys of rates used here, and learns what they used there.

No request waits for it. While the database cannot be reached, each replica admits its share of every rate.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from hashlib import sha256

import structlog

from lambdaagent.access.rates import Buckets
from lambdaagent.cancellation import cancel
from lambdaagent.clock import Clock
from lambdaagent.errors import LambdaAgentError
from lambdaagent.store.records import RateStore

log = structlog.get_logger(__name__)
EVERY = 1.0  # seconds
_SECONDS = 3.0  # for one exchange
_MOST = 1_000  # keys of one exchange
_PRUNED_EVERY = 60  # exchanges


@asynccontextmanager
async def sharing(buckets: Buckets, store: RateStore, clock: Clock) -> AsyncIterator[None]:
    """Share the rates while the context is open."""
    buckets.told = True
    working = asyncio.create_task(_work(buckets, store, clock), name="shared-rates")
    try:
        yield
    finally:
        await cancel(working)


async def _work(buckets: Buckets, store: RateStore, clock: Clock) -> None:
    replicas, exchanges, failing = 1, 0, False
    while True:
        await asyncio.sleep(EVERY)
        used = buckets.drain(most=_MOST)
        if not used:
            continue
        now = clock.now()
        try:
            async with asyncio.timeout(_SECONDS):
                found = await store.spend([(_digest(key), seconds) for key, seconds in used])
                exchanges += 1
                if exchanges % _PRUNED_EVERY == 0:
                    await store.prune_rates()
        except (LambdaAgentError, TimeoutError) as error:
            if not failing:
                log.warning("rates.share_failed", replicas=replicas, error=str(error) or "the database is too slow")
            failing, buckets.parts = True, replicas
            continue
        if failing:
            log.info("rates.shared_again", replicas=found.replicas)
        failing, replicas, buckets.parts = False, max(1, found.replicas), 1
        for (key, _), rest in zip(used, found.rests, strict=True):
            buckets.learn(key, now + rest)


def _digest(key: Hashable) -> bytes:
    return sha256(repr(key).encode("utf-8", "surrogatepass")).digest()
