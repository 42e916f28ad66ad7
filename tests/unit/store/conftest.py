from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.parts.store_records import EngineStore

from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.sqlite.store import SqliteStore


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineStore]:
    """Opens an empty store of each kind; the contract must hold for all of them."""
    opened: EngineStore
    if request.param == "memory":
        opened = MemoryStore()
    elif request.param == "sqlite":
        opened = await SqliteStore.open(tmp_path / "tasks.db")
    else:
        opened = await PostgresStore.open(request.getfixturevalue("database_url"))
    yield opened
    await opened.close()
