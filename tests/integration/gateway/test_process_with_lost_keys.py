"""The gateway process on a database some of whose keys it lacks: it says so at the start, and works."""

import base64
from pathlib import Path

from tests.parts.gateway_process import launched
from tests.parts.sealed import K2, PAYLOADS, Database
from tests.parts.store_records import letter, push, record

KEY = base64.b64encode(K2).decode()


async def test_missing_keys_are_named_at_the_start(gateway_account: Path, tmp_path: Path) -> None:
    database = Database(str(tmp_path / "t.db"))
    store = await database.open(PAYLOADS)
    await store.create(record(task={"id": "t", "text": "marked"}), push=push(token="marked"))
    await store.add_dead_letter(letter(data=b"marked"))
    await store.close()
    log = tmp_path / "log"
    settings = {"LAMBDAAGENT_STORE_KEYS": f"k2:{KEY}", "LAMBDAAGENT_ENCRYPT_PAYLOADS": "true"}
    with log.open("wb") as file, launched(gateway_account, log=file, LAMBDAAGENT_DATABASE=database.url, **settings):
        pass
    said = log.read_text()
    [line] = [line for line in said.splitlines() if "store.keys_missing" in line]
    assert "k1" in line
    assert "LAMBDAAGENT_STORE_KEYS" in line
    assert not any(secret in said for secret in ("marked", KEY))
    with log.open("wb") as file, launched(gateway_account, log=file, LAMBDAAGENT_DATABASE=str(tmp_path / "new.db")):
        pass
    assert "store.keys_missing" not in log.read_text()
