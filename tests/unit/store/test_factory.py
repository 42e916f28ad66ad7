"""The store that a value of LAMBDAAGENT_DATABASE selects."""

import sys
from pathlib import Path

import pytest

from lambdaagent.errors import UsageError
from lambdaagent.store import factory
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.sqlite.store import SqliteStore


async def test_nothing_is_memory_a_path_is_a_file_and_a_url_a_server(tmp_path: Path, database_url: str) -> None:
    for database, kind in (("", MemoryStore), (str(tmp_path / "t.db"), SqliteStore), (database_url, PostgresStore)):
        opened = await factory.open_store(database)
        assert type(opened.store) is kind
        assert opened.problem() is None
        await opened.store.close()


async def test_a_missing_driver_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("lambdaagent.store.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(UsageError, match=r"asyncpg is missing.*install lambdaagent\[postgres\]"):
        await factory.open_store("postgresql://u:secret@localhost/x")
    with pytest.raises(UsageError, match=r"install lambdaagent\[postgres\]"):
        await factory.migrate("postgres://u:secret@localhost/x")
