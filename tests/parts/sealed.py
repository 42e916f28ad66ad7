"""Databases whose values are sealed, and what somebody sees and changes who has the database but not the keys."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.parts.postgres import Postgres

from lambdaagent.store.factory import open_sealed_rows, open_store
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.sealed_tables import SealedRows
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.sqlite.store import SqliteStore

K1, K2 = b"1" * 32, b"2" * 32
SECRETS = Sealing({"k1": K1})
PAYLOADS = Sealing({"k1": K1}, payloads=True)


@dataclass
class Database:
    url: str
    server: Postgres | None = None  # None: a SQLite file

    async def open(self, sealing: Sealing | None = None) -> SqliteStore | PostgresStore:
        store = (await open_store(self.url, sealing=sealing)).store
        assert isinstance(store, SqliteStore | PostgresStore)
        return store

    async def sealed_rows(self) -> SealedRows:
        return await open_sealed_rows(self.url)

    def table(self, name: str) -> str:
        if self.server is None:
            return name
        return "lambdaagent_letters" if name == "dead_letters" else f"lambdaagent_{name}"

    def execute(self, sql: str) -> list[str]:
        """Runs a statement, in which `{tasks}` is the table of tasks, and returns the rows as text."""
        names = {name: self.table(name) for name in ("tasks", "changes", "pushes", "dead_letters")}
        statement = sql.format(**names)
        if self.server is not None:
            database = urlsplit(self.url).path.removeprefix("/")
            return self.server.execute(statement, database=database).splitlines()
        connection = sqlite3.connect(self.url)
        try:
            found = [str(row[0]) for row in connection.execute(statement)]
            connection.commit()
            return found
        finally:
            connection.close()

    def content(self) -> bytes:
        """Returns what a thief of the disk reads: the files of SQLite, or every table of PostgreSQL."""
        if self.server is None:
            path = Path(self.url)
            return b"".join(each.read_bytes() for each in sorted(path.parent.glob(f"{path.name}*")))
        found = b""
        for name in ("tasks", "changes", "pushes", "dead_letters"):
            for row in self.execute(f"SELECT row_to_json(t)::text FROM {{{name}}} t"):
                found += row.encode() + b"".join(map(_unhexed, row.split('"')))
        return found


def _unhexed(part: str) -> bytes:
    """PostgreSQL prints bytes as hexadecimal digits."""
    return bytes.fromhex(part.removeprefix("\\\\x")) if part.startswith("\\\\x") else b""
