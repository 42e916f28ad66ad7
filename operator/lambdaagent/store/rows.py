"""Converts between records and database rows: tuples in the order of the columns, the same for every database.

The rows of SQLite and of asyncpg are both sequences, and a driver takes a tuple at the least cost. Values are sealed
and opened here (`sealing`), so that it is the same for every database.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import fold_all, timestamp
from lambdaagent.store.chunked_record import grown
from lambdaagent.store.envelope import is_enveloped, place
from lambdaagent.store.errors import SealedValueError, UnfitError
from lambdaagent.store.records import DeadLetter, Key, Letters, Push, TaskChange, TaskRecord
from lambdaagent.store.sealing import HIDDEN, Sealing, Tenant

TASK = (
    "id", "context_id", "namespace", "agent", "skill", "owner", "version", "state", "settled", "created", "updated",
    "body", "holder", "deadline", "remote", "once",
)  # fmt: skip
CHANGING = ("version", "state", "settled", "updated", "body", "holder", "deadline", "remote")
PUSH = (
    "task_id", "id", "url", "wire", "token", "scheme", "credentials", "sent", "attempts", "due", "dead",
    "registrant",
)  # fmt: skip
TENANT = ("namespace", "agent", "owner")  # of the task
LETTER = (
    "namespace", "agent", "source", "event_id", "reason", "received", "attributes", "data", "code", "destination",
    "attempts",
)  # fmt: skip
UNREADABLE = "lambdaagent/unreadable"
"""Member of the metadata of a task that cannot be decrypted, in lists; its value says why."""
DELIVERY = ("digest", "namespace", "agent", "key", "at")


def as_json(value: object) -> bytes:
    """Raises UnfitError for what no database here can keep: lone surrogates, and what is nested too deep."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise UnfitError(f"the store cannot store this value: {str(error)[:200]}") from None


def task_row(record: TaskRecord, idempotency_key: str | None, body: bytes) -> tuple[Any, ...]:
    """Return a row in the order of TASK; `body` is the task as JSON."""
    version, state, settled, updated, *rest = changing(record, body)
    identity = (record.id, record.context_id, record.namespace, record.agent, record.skill, record.owner)
    return (*identity, version, state, settled, record.created, updated, *rest, idempotency_key)


def changing(record: TaskRecord, body: bytes | None) -> tuple[Any, ...]:
    """Return the columns of CHANGING; `body` is the task as JSON, or None where it does not change."""
    state = record.state
    settled = 2 if state.terminal else int(state.settled)
    place = (record.holder, record.deadline, record.remote)
    return (record.version, str(state), settled, record.updated, body, *place)


def record_of(
    row: Sequence[Any], log: Sequence[bytes] = (), *, sealing: Sealing, known: TaskRecord | None = None
) -> TaskRecord:
    """Read a row of TASK. `log` has the entries that the body lacks; a body of None means the body of `known`.

    Raises SealedValueError.
    """
    id_, _, namespace, agent, _, owner, version, *_, body, _, _, _, _ = row
    first = version - len(log) + 1  # each version has one entry
    entries = [sealing.opened_entry(entry, id_, version) for version, entry in enumerate(log, start=first)]
    updates = [update for entry in entries for update in orjson.loads(entry)]
    if body is None and known is not None:
        return grown(known, updates, **_changed(row))
    task = orjson.loads(sealing.opened_body(body, id_, (namespace, agent, owner)))
    return _record(row, fold_all(task, updates) if updates else task)


def found_of(row: Sequence[Any], log: Sequence[bytes] = (), *, sealing: Sealing) -> TaskRecord:
    """Read one row of TASK among many: a task that cannot be decrypted is marked, and has what the columns say."""
    try:
        return record_of(row, log, sealing=sealing)
    except SealedValueError as error:
        id_, context, *_, state, _, _, updated, _, _, _, _, _ = row
        status = {"state": state, "timestamp": timestamp(updated)}
        stub = {"id": id_, "contextId": context, "status": status, "metadata": {UNREADABLE: str(error)}}
        return replace(_record(row, stub), unreadable=str(error))


def _record(row: Sequence[Any], task: Json) -> TaskRecord:
    id_, context, namespace, agent, skill, owner, *_ = row
    return TaskRecord(
        id=id_,
        context_id=context,
        namespace=namespace,
        agent=agent,
        skill=skill,
        owner=owner,
        created=row[9],
        task=task,
        **_changed(row),
    )


def _changed(row: Sequence[Any]) -> dict[str, Any]:
    version, state, _, _, updated, _, holder, deadline, remote, _ = row[6:]
    return {
        "version": version, "state": TaskState(state), "updated": updated,
        "holder": holder, "deadline": deadline, "remote": remote,
    }  # fmt: skip


def change_of(row: Sequence[Any], *, task_id: str, sealing: Sealing) -> TaskChange:
    """Raises SealedValueError."""
    version, updates = row
    return TaskChange(version, tuple(orjson.loads(sealing.opened_entry(updates, task_id, version))))


def push_row(push: Push, *, tenant: Tenant, sealing: Sealing) -> tuple[Any, ...]:
    """Return a row in the order of PUSH. `tenant` is that of the task."""
    url, token, credentials, registrant = sealing.secrets(push, tenant)
    addressed = (push.task_id, push.id, url, push.wire, token, push.scheme, credentials)
    return (*addressed, push.sent, push.attempts, push.due, push.dead, registrant)


def push_of(row: Sequence[Any], *, sealing: Sealing) -> Push:
    """Read a row of PUSH and TENANT; a configuration that cannot be decrypted is marked and has no secrets."""
    task_id, id_, url, wire, token, scheme, credentials, *progress, registrant, namespace, agent, owner = row
    whose, unreadable = (namespace, agent, owner), ""
    try:
        url, token, credentials, registrant = sealing.opened_secrets(
            (url, token, credentials, registrant), task_id, id_, whose
        )
    except SealedValueError as error:
        url = token = credentials = registrant = ""
        unreadable = str(error)
    sent, attempts, due, dead = progress
    return Push(task_id, id_, url, wire, token, scheme, credentials, sent, attempts, due, dead, registrant, unreadable)


def letter_row(letter: DeadLetter, *, sealing: Sealing) -> tuple[Any, ...]:
    """Return a row in the order of LETTER."""
    key = letter_key(letter)
    source, event_id = (key[2], key[3]) if key else (None, None)
    known = dict(letter.attributes)
    hidden = {name: known.pop(name) for name in HIDDEN if name in known} if sealing.active else {}
    attributes = as_json(known)
    outcome = as_json({"to": letter.destination, "attributes": hidden})
    where = letter_place(letter.namespace, letter.agent, letter.received, attributes)
    destination, data = sealing.letter(letter.destination, outcome, letter.data, where)
    said = (letter.namespace, letter.agent, source, event_id, letter.reason, letter.received, attributes, data)
    return (*said, letter.code, destination, letter.attempts)


def letter_of(row: Sequence[Any], *, sealing: Sealing) -> DeadLetter:
    """Read a row of a letter's number and LETTER; a letter that cannot be decrypted is marked and has no data."""
    number, namespace, agent, _, _, reason, received, attributes, data, code, destination, attempts = row
    known, unreadable = orjson.loads(attributes), ""
    try:
        where = letter_place(namespace, agent, received, attributes) if is_enveloped(destination) else b""
        destination, outcome, data = sealing.opened_letter(
            destination, data, where, named=f"the dead letter s-{number}"
        )
        if outcome:
            opened = orjson.loads(outcome)
            destination = opened["to"]
            known |= opened["attributes"]
    except SealedValueError as error:
        destination, data, unreadable = "", b"", str(error)
    return DeadLetter(
        namespace, agent, reason, received, known, data, code, destination, attempts, str(number), unreadable
    )


def letter_place(namespace: str, agent: str, received: float, attributes: bytes) -> bytes:
    """Return what a letter's sealed values are bound to: it has no number before it is stored."""
    return place("dead_letters", "", namespace, agent, float(received), attributes.decode())


def letter_number(letter_id: str) -> int | None:
    """Return the number of the letter with this id; None: no letter can have this id."""
    if not (letter_id.isascii() and letter_id.isdecimal()):
        return None
    number = int(letter_id[:20])
    return number if number < 2**63 else None


def letter_type(wanted: Letters) -> bytes | None:
    """Return the bytes that only the attributes of letters of that type contain.

    Attributes are JSON without spaces, in which a quote inside a string is always escaped. So no column is needed,
    which a gateway of the previous version would leave empty.
    """
    return orjson.dumps({"type": wanted.type})[1:-1] if wanted.type is not None else None


def letter_key(letter: DeadLetter) -> tuple[str, str, str, str] | None:
    """Return what identifies a letter, or None: letters without an id or source are all different."""
    source, id_ = letter.attributes.get("source"), letter.attributes.get("id")
    return (letter.namespace, letter.agent, str(source), str(id_)) if source and id_ else None


def delivery_row(namespace: str, agent: str, key: Key, now: float) -> tuple[bytes, str, str, bytes, float]:
    """Return a row in the order of DELIVERY. The digest identifies it, because a source may be too long for an index.

    The key is plain ASCII bytes, so that whatever a sender wrote, such as NUL or lone surrogates, is read back
    unchanged.
    """
    whole = json.dumps([namespace, agent, *key]).encode()
    return hashlib.sha256(whole).digest()[:16], namespace, agent, json.dumps(key).encode(), now


def delivery_key(written: bytes) -> Key:
    source, id_ = json.loads(written)
    return source, id_
