from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambdaagent import clock
from lambdaagent.store import factory
from lambdaagent.store.coordination.database import Database


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Opens an empty database of each kind; the contract must hold for all of them."""
    urls = {"memory": "", "sqlite": str(tmp_path / "tasks.db")}
    url = urls[request.param] if request.param in urls else request.getfixturevalue("database_url")
    opened = await factory.open_store(url)
    database = factory.open_coordination(opened.store, clock.system())
    yield database
    await database.close()
    await opened.store.close()
