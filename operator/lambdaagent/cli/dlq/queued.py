"""Dead letters in RabbitMQ: one queue per namespace."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lambdaagent.broker.rabbitmq import dead_letters as boxes
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.cli.dlq.letters import Found, LetterFilter, Visit
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events import amqp
from lambdaagent.events.errors import EventError
from lambdaagent.trust import Trust


@dataclass(frozen=True, slots=True)
class QueuedLetters:
    link: RabbitMQConnection
    namespaces: Sequence[str]

    async def newest(self, wanted: LetterFilter, *, limit: int | None) -> list[Found]:
        found: list[Found] = []

        async def visit(letter: boxes.Letter, _: boxes.DeadLetterBrowser) -> bool:
            if (seen := _found(letter)) in wanted:
                found.append(replace(seen, data=b""))
            if limit is not None and len(found) > 2 * limit:
                found[:] = _newest(found, limit)
            return False

        for namespace in self._namespaces(wanted):
            await boxes.walk(self.link, namespace, visit)
        return _newest(found, limit)

    async def walk(self, wanted: LetterFilter, visit: Visit) -> None:
        async def each(letter: boxes.Letter, box: boxes.DeadLetterBrowser) -> bool:
            seen = _found(letter)

            async def redrive() -> str:
                try:
                    return await box.redrive(letter)
                except (LambdaAgentError, TimeoutError) as problem:
                    return str(problem) or "RabbitMQ did not confirm it in time"  # a TimeoutError has no text

            return seen in wanted and await visit(seen, redrive)

        for namespace in self._namespaces(wanted):
            await boxes.walk(self.link, namespace, each)

    def _namespaces(self, wanted: LetterFilter) -> Sequence[str]:
        return [wanted.namespace] if wanted.namespace else self.namespaces


@contextlib.asynccontextmanager
async def opened(url: str, namespaces: Sequence[str], trust: Trust) -> AsyncIterator[QueuedLetters]:
    """Yield the letters in RabbitMQ. Raises UsageError; its message omits the URL, which contains a password."""
    link = RabbitMQConnection(url=url, name="lambdaagent events dlq", trust=trust)
    link.start()
    try:
        yield QueuedLetters(link, namespaces)
    finally:
        await link.stop()


def _newest(found: list[Found], limit: int | None) -> list[Found]:
    return sorted(found, key=lambda letter: letter.at, reverse=True)[:limit]


def _found(letter: boxes.Letter) -> Found:
    cause = letter.cause
    attributes: Mapping[str, Any]
    data = letter.message.body
    try:
        event = amqp.read(letter.message)
        attributes, data = event.attributes(), event.data
    except EventError:
        attributes = {name: _plain(value) for name, value in letter.message.headers.items()}
    return Found(
        f"q-{letter.id}", letter.namespace, cause.agent, cause.reason, cause.at, attributes, cause.code,
        cause.destination, cause.attempts, data,
    )  # fmt: skip


def _plain(value: Any) -> str | int | bool:
    """Return a header's value as attribute; headers may contain any type: bytes, times, tables."""
    return value if isinstance(value, str | int | bool) else str(value)
