"""`lambdaagent store rewrap` as a process, beside the store that it changes."""

import base64
from pathlib import Path

import pytest
from tests.parts.commands import Done, dlq, run
from tests.parts.sealed import K1, K2, PAYLOADS, Database
from tests.parts.store_records import EngineStore, letter, push, record

from lambdaagent.store.sealing import Sealing

SECRETS = [base64.b64encode(key).decode() for key in (K1, K2)]
ONE, TWO = f"k1:{SECRETS[0]}", f"k2:{SECRETS[1]}"
EMPTY = "LAMBDAAGENT_STORE_KEYS is empty"


async def command(database: str, *args: str, keys: str = "", payloads: str = "true") -> Done:
    settings = {"database": database, "store_keys": keys, "encrypt_payloads": payloads if keys else "false"}
    return await run("store", "rewrap", *args, secrets=(*SECRETS, "marked"), **settings)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Database(str(tmp_path / "t.db"))
    return Database(request.getfixturevalue("database_url"), request.getfixturevalue("postgres"))


async def fill(database: Database) -> EngineStore:
    """Writes with the first key, and returns the store, which a gateway holds open meanwhile."""
    store = await database.open(PAYLOADS)
    await store.create(record(task={"id": "t", "text": "marked"}), push=push(token="marked"))
    await store.add_dead_letter(letter(data=b"marked"))
    return store


async def test_the_steps_of_a_rotation(database: Database) -> None:
    store = await fill(database)
    before = await command(database.url, "--check", keys=ONE)
    assert (before.code, before.err) == (0, "")
    assert "tasks.body: k1 1\n" in before.out
    assert "pushes.token: k1 1\n" in before.out
    check = await command(database.url, "--check", keys=f"{TWO},{ONE}")
    assert check.code == 1
    done = await command(database.url, keys=f"{TWO},{ONE}")
    assert (done.code, done.out) == (0, "encrypted with k2: dead_letters 1, pushes 1, tasks 1\n")
    after = await command(database.url, "--check", keys=TWO)
    assert (after.code, after.err) == (0, "")
    assert "dead_letters.data: k2 1\n" in after.out
    again = await command(database.url, keys=f"{TWO},{ONE}")
    assert (again.code, again.out) == (0, "encrypted with k2: nothing\n")
    await store.close()


async def test_a_lost_key_is_named_and_the_rest_is_done(database: Database) -> None:
    await (await fill(database)).close()
    other = await database.open(Sealing({"k3": b"3" * 32}))
    await other.create(record("other", task={"id": "other", "text": "plain"}))
    await other.close()
    done = await command(database.url, keys=TWO)
    assert done.code == 1
    assert "encrypted with k2: tasks 1\n3 rows could not be opened and stay as they are\n" in done.out
    assert "the task t is encrypted with the key k1, which LAMBDAAGENT_STORE_KEYS does not contain" in done.err
    check = await command(database.url, "--check", keys=TWO)
    assert (check.code, check.err) == (1, "LAMBDAAGENT_STORE_KEYS lacks k1: what these keys encrypt cannot be read\n")
    assert "tasks.body: k1 1, k2 1\n" in check.out


async def test_letters_are_redriven_with_the_keys_and_named_without(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "t.db"))
    store = await database.open(PAYLOADS)
    await store.add_dead_letter(letter(agent="cart", data=b"marked"))
    await store.close()
    shown = await dlq("show", "s-1", "-o", "json", database=database.url, store_keys=ONE, encrypt_payloads="true")
    assert '"data": "marked"' in shown.out
    lost = await dlq("show", "s-1", "-o", "json", database=database.url, store_keys=TWO)
    assert '"unreadable": "the dead letter s-1 is encrypted with the key k1' in lost.out
    refused = await dlq("redrive", "s-1", database=database.url, events_url="http://127.0.0.1:1")
    assert refused.code == 1
    assert "s-1 was not redriven: the dead letter s-1 is encrypted with the key k1" in refused.err
    listed = await dlq("list", database=database.url)
    assert "is encrypted with the key k1" in listed.out
    assert (await dlq("drop", "s-1", "--yes", database=database.url)).out == "1 dropped\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"database": "", "store_keys": ONE}, "LAMBDAAGENT_DATABASE is empty", id="no database"),
        pytest.param({"database": "/nowhere"}, EMPTY, id="no keys"),
        pytest.param({"database": "/nowhere", "store_keys": "k1:eA=="}, "store key 1 must be", id="a short key"),
        pytest.param({"encrypt_payloads": "true"}, "ENCRYPT_PAYLOADS: Value error, payloads cannot be", id="payloads"),
    ],
)
async def test_wrong_settings_are_named(settings: dict[str, str], said: str) -> None:
    done = await run("store", "rewrap", secrets=("eA==", *SECRETS), **settings)
    assert done.code == 2
    assert said in done.err


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    done = await command(str(tmp_path / "none.db"), keys=ONE)
    assert (done.code, list(tmp_path.iterdir())) == (1, [])
    assert "there is no file" in done.err
