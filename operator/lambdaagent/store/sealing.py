"""Which values a store seals, and in which place of which row (decision 0028; the form of a value: `envelope`).

With keys: the URL, token and credentials of push configurations, and the destination of dead letters with the
attributes that repeat it. With `payloads` also tasks, the entries of their logs, and the data of dead letters. Columns
by which rows are found or ordered stay plain.

Invariant: without keys nothing is sealed, and everything that is plain stays readable. A value that cannot be opened
is never returned in another form: the reader of one record raises SealedValueError, and the reader of many returns that
record without its sealed values, marked as `unreadable`. A plain value in the place of a sealed one is accepted,
because it may be older than the keys.

A push configuration and a task are bound to the task's owner. An entry of a log is bound to its task and version only:
it is read after the task, which is bound to its owner.
"""

import threading
from collections import Counter
from collections.abc import Mapping

import structlog

from lambdaagent.store.envelope import MARK, Keyring, escaped, kid_of, place
from lambdaagent.store.errors import SealedValueError, UnfitError
from lambdaagent.store.records import Push, TaskRecord

log = structlog.get_logger(__name__)

Tenant = tuple[str, str, str]
"""Namespace, agent and owner of a task."""
SECRETS = ("url", "token", "credentials", "registrant")
"""The columns of a push configuration that are sealed."""
HIDDEN = ("knativeerrordest", "knativeerrordata")
"""The attributes of a dead letter that are sealed with its destination: a URL with a capability, and a response."""
_MOST_KIDS = 20


class Sealing:
    def __init__(self, keys: Mapping[str, bytes] | None = None, *, payloads: bool = False) -> None:
        """`payloads`: seal tasks and the data of events too. Without keys nothing is sealed."""
        self._keys = dict(keys or {})
        self.keyring = Keyring(self._keys)
        self.active = bool(self._keys)
        self.payloads = payloads and self.active
        self.failures: Counter[tuple[str, bool]] = Counter()
        """The number of values that could not be opened, by the key's id and whether that key is missing."""
        self._lock = threading.Lock()  # SQLite reads in threads

    def including_payloads(self) -> "Sealing":
        return Sealing(self._keys, payloads=True)

    def body(self, task_id: str, whose: Tenant, body: bytes) -> bytes:
        return self.keyring.seal(body, _body(task_id, whose)) if self.payloads else body

    def opened_body(self, stored: bytes, task_id: str, whose: Tenant) -> bytes:
        if stored[:1] != MARK:  # the usual case without keys; JSON never begins with it
            return stored
        return self._open(f"the task {task_id}", stored, _body(task_id, whose))

    def entry(self, task_id: str, version: int, updates: bytes) -> bytes:
        return self.keyring.seal(updates, _entry(task_id, version)) if self.payloads else updates

    def opened_entry(self, stored: bytes, task_id: str, version: int) -> bytes:
        if stored[:1] != MARK:
            return stored
        return self._open(f"the log of the task {task_id}", stored, _entry(task_id, version))

    def secrets(self, push: Push, whose: Tenant) -> tuple[str, ...]:
        """Return the columns SECRETS. Raises UnfitError for lone surrogates."""
        return tuple(
            self._text(getattr(push, column), _secret(column, push.task_id, push.id, whose)) for column in SECRETS
        )

    def opened_secrets(self, stored: tuple[str, ...], task_id: str, push_id: str, whose: Tenant) -> tuple[str, ...]:
        named = f"the push notification configuration {push_id} of the task {task_id}"
        return tuple(
            self._open_text(named, value, _secret(column, task_id, push_id, whose)).decode("utf-8", "surrogatepass")
            for column, value in zip(SECRETS, stored, strict=True)
        )

    def letter(self, destination: str, outcome: bytes, data: bytes, where: bytes) -> tuple[str, bytes]:
        """Return the columns destination and data; `outcome` is sealed in place of the destination.

        Data is in an envelope only where the destination is in one. So data that was stored without keys is always read
        as it is, whatever it begins with.
        """
        if not self.active:
            return self._text(destination, where), data
        sealed = self.keyring.seal_text(outcome, where + b"destination")
        return sealed, self.keyring.seal(data, where + b"data") if self.payloads else escaped(data)

    def opened_letter(self, destination: str, data: bytes, where: bytes, *, named: str) -> tuple[str, bytes, bytes]:
        """Return the destination, the outcome or nothing, and the data."""
        if kid_of(destination) is None:
            return self._open_text(named, destination, where).decode("utf-8", "surrogatepass"), b"", data
        outcome = self._open_text(named, destination, where + b"destination")
        return "", outcome, self._open(named, data, where + b"data")

    def _text(self, plain: str, where: bytes) -> str:
        try:
            encoded = plain.encode()
        except UnicodeEncodeError:
            raise UnfitError("the store cannot store a text with lone surrogates") from None
        return self.keyring.seal_text(encoded, where) if self.active else escaped(encoded).decode()

    def _open(self, named: str, stored: bytes, where: bytes) -> bytes:
        try:
            return self.keyring.open(stored, where)
        except SealedValueError as error:
            raise self._failed(named, error) from None

    def _open_text(self, named: str, stored: str, where: bytes) -> bytes:
        try:
            return self.keyring.open_text(stored, where)
        except SealedValueError as error:
            raise self._failed(named, error) from None

    def _failed(self, named: str, error: SealedValueError) -> SealedValueError:
        """Count the failure, and log the first one of each key. Whoever writes the database can invent ids of keys."""
        with self._lock:
            cause = (error.kid, error.missing)
            first = cause not in self.failures
            if first and len(self.failures) >= _MOST_KIDS:
                cause, first = ("other", error.missing), False
            self.failures[cause] += 1
        failure = SealedValueError(f"{named} {error}", kid=error.kid, missing=error.missing)
        if first:
            log.error("store.value_unreadable", kid=error.kid, key_missing=error.missing, error=str(failure))
        return failure


def tenant(record: TaskRecord) -> Tenant:
    return record.namespace, record.agent, record.owner


def _body(task_id: str, whose: Tenant) -> bytes:
    return place("tasks", "body", task_id, *whose)


def _entry(task_id: str, version: int) -> bytes:
    return place("changes", "updates", task_id, version)


def _secret(column: str, task_id: str, push_id: str, whose: Tenant) -> bytes:
    return place("pushes", column, task_id, push_id, *whose)
