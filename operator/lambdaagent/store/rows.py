"""Converts between records and database rows: tuples in the order of the columns, the same for every database.

The rows of SQLite and of asyncpg are both sequences, and a driver takes a tuple at the least cost.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import orjson

from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import fold_all
from lambdaagent.store.chunked_record import grown
from lambdaagent.store.errors import UnfitError
from lambdaagent.store.records import DeadLetter, Key, Letters, Push, TaskChange, TaskRecord

TASK = (
    "id", "context_id", "namespace", "agent", "skill", "owner", "version", "state", "settled", "created", "updated",
    "body", "holder", "deadline", "remote", "once",
)  # fmt: skip
CHANGING = ("version", "state", "settled", "updated", "body", "holder", "deadline", "remote")
PUSH = (
    "task_id", "id", "url", "wire", "token", "scheme", "credentials", "sent", "attempts", "due", "dead",
)  # fmt: skip
LETTER = (
    "namespace", "agent", "source", "event_id", "reason", "received", "attributes", "data", "code", "destination",
    "attempts",
)  # fmt: skip
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


def record_of(row: Sequence[Any], log: Sequence[bytes] = (), *, known: TaskRecord | None = None) -> TaskRecord:
    """Read a row of TASK. `log` has the entries that the body lacks; a body of None means the body of `known`."""
    id_, context, namespace, agent, skill, owner, version, state, _, created, updated, body, *place, _ = row
    holder, deadline, remote = place
    updates = [update for entry in log for update in orjson.loads(entry)]
    columns = {
        "version": version, "state": TaskState(state), "updated": updated,
        "holder": holder, "deadline": deadline, "remote": remote,
    }  # fmt: skip
    if body is None and known is not None:
        return grown(known, updates, **columns)
    task = orjson.loads(body)
    return TaskRecord(
        id=id_,
        context_id=context,
        namespace=namespace,
        agent=agent,
        skill=skill,
        owner=owner,
        created=created,
        task=fold_all(task, updates) if updates else task,
        **columns,
    )


def change_of(row: Sequence[Any]) -> TaskChange:
    version, updates = row
    return TaskChange(version, tuple(orjson.loads(updates)))


def push_row(push: Push) -> tuple[Any, ...]:
    """Return a row in the order of PUSH."""
    addressed = (push.task_id, push.id, push.url, push.wire, push.token, push.scheme, push.credentials)
    return (*addressed, push.sent, push.attempts, push.due, push.dead)


def push_of(row: Sequence[Any]) -> Push:
    return Push(*row)


def letter_row(letter: DeadLetter) -> tuple[Any, ...]:
    """Return a row in the order of LETTER."""
    key = letter_key(letter)
    source, event_id = (key[2], key[3]) if key else (None, None)
    attributes = as_json(dict(letter.attributes))
    said = (letter.namespace, letter.agent, source, event_id, letter.reason, letter.received, attributes, letter.data)
    return (*said, letter.code, letter.destination, letter.attempts)


def letter_of(row: Sequence[Any]) -> DeadLetter:
    """Read a row of a letter's number and LETTER."""
    number, namespace, agent, _, _, reason, received, attributes, data, code, destination, attempts = row
    known = orjson.loads(attributes)
    return DeadLetter(namespace, agent, reason, received, known, data, code, destination, attempts, str(number))


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
