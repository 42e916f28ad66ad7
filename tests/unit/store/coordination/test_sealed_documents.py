"""With keys for payloads, what agents say to each other is not readable in the database, and bound to its row."""

from pathlib import Path

import pytest
from sqlalchemy import select, update
from tests.parts.sealed import PAYLOADS
from tests.unit.store.coordination.test_contract_contexts import made as context
from tests.unit.store.coordination.test_contract_jobs import claim, submit
from tests.unit.store.coordination.test_contract_jobs import made as job
from tests.unit.store.coordination.test_contract_messages import made as message
from tests.unit.store.coordination.test_contract_messages import put

from lambdaagent import clock
from lambdaagent.store import factory
from lambdaagent.store.coordination import contexts, jobs, schema
from lambdaagent.store.errors import SealedValueError


async def test_no_table_holds_what_was_said(tmp_path: Path) -> None:
    opened = await factory.open_store(str(tmp_path / "a.db"), sealing=PAYLOADS)
    database = factory.open_coordination(opened.store, clock.system())
    await put(database, message(metadata={}))
    await context(database)
    await database.run(lambda tx: contexts.change(tx, "c", lambda _: {"word": "hush-hush"}, by="x"))
    await submit(database, job(input_data={"word": "hush-hush"}))
    [taken] = await claim(database)
    await database.run(lambda tx: jobs.complete(tx, taken, {"word": "hush-hush"}))

    def rows(tx: object) -> str:
        return "\n".join(str(row) for table in schema.TABLES for row in tx.connection.execute(select(table)))  # type: ignore[attr-defined]

    text = await database.read(rows)  # type: ignore[arg-type]
    assert "hush-hush" not in text
    assert text.count("v1|") >= 6
    found = await database.read(lambda tx: contexts.find(tx, "c"))
    assert found is not None
    assert found.data == {"word": "hush-hush"}
    await context(database, "d")
    stolen = select(contexts.contexts.c.data).where(contexts.contexts.c.context_id == "c").scalar_subquery()
    await database.run(
        lambda tx: (
            tx.connection.execute(
                update(contexts.contexts).where(contexts.contexts.c.context_id == "d").values(data=stolen)
            ).rowcount
        )
    )
    with pytest.raises(SealedValueError):
        await database.read(lambda tx: contexts.find(tx, "d"))
    await database.close()
    await opened.store.close()
