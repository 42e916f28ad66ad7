"""The engine over each kind of store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.tasks.bench import Bench, agent, bench_of
from tests.unit.tasks.flaky import Flaky

from lambdaagent.store.factory import open_store
from lambdaagent.store.memory import MemoryStore
from lambdaagent.tasks.push_delivery import EngineStore


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineStore]:
    found: EngineStore = MemoryStore()
    if request.param == "sqlite":
        found = (await open_store(str(tmp_path / "t.db"))).store
    elif request.param == "postgres":
        found = (await open_store(request.getfixturevalue("database_url"))).store
    yield found
    await found.close()


@pytest.fixture(params=["memory", "postgres"])
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Flaky]:
    """Opens a store that several replicas may use; SQLite counts every other replica as expired."""
    url = request.getfixturevalue("database_url") if request.param == "postgres" else ""
    store = (await open_store(url)).store
    yield Flaky(store, shared=True)
    await store.close()


@pytest.fixture
async def bench(store: EngineStore) -> AsyncIterator[Bench]:
    made = bench_of(store, known=agent(forwards=["till"]))
    await made.engine.start()
    yield made
    await made.engine.stop(grace=0)
