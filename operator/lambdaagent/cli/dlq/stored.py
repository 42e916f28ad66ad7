"""Dead letters in the gateways' database. They are redriven through the gateway, which knows the agents' addresses."""

import contextlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import aiohttp

from lambdaagent.cli.dlq.letters import Found, LetterFilter, Visit
from lambdaagent.errors import TemporaryError, UsageError
from lambdaagent.events import capability, http
from lambdaagent.events.cloudevents import from_attributes
from lambdaagent.events.dead_letter_headers import REDRIVE
from lambdaagent.events.errors import EventError
from lambdaagent.events.event_urls import agent_of, hide
from lambdaagent.events.retry import number
from lambdaagent.settings import EventsSettings
from lambdaagent.store.factory import open_letters
from lambdaagent.store.records import DeadLetter, Letters
from lambdaagent.store.sealing import Sealing
from lambdaagent.trust import unreachable

_PAGE = 200
_TIMEOUT = 330.0  # seconds; longer than a gateway waits for a container
_OF_DEATH = ("knativeerrordest", "knativeerrorcode", "knativeerrordata")


class _Store(Protocol):
    async def find_letters(self, wanted: Letters) -> list[DeadLetter]: ...
    async def letter(self, letter_id: str) -> DeadLetter | None: ...
    async def free_letter(self, letter_id: str) -> bool: ...
    async def drop_letters(self, letter_ids: Collection[str]) -> int: ...


@dataclass(frozen=True, slots=True)
class StoredLetters:
    store: _Store
    installation: EventsSettings

    async def newest(self, wanted: LetterFilter, *, limit: int | None) -> list[Found]:
        found: list[Found] = []
        page = Letters(
            namespace=wanted.namespace or None,
            type=wanted.type or None,
            received_from=wanted.died_from,
            received_before=wanted.died_before,
            limit=_PAGE,
        )
        while limit is None or len(found) < limit:
            letters = await self.store.find_letters(page)
            found += (replace(each, data=b"") for each in map(_found, letters) if each in wanted)
            if len(letters) < _PAGE:
                break
            page = replace(page, after=letters[-1].id)
        return found[:limit]

    async def walk(self, wanted: LetterFilter, visit: Visit) -> None:
        ids = [id_.removeprefix("s-") for id_ in sorted(wanted.ids) if id_.startswith("s-")]
        if not wanted.ids:
            ids = [each.id.removeprefix("s-") for each in reversed(await self.newest(wanted, limit=None))]
        for id_ in ids:
            letter = await self.store.letter(id_)
            found = _found(letter) if letter is not None else None
            if found is not None and found in wanted and await visit(found, partial(self._post, found)):
                await self.store.drop_letters([id_])

    async def _post(self, found: Found) -> str:
        if found.unreadable:
            return found.unreadable
        namespace, _, name = found.agent.partition("/")
        if not name:
            where = f" ({hide(found.destination)} is the URL of no agent)" if found.destination else ""
            return f"it does not name the agent that it was for{where}"
        if not self.installation.events_url:
            raise UsageError("LAMBDAAGENT_EVENTS_URL is empty: set it to the URL of the gateway")
        try:
            alive = {name: value for name, value in found.attributes.items() if name not in _OF_DEATH}
            headers, body = http.binary(from_attributes(alive, data=found.data))
        except EventError as error:
            return f"it is not an event: {error}"
        # From now on the event may be dead-lettered again as another letter, should the agent refuse it.
        await self.store.free_letter(found.id.removeprefix("s-"))
        return await self._answer(namespace, name, [*headers, (REDRIVE, "true")], body)

    async def _answer(self, namespace: str, name: str, headers: http.Headers, body: bytes) -> str:
        keys, base = self.installation.keys, self.installation.events_url
        segment = f"/{capability.sign(keys, namespace=namespace, use='to', agent=name)}" if keys else ""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT, sock_connect=10)
        connector = aiohttp.TCPConnector(ssl=self.installation.trust.context())
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
                session.post(
                    f"{base}/events/{namespace}/to/{name}{segment}", headers=headers, data=body, allow_redirects=False
                ) as answer,
            ):
                said = (await answer.content.read(1000)).decode("utf-8", "replace")
                return "" if 200 <= answer.status < 300 else hide(f"the gateway answered {answer.status}: {said}")
        except aiohttp.ClientConnectorError as error:
            # Further letters would fail in the same way.
            raise TemporaryError(
                f"the gateway at {base} cannot be reached ({unreachable(error)}); check LAMBDAAGENT_EVENTS_URL"
            ) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"the gateway did not answer: {unreachable(error)}"


@contextlib.asynccontextmanager
async def opened(database: str, settings: EventsSettings) -> AsyncIterator[StoredLetters]:
    sealing = Sealing(settings.sealing_keys, payloads=settings.encrypt_payloads)
    store = await open_letters(database, settings.trust, sealing=sealing)
    try:
        yield StoredLetters(store, settings)
    finally:
        await store.close()


def _found(letter: DeadLetter) -> Found:
    attributes = letter.attributes
    destination = letter.destination or str(attributes.get("knativeerrordest") or "")
    code = attributes.get("knativeerrorcode")
    said = number(code, otherwise=letter.code) if letter.code == -1 else letter.code
    agent = f"{letter.namespace}/{letter.agent}" if letter.agent else agent_of(destination)
    return Found(
        f"s-{letter.id}", letter.namespace, agent, letter.reason, letter.received, attributes, said, destination,
        letter.attempts, letter.data, letter.unreadable,
    )  # fmt: skip
