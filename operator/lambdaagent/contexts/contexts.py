"""Creates, reads and changes shared contexts, and deletes those whose time is over.

The database serializes the changes of one context, so each sees the result of the one before: none is lost, whichever
replicas they come through.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from lambdaagent.a2a import Json
from lambdaagent.backoff import spread
from lambdaagent.cancellation import cancel
from lambdaagent.coordination import context as pure
from lambdaagent.coordination.context import Context, Delta, Merge, NewContext, Settings
from lambdaagent.errors import LambdaAgentError
from lambdaagent.store.coordination import contexts as table
from lambdaagent.store.coordination.database import Database

log = structlog.get_logger(__name__)

_SWEEP = 10.0
_AT_ONCE = 100
May = Callable[[Context], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextLimits:
    largest: int = pure.LARGEST  # bytes
    ttl: int = pure.TTL  # seconds since the last change, unless the context says otherwise
    of_owner: int = 10_000
    page: int = 100  # entries of a log, and contexts of a list


@dataclass(kw_only=True)
class Contexts:
    database: Database
    told: Callable[[str, Context], None]  # of an event: its name and the context
    limits: ContextLimits = field(default_factory=ContextLimits)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._sweep(), name="context-sweep")
        try:
            yield
        finally:
            await cancel(task)

    async def create(self, body: NewContext, *, by: str) -> Context:
        """Raises IdInUseError, TooManyError, TooLargeError, StoreError."""
        data = pure.patched({}, body.data)
        self._require_size(data)
        context_id = body.id or body.context_id or f"ctx_{secrets.token_hex(16)}"
        found = await self.database.run(
            lambda tx: table.create(
                tx,
                context_id,
                data,
                participants=body.participants or [],
                strategies=dict(body.strategies or {}),
                ttl=body.ttl_seconds or self.limits.ttl,
                by=by,
                most=self.limits.of_owner,
            )
        )
        self.told("context.updated", found)
        return found

    async def find(self, context_id: str) -> Context | None:
        return await self.database.read(lambda tx: table.find(tx, context_id))

    async def patch(
        self, context_id: str, patch: Json, *, by: str, may: May, expected: int | None = None
    ) -> Context | None:
        """Merge a JSON Merge Patch into the context; with `expected`, replace by it what that version has.

        Raises VersionError, UnfitChangeError, TooLargeError, StoreError.
        """

        def change(before: Context) -> Json:
            if expected is not None:
                patched: Json = pure.patched(before.data, patch)
                return patched
            return pure.merged(before.data, patch, before.strategies)

        return await self._change(context_id, change, by=by, may=may, expected=expected)

    async def merge(self, context_id: str, body: Merge, other: Json, *, by: str, may: May) -> Context | None:
        """Merge data into the context by the strategy that the body names. Raises as `patch`."""

        def change(before: Context) -> Json:
            strategies = before.strategies if body.strategy is None else {}
            return pure.merged(before.data, other, strategies, usual=body.strategy or "lastWriter")

        return await self._change(context_id, change, by=by, may=may)

    async def settle(self, context_id: str, body: Settings) -> Context | None:
        values = body.model_dump(exclude_none=True)
        return await self.database.run(lambda tx: table.settle(tx, context_id, **values))

    async def listed(self, *, owner: str) -> list[Context]:
        return await self.database.read(lambda tx: table.listed(tx, owner=owner, limit=self.limits.page))

    async def log(self, context_id: str, *, since: int) -> list[Delta]:
        return await self.database.read(lambda tx: table.log(tx, context_id, since=since, limit=self.limits.page))

    async def drop(self, context_id: str) -> bool:
        return await self.database.run(lambda tx: table.drop(tx, context_id))

    async def count(self) -> int:
        return await self.database.read(table.count)

    async def _change(
        self,
        context_id: str,
        change_of: Callable[[Context], Json],
        *,
        by: str,
        may: May,
        expected: int | None = None,
    ) -> Context | None:
        before = 0

        def bounded(context: Context) -> Json:
            nonlocal before
            before = context.version
            data = change_of(context)
            self._require_size(data)
            return data

        found = await self.database.run(
            lambda tx: table.change(tx, context_id, bounded, by=by, expected=expected, may=may)
        )
        if found is not None and found.version != before:
            self.told("context.updated", found)
        return found

    def _require_size(self, data: Json) -> None:
        pure.require_fit(data, most=self.limits.largest)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(spread(_SWEEP))
            try:
                await self.database.run(lambda tx: table.prune(tx, limit=_AT_ONCE))
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("context.sweep_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
