"""Seals JSON documents of coordination: with keys and `payloads`, contents of messages, contexts and jobs; with keys
alone, the secrets of webhooks.

A sealed document is a JSON string in its column, which no plain document is, bound to its table, column and row.
"""

from typing import Any

import orjson

from lambdaagent.store.envelope import is_enveloped, place
from lambdaagent.store.sealing import Sealing


def sealed(sealing: Sealing, value: Any, *where: object) -> Any:
    """Return what is stored of a document at `where`: table, column and key."""
    if not sealing.payloads:
        return value
    return sealing.keyring.seal_text(orjson.dumps(value), _place(where))


def opened(sealing: Sealing, stored: Any, *where: object) -> Any:
    """Raises SealedValueError."""
    if not isinstance(stored, str) or not is_enveloped(stored):
        return stored
    return orjson.loads(sealing.keyring.open_text(stored, _place(where)))


def sealed_secret(sealing: Sealing, secret: str, *where: object) -> str:
    return sealing.keyring.seal_text(secret.encode(), _place(where)) if sealing.active else secret


def opened_secret(sealing: Sealing, stored: str, *where: object) -> str:
    """Raises SealedValueError."""
    return sealing.keyring.open_text(stored, _place(where)).decode()


def _place(where: tuple[object, ...]) -> bytes:
    table, column, *row = where
    return place(str(table), str(column), *row)
