"""Seals everything in a store with the first key, while gateways run (`lambdaagent store rewrap`), and counts by key.

Only the beginnings of values are read to find those that another key seals, so a repeated run passes quickly over what
is done, and a run that was interrupted is continued by the next one. Values that gateways change meanwhile are read
again, until a pass finds none that is left. A value that cannot be opened stays as it is and is counted. Nothing is
ever decrypted: where payloads are no longer to be sealed, those that are sealed get the first key.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lambdaagent.store import rows
from lambdaagent.store.envelope import kid_of, place
from lambdaagent.store.errors import SealedValueError
from lambdaagent.store.records import Push
from lambdaagent.store.sealed_tables import (
    CHANGES,
    COORDINATION,
    LETTERS,
    PUSHES,
    Head,
    Key,
    SealedRow,
    SealedRows,
    SealedTable,
    Values,
)
from lambdaagent.store.sealing import Sealing

PLAIN = "plain"
_HOOKS = "a2a_tasks.hook_secret"
_ALWAYS = {*(f"{PUSHES.name}.{column}" for column in PUSHES.values), f"{LETTERS.name}.destination", _HOOKS}
"""What is sealed wherever there are keys; the rest are payloads."""
_PAGE = 500
_ROWS, _BYTES = 100, 4 * 1024 * 1024
"""Limits of one transaction: it must end long before a statement's time-out, and gateways wait for its rows."""
_PASSES = 10
_NAMED = 20


@dataclass
class RewrapResult:
    changed: Counter[str] = field(default_factory=Counter)
    """The number of rows that were sealed anew, by table."""
    unreadable: dict[tuple[str, Key], str] = field(default_factory=dict)
    """Why a row could not be opened."""
    left: int = 0
    """The number of rows that gateways changed during each pass."""

    @property
    def reasons(self) -> list[str]:
        return list(dict.fromkeys(self.unreadable.values()))[:_NAMED]


async def rewrap(store: SealedRows, sealing: Sealing, progress: Callable[[str], None]) -> RewrapResult:
    """Raises StoreError; what was done before stays done."""
    result = RewrapResult()
    for _ in range(_PASSES):
        result.left = 0
        found = False
        for table in store.tables:
            found |= await _table(store, table, sealing, result, progress)
        if not found:
            break
    return result


async def counts(store: SealedRows) -> dict[str, Counter[str]]:
    """Return for each column, as `table.column`, how many values each key seals, and how many are PLAIN."""
    found: dict[str, Counter[str]] = {}
    for table in store.tables:
        async for heads in _pages(store, table):
            for head in heads:
                for column, value in _sealable(table, head):
                    found.setdefault(f"{table.name}.{column}", Counter())[kid_of(value) or PLAIN] += 1
    return found


def is_current(found: Mapping[str, Counter[str]], sealing: Sealing) -> bool:
    """Return whether the first key seals everything that is to be sealed, by the numbers of `counts`."""
    kids = {kid for counted in found.values() for kid in counted}
    required = [column for column in found if sealing.active and (sealing.payloads or column in _ALWAYS)]
    return kids <= {PLAIN, sealing.keyring.first} and not any(found[column][PLAIN] for column in required)


async def unknown_kids(store: SealedRows, sealing: Sealing) -> list[str]:
    """Return keys that are missing for some of the newer values."""
    return sorted({kid for head in await store.sample() if (kid := kid_of(head)) and kid not in sealing.keyring})


def outdated(table: SealedTable, head: Head, sealing: Sealing) -> bool:
    """Return whether a value of the row has to be sealed, or sealed with the first key."""
    for column, value in _sealable(table, head):
        kid = kid_of(value)
        required = sealing.payloads or f"{table.name}.{column}" in _ALWAYS
        if kid != sealing.keyring.first and (kid is not None or required):
            return True
    return False


async def _table(
    store: SealedRows, table: SealedTable, sealing: Sealing, result: RewrapResult, progress: Callable[[str], None]
) -> bool:
    """Return whether another pass is needed."""
    again = False
    async for heads in _pages(store, table):
        wanted = [
            head for head in heads if outdated(table, head, sealing) and (table.name, head.key) not in result.unreadable
        ]
        for keys in _batches(wanted):
            changes: list[tuple[SealedRow, Values]] = []
            for row in await store.load(table, keys):
                try:
                    changes.append((row, _resealed(table, row, sealing)))
                except SealedValueError as error:
                    result.unreadable[table.name, row.key] = str(error)
            done = await store.swap(table, changes) if changes else 0
            result.changed[table.name] += done
            result.left += len(changes) - done
            again = again or len(changes) > 0
        if wanted:
            progress(f"{table.name}: {result.changed[table.name]} rows encrypted with {sealing.keyring.first}")
    return again


async def _pages(store: SealedRows, table: SealedTable) -> AsyncIterator[list[Head]]:
    after: Key | None = None
    while heads := await store.heads(table, after=after, limit=_PAGE):
        yield heads
        after = heads[-1].key


def _batches(wanted: Sequence[Head]) -> Iterator[list[Key]]:
    batch: list[Key] = []
    size = 0
    for head in wanted:
        if batch and (len(batch) >= _ROWS or size + head.size > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(head.key)
        size += head.size
    if batch:
        yield batch


def _sealable(table: SealedTable, head: Head) -> list[tuple[str, bytes | str]]:
    """Return the columns that may hold an envelope, with the beginnings of their values."""
    found = list(zip(table.values, head.heads, strict=True))
    if table is LETTERS:
        _, destination, data = found
        # In the row of a plain destination, data is plain whatever it begins with.
        return [destination, data if kid_of(destination[1]) is not None else ("data", b"")]
    # The row of a task whose snapshot is elsewhere has an empty body.
    return [each for each in found if each[1] or table is PUSHES]


def _resealed(table: SealedTable, row: SealedRow, sealing: Sealing) -> Values:
    """Raises SealedValueError."""
    if table is LETTERS:
        return _letter(row, sealing)
    if table is PUSHES:
        task_id, push_id = row.key
        namespace, agent, owner = row.bound
        opened = sealing.opened_secrets(row.values, task_id, push_id, (namespace, agent, owner))
        url, token, credentials, registrant = opened
        push = Push(task_id, push_id, url, "", token, "", credentials, registrant=registrant)
        return sealing.secrets(push, (namespace, agent, owner))
    if table in COORDINATION:
        return _documents(table, row, sealing)
    whole = sealing.including_payloads()
    if table is CHANGES:
        task_id, version = row.key
        return (whole.entry(task_id, version, sealing.opened_entry(row.values[0], task_id, version)),)
    namespace, agent, owner = row.bound
    plain = sealing.opened_body(row.values[0], row.key[0], (namespace, agent, owner))
    return (whole.body(row.key[0], (namespace, agent, owner), plain),)


def _documents(table: SealedTable, row: SealedRow, sealing: Sealing) -> Values:
    """Seal what is sealed, and what is to be; a plain document that is not to be sealed stays as it is."""
    found: list[Any] = []
    for column, value in zip(table.values, row.values, strict=True):
        required = sealing.payloads or f"{table.name}.{column}" in _ALWAYS
        if not value or (kid_of(value) is None and not required):
            found.append(value)
            continue
        where = place(table.name, column, *row.key)
        found.append(sealing.keyring.seal_text(sealing.keyring.open_text(value, where), where))
    return tuple(found)


def _letter(row: SealedRow, sealing: Sealing) -> Values:
    attributes, destination, data = row.values
    namespace, agent, received = row.bound
    letter = rows.letter_of(
        (row.key[0], namespace, agent, None, None, "", received, attributes, data, -1, destination, 0), sealing=sealing
    )
    if letter.unreadable:
        raise SealedValueError(letter.unreadable)
    was_sealed = kid_of(destination) is not None and kid_of(data) is not None
    written = dict(
        zip(
            rows.LETTER,
            rows.letter_row(letter, sealing=sealing.including_payloads() if was_sealed else sealing),
            strict=True,
        )
    )
    return tuple(written[name] for name in LETTERS.values)
