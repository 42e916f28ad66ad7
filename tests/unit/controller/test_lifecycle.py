"""Publishing of lifecycle events to a real HTTP server whose responses a test sets."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from tests.parts.http_servers import serving
from tests.parts.polling import eventually

from lambdaagent import outbox
from lambdaagent.backoff import Backoff
from lambdaagent.controller.lifecycle import AgentLifecyclePublisher, event_of
from lambdaagent.events import http
from lambdaagent.status.lifecycle import Happening

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OBJ: dict[str, Any] = {"metadata": {"namespace": "shop", "name": "cart", "uid": "u-1", "generation": 3}}
READY: dict[str, Any] = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "T"}
STATUS: dict[str, Any] = {"phase": "Ready", "conditions": [READY]}


@dataclass
class Receiver:
    url: str = ""
    answers: Iterator[int] = field(default_factory=lambda: iter(()))
    seen: list[tuple[str, str]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        [event] = http.read(request.headers, await request.read())
        await self.open.wait()
        self.seen.append((request.path, event.id))
        return web.Response(status=next(self.answers, 202))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    found.open.set()
    app = web.Application()
    app.router.add_post("/events/{namespace}", found.take)
    async with serving(app) as found.url:
        yield found
        found.open.set()


def publisher(url: str, outcomes: list[str]) -> AgentLifecyclePublisher:
    return AgentLifecyclePublisher(
        url, outcomes.append, timeout=5, backoff=Backoff(first=0.01, cap=0.01), now=lambda: NOW
    )


def test_an_event_says_all_and_is_the_same_when_it_is_told_again() -> None:
    event = event_of(OBJ, Happening.READY, STATUS, now=NOW)
    assert event.attributes() == {
        "specversion": "1.0",
        "id": "u-1.3.ready.T",
        "source": "io.knative.lambda/operator/shop/cart",
        "type": "io.knative.lambda.lifecycle.agent.ready",
        "subject": "shop/cart",
        "time": "2026-01-02T03:04:05Z",
        "datacontenttype": "application/json",
    }
    assert event.data == (
        b'{"name":"cart","namespace":"shop","uid":"u-1","generation":3,"phase":"Ready","reason":"Ready","message":""}'
    )
    assert event_of(OBJ, Happening.UPDATED, STATUS, now=NOW).id == "u-1.3.updated"
    assert event_of(OBJ, Happening.DELETED, {}, now=NOW).id == "u-1.3.deleted"


async def test_events_are_told_in_order_to_their_namespace(receiver: Receiver) -> None:
    outcomes: list[str] = []
    told = publisher(receiver.url, outcomes)
    async with told.run():
        for happening in (Happening.CREATED, Happening.READY, Happening.DELETED):
            told.tell(OBJ, happening, STATUS)
    assert [id_.split(".")[2] for _, id_ in receiver.seen] == ["created", "ready", "deleted"]
    assert {path for path, _ in receiver.seen} == {"/events/shop"}
    assert outcomes == ["published"] * 3


@pytest.mark.parametrize(
    ("answers", "attempts", "outcome"),
    [
        pytest.param([503, 429, 202], 3, "published", id="later"),
        pytest.param([503] * 9, 5, "lost", id="never"),
        pytest.param([404], 1, "unheard", id="nobody subscribed"),
        pytest.param([413], 1, "refused", id="refused"),
    ],
)
async def test_answers(receiver: Receiver, answers: list[int], attempts: int, outcome: str) -> None:
    receiver.answers = iter(answers)
    outcomes: list[str] = []
    told = publisher(receiver.url, outcomes)
    async with told.run():
        told.tell(OBJ, Happening.CREATED, STATUS)
        await eventually(lambda: outcomes)
    assert (outcomes, len(receiver.seen)) == ([outcome], attempts)


async def test_a_gateway_that_is_not_there_loses_events_and_nothing_else() -> None:
    outcomes: list[str] = []
    told = publisher("http://127.0.0.1:1", outcomes)
    async with told.run():
        told.tell(OBJ, Happening.CREATED, STATUS)
        await eventually(lambda: outcomes == ["lost"])


async def test_a_gateway_that_hangs_holds_nobody_up(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LAST_SECONDS", 0.1)
    receiver.open.clear()
    outcomes: list[str] = []
    told = publisher(receiver.url, outcomes)
    async with told.run():
        for _ in range(1010):
            told.tell(OBJ, Happening.CREATED, STATUS)
            await asyncio.sleep(0)
        assert outcomes == ["lost"] * len(outcomes)
        assert 9 <= len(outcomes) <= 10
