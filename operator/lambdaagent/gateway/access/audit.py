"""The audit log: one JSON line for each decision about access, with the names of the Kubernetes audit event.

No line holds a message, a credential or an address with its query. Lines are collected in memory and written by a
thread, because a reader of standard output that does not read would otherwise hold every request. The thread also makes
the text: a batch of lines at once takes a third of the time that each takes during its request.

Invariant: refusals of callers without an identity are counted, not written one by one: else whoever sends garbage fills
the log. Hazard: lines are lost if the reader is slower than the gateway for longer than `_MOST` bytes last; they are
counted, and the count is a line of its own.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import structlog

from lambdaagent.access.decide import Decision
from lambdaagent.access.principal import Principal
from lambdaagent.cancellation import cancel
from lambdaagent.clock import Clock, rfc3339

log = structlog.get_logger(__name__)
EVERY = 0.2  # seconds between two writes
SUMMARY = 10.0  # seconds that refusals without an identity are counted for one line
_MOST = 8 * 1024 * 1024  # bytes that wait
_SOURCES = 1_000
_KEPT = 2_000
_FIXED = 128  # bytes of the names of a line's own fields, and of its time
_NAMES = 20  # kinds of refusals that one address can have lines of its own for: it may invent names of agents

_Refusal = tuple[str, str, str, str]  # peer, rule, namespace, name


class Asked(NamedTuple):
    """What a request asked for, as the audit log shows it."""

    request_id: str
    peer: str
    verb: str
    namespace: str = ""
    name: str = ""
    skill: str = ""
    trace: str = ""


_Line = tuple[float, Asked, bytes]  # when, and the part that is the same for many


@dataclass(slots=True)
class AuditLog:
    """`path` is a file, or empty for standard output. Without `run`, nothing is written."""

    clock: Clock
    path: str = ""
    on: bool = False
    _waiting: list[bytes | _Line] = field(default_factory=list)
    _size: int = 0  # bytes of the text of `_waiting`, or a few more
    _lost: int = 0
    _nobody: dict[_Refusal, tuple[int, float]] = field(default_factory=dict)
    _kinds: dict[str, int] = field(default_factory=dict)  # of each address in `_nobody`
    _writing: asyncio.Task[None] | None = None
    _rests: dict[object, bytes] = field(default_factory=dict)  # the constant parts of lines

    def decided(self, asked: Asked, principal: Principal, decision: Decision, *, code: int, mode: str) -> None:
        """`code` is the status of a denial, 0 of what was allowed."""
        if not self.on:
            return
        if code and principal.anonymous and not self._first(asked, decision):
            return
        rest = self._rest(asked, principal, decision, code, mode)
        size = len(rest) + len(asked.request_id) + len(asked.peer) + len(asked.trace) + _FIXED
        self._add((self.clock.now(), asked, rest), size)

    def _first(self, asked: Asked, decision: Decision) -> bool:
        """Count a refusal of somebody unknown. Return whether it is the first of its kind for a while."""
        key, now = (asked.peer, decision.rule, asked.namespace, asked.name), self.clock.now()
        if key not in self._nobody and self._kinds.get(asked.peer, 0) >= _NAMES:
            key = (asked.peer, decision.rule, "", "")
        count, since = self._nobody.get(key, (0, now))
        if count and now - since < SUMMARY:
            self._nobody[key] = (count + 1, since)
            return False
        self._summarize(key)
        if len(self._nobody) >= _SOURCES:
            for each in list(self._nobody):
                self._summarize(each)
        self._nobody[key] = (1, now)
        self._kinds[asked.peer] = self._kinds.get(asked.peer, 0) + 1
        return True

    def _summarize(self, key: _Refusal) -> None:
        count, since = self._nobody.pop(key, (0, 0.0))
        peer, rule, namespace, name = key
        if count:
            self._kinds[peer] -= 1
            if not self._kinds[peer]:
                del self._kinds[peer]
        if count > 1:
            summary = {
                "stage": "Summary",
                "since": rfc3339(since),
                "user": {"username": "anonymous"},
                "sourceIPs": [peer],
                "objectRef": {"resource": "lambdaagents", "namespace": namespace, "name": name},
                "annotations": {"decision": "forbid", "rule": rule, "count": str(count - 1)},
            }
            self._add_written(summary)

    def _rest(self, asked: Asked, principal: Principal, decision: Decision, code: int, mode: str) -> bytes:
        """Return the part of a line that is the same for all requests of a caller that ask for the same."""
        key = (
            *(principal.name, principal.groups, principal.actors),
            *(asked.verb, asked.namespace, asked.name, asked.skill),
            *(decision.allowed, decision.rule, decision.reason, code, mode),
        )
        rest = self._rests.get(key)
        if rest is None:
            if len(self._rests) >= _KEPT:
                self._rests.clear()
            rest = self._rests[key] = orjson.dumps(
                _rest(asked, principal, decision, code=code, mode=mode), option=orjson.OPT_APPEND_NEWLINE
            )[1:]
        return rest

    def _add(self, line: bytes | _Line, size: int) -> None:
        if self._size + size > _MOST:
            self._lost += 1
            return
        self._waiting.append(line)
        self._size += size

    def _add_written(self, entry: dict[str, Any]) -> None:
        written = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        self._add(written, len(written))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Write lines while the context is open, and the rest at its end."""
        self.on = True
        writing = asyncio.create_task(self._work(), name="audit")
        try:
            yield
        finally:
            self.on = False
            await cancel(writing)
            if self._writing is not None:
                await self._writing
            for key in list(self._nobody):
                self._summarize(key)
            await self._flush()

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            now = self.clock.now()
            for key in [key for key, (_, since) in self._nobody.items() if now - since >= SUMMARY]:
                self._summarize(key)
            await self._flush()

    async def _flush(self) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            self._size = 0
            self._add_written({"stage": "Lost", "annotations": {"count": str(lost)}})
        if not self._waiting:
            return
        waiting, self._waiting, self._size = self._waiting, [], 0
        self._writing = asyncio.create_task(self._write(waiting), name="audit-write")
        await asyncio.shield(self._writing)  # the thread goes on when this is cancelled

    async def _write(self, waiting: list[bytes | _Line]) -> None:
        try:
            await asyncio.to_thread(self._put, waiting)
        except OSError as error:
            log.error("audit.write_failed", file=self.path, lines=len(waiting), error=error.strerror)

    def _put(self, waiting: list[bytes | _Line]) -> None:
        data = _text(waiting)
        if not self.path:
            while data:
                data = data[os.write(1, data) :]
            return
        with Path(self.path).open("ab", buffering=0) as file:  # opened each time: a rotation moves it
            file.write(data)


def _rest(asked: Asked, principal: Principal, decision: Decision, *, code: int, mode: str) -> dict[str, Any]:
    """Return the fields that do not differ between two requests for the same."""
    user: dict[str, Any] = {"username": principal.name}
    if principal.groups:
        user["groups"] = sorted(principal.groups)
    said = {"decision": "allow" if decision.allowed else "forbid", "rule": decision.rule, "reason": decision.reason}
    found: dict[str, Any] = {
        "stage": "Decision",
        "verb": asked.verb,
        "user": user,
        "objectRef": {"resource": "lambdaagents", "namespace": asked.namespace, "name": asked.name},
        "annotations": said if mode == "enforce" else {**said, "mode": mode},
    }
    if code:
        found["responseStatus"] = {"code": code}
    optional = {"skill": asked.skill, "actor": list(principal.actors)}
    return found | {name: value for name, value in optional.items() if value}


def _text(waiting: list[bytes | _Line]) -> bytes:
    """Return the text of the lines. A second is written once for all lines of it; the rest of a time is cut off."""
    text: list[bytes] = []
    known, written = -1, ""
    for each in waiting:
        if isinstance(each, bytes):
            text.append(each)
            continue
        at, asked, rest = each
        second = int(at)
        if second != known:
            known, written = second, rfc3339(second)[:-1]
        now = f"{written}.{int((at - second) * 1e6):06}Z"
        own: dict[str, Any] = {"auditID": asked.request_id, "requestReceivedTimestamp": now, "sourceIPs": [asked.peer]}
        if asked.trace:
            own["traceId"] = asked.trace
        text += (_dumped(own)[:-1], b",", rest)
    return b"".join(text)


def _dumped(own: dict[str, Any]) -> bytes:
    """A proxy may report an address with a zone that is not UTF-8; it must not cost the other lines of the batch."""
    try:
        return orjson.dumps(own)
    except TypeError:
        return json.dumps(own).encode()
