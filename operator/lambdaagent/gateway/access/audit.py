"""The audit log: one JSON line for each decision about access, with the names of the Kubernetes audit event.

No line holds a message, a credential or an address with its query. Lines are collected in memory and written by a
thread, because a reader of standard output that does not read would otherwise hold every request.

Invariant: refusals of callers without an identity are counted, not written one by one: else whoever sends garbage fills
the log. Hazard: lines are lost if the reader is slower than the gateway for longer than `_MOST` bytes last; they are
counted, and the count is a line of its own.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
_NAMES = 20  # kinds of refusals that one address can have lines of its own for: it may invent names of agents

_Refusal = tuple[str, str, str, str]  # peer, rule, namespace, name


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asked for, as the audit log shows it."""

    request_id: str
    peer: str
    verb: str
    namespace: str = ""
    name: str = ""
    skill: str = ""
    trace: str = ""


@dataclass(slots=True)
class AuditLog:
    """`path` is a file, or empty for standard output. Without `run`, nothing is written."""

    clock: Clock
    path: str = ""
    on: bool = False
    _lines: list[bytes] = field(default_factory=list)
    _size: int = 0
    _lost: int = 0
    _nobody: dict[_Refusal, tuple[int, float]] = field(default_factory=dict)
    _kinds: dict[str, int] = field(default_factory=dict)  # of each address in `_nobody`
    _writing: asyncio.Task[None] | None = None
    _rests: dict[object, bytes] = field(default_factory=dict)  # the constant parts of lines

    def decided(self, asked: Asked, principal: Principal, decision: Decision, *, code: int, mode: str) -> None:
        """`code` is the status of a denial, 0 of what was allowed."""
        if not self.on:
            return
        if principal.anonymous and code and not self._first(asked, decision):
            return
        self._add(self._line(asked, principal, decision, code, mode))

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
            self._add(_written(summary))

    def _line(self, asked: Asked, principal: Principal, decision: Decision, code: int, mode: str) -> bytes:
        """Return a line. Most of it is the same for all requests of a caller that ask for the same."""
        who = (principal.name, principal.groups, principal.actors)
        key = (who, asked.verb, asked.namespace, asked.name, asked.skill, decision, code, mode)
        rest = self._rests.get(key)
        if rest is None:
            if len(self._rests) >= _KEPT:
                self._rests.clear()
            rest = self._rests[key] = orjson.dumps(_rest(asked, principal, decision, code=code, mode=mode))[1:]
        now = rfc3339(self.clock.now(), digits="microseconds")
        own: dict[str, Any] = {"auditID": asked.request_id, "requestReceivedTimestamp": now, "sourceIPs": [asked.peer]}
        if asked.trace:
            own["traceId"] = asked.trace
        return b"%b,%b\n" % (orjson.dumps(own)[:-1], rest)

    def _add(self, written: bytes) -> None:
        if self._size + len(written) > _MOST:
            self._lost += 1
            return
        self._lines.append(written)
        self._size += len(written)

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
            self._add(_written({"stage": "Lost", "annotations": {"count": str(lost)}}))
        if not self._lines:
            return
        lines, self._lines, self._size = self._lines, [], 0
        self._writing = asyncio.create_task(self._write(lines), name="audit-write")
        await asyncio.shield(self._writing)  # the thread goes on when this is cancelled

    async def _write(self, lines: list[bytes]) -> None:
        try:
            await asyncio.to_thread(self._put, b"".join(lines))
        except OSError as error:
            log.error("audit.write_failed", file=self.path, lines=len(lines), error=error.strerror)

    def _put(self, data: bytes) -> None:
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


def _written(entry: dict[str, Any]) -> bytes:
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
