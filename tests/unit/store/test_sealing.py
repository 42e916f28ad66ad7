"""Values at rest: what a thief of the database reads, what its keys open, and what happens to values without a key."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs
from tests.parts.postgres import Postgres
from tests.parts.sealed import K1, K2, PAYLOADS, SECRETS, Database
from tests.parts.store_chunks import stream, streaming
from tests.parts.store_records import UPDATE, EngineStore, following, letter, push, record

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.errors import SealedValueError
from lambdaagent.store.factory import missing_keys
from lambdaagent.store.records import DeadLetter, Letters, Push, TaskQuery, TaskRecord
from lambdaagent.store.rows import UNREADABLE
from lambdaagent.store.sealing import Sealing

TASK = record(task={"id": "t", "history": [{"text": "marked-message"}]})
ENTRY = {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"text": "marked-chunk"}]}}}
PUSH = push(
    url="https://hook.example/marked-url",
    token="marked-token",
    credentials="marked-credentials",
    registrant="marked-registrant",
)
LETTER = letter(
    attributes={"id": "1", "source": "/s", "type": "a.b", "knativeerrordest": "http://e/marked-dest",
                "knativeerrordata": "marked-response"},
    destination="http://e/marked-destination",
    data=b"marked-data",
)  # fmt: skip
SECRET_WORDS = {"url", "token", "credentials", "registrant", "dest", "response", "destination"}
PAYLOAD_WORDS = {"message", "chunk", "data"}


async def fill(store: EngineStore) -> TaskRecord:
    await store.create(TASK, push=PUSH)
    after = following(TASK, task=TASK.task | {"artifacts": [ENTRY["artifactUpdate"]["artifact"]]})
    await store.append(after, updates=[ENTRY])
    await store.add_dead_letter(LETTER)
    return after


def words(content: bytes) -> set[str]:
    return {word for word in SECRET_WORDS | PAYLOAD_WORDS if f"marked-{word}".encode() in content}


@pytest.mark.parametrize(
    ("sealing", "seen"),
    [
        pytest.param(Sealing(), SECRET_WORDS | PAYLOAD_WORDS, id="without keys"),  # so the test can find them
        pytest.param(SECRETS, PAYLOAD_WORDS, id="secrets"),
        pytest.param(PAYLOADS, set(), id="payloads"),
    ],
)
async def test_a_thief_of_the_database_reads_nothing_that_is_sealed(
    database: Database, sealing: Sealing, seen: set[str]
) -> None:
    store = await database.open(sealing)
    try:
        after = await fill(store)
        assert words(database.content()) == seen
        assert await store.get("t") == after
        assert [change.updates for change in await store.changes("t")] == [(ENTRY,)]
        assert await store.pushes("t") == [PUSH]
        assert await store.claim_pushes(now=1.0, until=2.0, limit=1) == [PUSH]
        assert await store.find_letters(Letters(type="a.b")) == [LETTER]
    finally:
        await store.close()


async def test_what_was_written_without_keys_stays_readable_beside_what_is_sealed(database: Database) -> None:
    plain = await database.open()
    after = await fill(plain)
    await plain.close()
    store = await database.open(PAYLOADS)
    try:
        assert await store.get("t") == after
        assert await store.pushes("t") == [PUSH]
        assert await store.find_letters(Letters()) == [LETTER]
        later = following(after, state=TaskState.COMPLETED)
        await store.append(later, updates=[UPDATE])
        assert await store.get("t") == later
        assert [change.version for change in await store.changes("t")] == [1, 2]
    finally:
        await store.close()


ODD = [
    b"\x01",
    b"\x01plain|x",
    b"\x01v1|k1|x",
    b"\x01v1|k9|" + b"x" * 40,
    b"\x01v9|",
    PAYLOADS.keyring.seal(b"x", b"y"),
]


@pytest.mark.parametrize(
    ("written_with", "read_with"),
    [
        pytest.param(Sealing(), Sealing(), id="never with keys"),
        pytest.param(Sealing(), SECRETS, id="before there were keys"),
        pytest.param(SECRETS, SECRETS, id="with keys"),
        pytest.param(PAYLOADS, SECRETS, id="sealed"),
    ],
)
async def test_data_that_looks_like_an_envelope_is_data(
    database: Database, written_with: Sealing, read_with: Sealing
) -> None:
    store = await database.open(written_with)
    letters = [letter(attributes={"id": str(n), "source": "/s"}, data=data) for n, data in enumerate(ODD)]
    for each in letters:
        await store.add_dead_letter(each)
    await store.close()
    store = await database.open(read_with)
    assert await store.find_letters(Letters()) == letters[::-1]
    await store.close()


@pytest.mark.parametrize("keys", [{"k2": K2}, {}], ids=["another key", "no key"])
async def test_without_its_key_a_value_is_missing_by_name_and_the_others_are_not(
    database: Database, keys: dict[str, bytes]
) -> None:
    sealing = Sealing(keys)
    store = await database.open(PAYLOADS)
    await fill(store)
    await store.create(record("late", holder="gone", deadline=1.0))
    await store.close()
    plain = await database.open()
    readable = record("plain", holder="gone", deadline=1.0)
    await plain.create(readable)
    await plain.put_push(push(task_id="plain"))
    await plain.append(following(readable), updates=[UPDATE])
    await plain.add_dead_letter(letter(agent="till"))
    await plain.close()
    store = await database.open(sealing)
    with capture_logs() as logs:
        for read in (store.get("t"), store.changes("t")):
            with pytest.raises(
                SealedValueError, match="encrypted with the key k1, which LAMBDAAGENT_STORE_KEYS"
            ) as refused:
                await read
            assert (refused.value.kid, refused.value.missing) == ("k1", True)
        await require_marked(store)
    [logged] = [each for each in logs if each["event"] == "store.value_unreadable"]
    assert (logged["kid"], logged["key_missing"]) == ("k1", True)
    assert "marked" not in str(logs)
    assert set(store._sealing.failures) == {("k1", True)}
    with pytest.raises(SealedValueError):  # the substitute must not replace the task
        [bad] = [each for each in await store.unsettled() if each.id == "late"]
        await store.append(following(bad), updates=[UPDATE])
    await store.close()
    store = await database.open(PAYLOADS)
    assert (await store.get("late")) == record("late", holder="gone", deadline=1.0)
    await store.close()


async def require_marked(store: EngineStore) -> None:
    """Asserts that reads of many records return all of them, and mark those that cannot be decrypted."""
    page = await store.find(TaskQuery("shop", "cart", "anonymous"))
    assert (len(page.records), page.total) == (3, 3)
    for found in (page.records, await store.unsettled(), await store.overdue(now=2.0, held_before=2.0)):
        marked = {each.id: bool(each.unreadable) for each in found}
        assert marked["late"] and not marked["plain"]
    [bad] = [each for each in page.records if each.id == "late"]
    assert bad.task["id"] == "late"
    assert bad.task["status"]["state"] == TaskState.WORKING
    assert bad.task["metadata"][UNREADABLE] == bad.unreadable
    [lost] = await store.pushes("t")
    assert lost == replace(PUSH, url="", token="", credentials="", registrant="", unreadable=lost.unreadable)
    assert "k1" in lost.unreadable
    claimed = await store.claim_pushes(now=1.0, until=2.0, limit=10)
    assert {each.task_id: bool(each.unreadable) for each in claimed} == {"t": True, "plain": False}
    newest, sealed = await store.find_letters(Letters())
    assert newest == letter(agent="till")
    assert (sealed.destination, sealed.data, sealed.reason) == ("", b"", LETTER.reason)
    assert "the dead letter s-1 is encrypted with the key k1" in sealed.unreadable
    assert sealed.attributes == {"id": "1", "source": "/s", "type": "a.b"}
    assert await store.letter(sealed.id) == sealed


async def read_all(store: EngineStore) -> tuple[list[Push], list[DeadLetter]]:
    return [*await store.pushes("t"), *await store.pushes("u")], list(await store.find_letters(Letters()))


MOVED = {
    "the body of another task": "UPDATE {tasks} SET body = (SELECT body FROM {tasks} WHERE id = 'u') WHERE id = 't'",
    "another owner": "UPDATE {tasks} SET owner = 'thief' WHERE id = 't'",
    "another namespace": "UPDATE {tasks} SET namespace = 'bank' WHERE id = 't'",
    "an entry of its log": "UPDATE {tasks} SET body = (SELECT updates FROM {changes} WHERE task_id = 't') "
    "WHERE id = 't'",
}


@pytest.mark.parametrize("statement", MOVED.values(), ids=MOVED)
async def test_a_task_that_was_changed_in_the_database_is_refused(database: Database, statement: str) -> None:
    store = await database.open(PAYLOADS)
    await fill(store)
    await store.create(record("u"))
    database.execute(statement)
    with pytest.raises(SealedValueError, match="the task t cannot be decrypted with the key k1") as refused:
        await store.get("t")
    assert not refused.value.missing
    assert await store.get("u") == record("u")
    await store.close()


async def test_an_entry_of_a_log_belongs_to_its_version_and_task(database: Database) -> None:
    store = await database.open(PAYLOADS)
    await store.append(following(await fill(store)), updates=[UPDATE])
    database.execute("UPDATE {changes} SET version = 3 WHERE version = 1")
    with pytest.raises(SealedValueError, match="the log of the task t cannot be decrypted"):
        await store.changes("t")
    await store.close()


MOVED_SECRETS = {
    "another column": "UPDATE {pushes} SET token = credentials WHERE task_id = 't'",
    "another row": "UPDATE {pushes} SET token = (SELECT token FROM {pushes} WHERE task_id = 'u') WHERE task_id = 't'",
    "another owner of the task": "UPDATE {tasks} SET owner = 'thief' WHERE id = 't'",
}


@pytest.mark.parametrize("statement", MOVED_SECRETS.values(), ids=MOVED_SECRETS)
async def test_secrets_that_were_moved_in_the_database_are_refused(database: Database, statement: str) -> None:
    store = await database.open(SECRETS)
    await fill(store)
    await store.create(record("u"), push=replace(PUSH, task_id="u"))
    database.execute(statement)
    (moved, other), _ = await read_all(store)
    assert "cannot be decrypted with the key k1" in moved.unreadable
    assert (moved.url, moved.token, moved.credentials, moved.registrant) == ("", "", "", "")
    assert other == replace(PUSH, task_id="u")
    await store.close()


@pytest.mark.parametrize("column", ["destination", "data"])
async def test_letters_that_were_moved_in_the_database_are_refused(database: Database, column: str) -> None:
    store = await database.open(PAYLOADS)
    await fill(store)
    await store.add_dead_letter(letter(agent="till"))
    value = f"(SELECT {column} FROM {{dead_letters}} WHERE agent = 'till')"
    database.execute(f"UPDATE {{dead_letters}} SET {column} = {value} WHERE agent = ''")
    _, (other, moved) = await read_all(store)
    assert "cannot be decrypted with the key k1" in moved.unreadable
    assert other == letter(agent="till")
    await store.close()


async def test_a_plain_value_in_the_place_of_a_sealed_one_is_accepted(database: Database) -> None:
    """It may be older than the keys; docs/security.md says so."""
    store = await database.open(SECRETS)
    await fill(store)
    database.execute("UPDATE {pushes} SET url = 'https://other.example/'")
    (found,), _ = await read_all(store)
    assert found == replace(PUSH, url="https://other.example/")
    await store.close()


async def test_keys_that_are_missing_are_found_at_the_start(database: Database) -> None:
    store = await database.open(Sealing({"k1": K1}))
    await fill(store)
    await store.close()
    store = await database.open(Sealing({"k2": K2, "k1": K1}, payloads=True))
    await store.create(record("u", state=TaskState.COMPLETED))
    await store.close()
    assert await missing_keys(database.url, Sealing({"k3": K2})) == ["k1", "k2"]
    assert await missing_keys(database.url, Sealing({"k1": K1})) == ["k2"]
    assert await missing_keys(database.url, Sealing({"k1": K1, "k2": K2})) == []
    assert await missing_keys(database.url, Sealing()) == ["k1", "k2"]
    assert await missing_keys("", Sealing()) == []


def test_invented_keys_do_not_fill_the_memory() -> None:
    sealing = Sealing({"k1": K1})
    with capture_logs() as logs:
        for number in range(1000):
            sealed = Sealing({f"k{number}": K2}, payloads=True).body("t", ("", "", ""), b"{}")
            with pytest.raises(SealedValueError):
                sealing.opened_body(sealed, "t", ("", "", ""))
    assert len(sealing.failures) < 30
    assert len(logs) < 30
    assert sum(sealing.failures.values()) == 1000


async def test_a_sign_of_life_is_given_although_a_task_cannot_be_decrypted(
    database_url: str, postgres: Postgres
) -> None:
    """While a gateway of the previous version is alive, each sign of life makes old snapshots whole."""
    database = Database(database_url, postgres)
    store = await database.open(PAYLOADS)
    await store.beat("one", seconds=600)
    await store.create(streaming())
    await stream(store, streaming(), chunks=30, size=4096)
    await store.close()
    assert database.execute("SELECT count(*) FROM {tasks} WHERE body_version IS NOT NULL") == ["1"]
    database.execute("INSERT INTO lambdaagent_replicas (holder, until) VALUES ('old', now() + interval '1 hour')")
    store = await database.open(Sealing({"k2": K2}))
    await store.beat("two", seconds=600)
    assert await store.expired_replicas() == []
    await store.close()
