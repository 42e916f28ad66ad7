from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.parts.postgres import Postgres
from tests.parts.sealed import PAYLOADS, Database
from tests.parts.store_records import EngineStore

from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.sqlite.store import SqliteStore


@pytest.fixture(params=["memory", "sqlite", "postgres", "sqlite encrypted", "postgres encrypted"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineStore]:
    """Opens an empty store of each kind, with and without encryption; the contract must hold for all of them."""
    opened: EngineStore
    sealing = PAYLOADS if "encrypted" in request.param else None
    if request.param == "memory":
        opened = MemoryStore()
    elif request.param.startswith("sqlite"):
        opened = await SqliteStore.open(tmp_path / "tasks.db", sealing=sealing)
    else:
        opened = await PostgresStore.open(request.getfixturevalue("database_url"), sealing=sealing)
    yield opened
    await opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Returns an empty database of each kind, whose content a test reads and changes."""
    if request.param == "sqlite":
        return Database(str(tmp_path / "tasks.db"))
    server: Postgres = request.getfixturevalue("postgres")
    return Database(request.getfixturevalue("database_url"), server)
