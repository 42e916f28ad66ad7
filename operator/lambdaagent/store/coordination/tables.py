"""The column types and defaults that the tables of coordination share; `metadata` knows all tables.

On PostgreSQL the migrations create the tables (`tests/integration/store/test_migrating.py` compares both); a SQLite
file and the memory get them from here.
"""

from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import JSON, Boolean, Column, DateTime, Dialect, Double, MetaData, String, false, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import StatementError
from sqlalchemy.types import TypeDecorator, TypeEngine

from lambdaagent.coordination.bodies import has_nul
from lambdaagent.store.errors import UnfitError

metadata = MetaData()
Document = JSON().with_variant(JSONB(), "postgresql")


class Time(TypeDecorator[float]):
    """Seconds since the epoch in Python; `timestamptz` in PostgreSQL, which people can read; a number in SQLite."""

    impl = Double
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(DateTime(timezone=True) if dialect.name == "postgresql" else Double())

    def process_bind_param(self, value: float | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "postgresql":
            return value
        return datetime.fromtimestamp(value, UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:
        return value.timestamp() if isinstance(value, datetime) else value


def common() -> list[Column[Any]]:
    """Return the columns that most tables end with."""
    return [
        Column("metadata", Document, nullable=False, server_default=text("'{}'")),
        Column("created_at", Time, nullable=False, server_default=func.now()),
        Column("modified_at", Time, nullable=False, server_default=func.now()),
        Column("created_by", String(255), nullable=False, server_default="system"),
        Column("modified_by", String(255), nullable=False, server_default="system"),
        Column("is_deleted", Boolean, nullable=False, server_default=false()),
        Column("reference_data", Document, nullable=False, server_default=text("'{}'")),
    ]


def unfit(error: StatementError) -> UnfitError:
    """Return why a statement could not be made of a value."""
    if isinstance(error.orig, UnfitError):
        return error.orig
    return UnfitError(f"the store cannot store this value: {type(error.orig).__name__}")


def to_json(value: object) -> str:
    """Raises UnfitError for what PostgreSQL cannot keep: all databases keep the same."""
    text = orjson.dumps(value)
    if has_nul(text):
        raise UnfitError("it contains the character U+0000")
    return text.decode()
