from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.parts.sealed import PAYLOADS

from lambdaagent import clock
from lambdaagent.store import factory
from lambdaagent.store.coordination.database import Database


@pytest.fixture(params=["memory", "sqlite", "postgres", "sqlite encrypted", "postgres encrypted"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Opens an empty database of each kind, with and without encryption; the contract must hold for all of them."""
    kind, _, encrypted = request.param.partition(" ")
    urls = {"memory": "", "sqlite": str(tmp_path / "tasks.db")}
    url = urls[kind] if kind in urls else request.getfixturevalue("database_url")
    opened = await factory.open_store(url, sealing=PAYLOADS if encrypted else None)
    database = factory.open_coordination(opened.store, clock.system())
    yield database
    await database.close()
    await opened.store.close()
