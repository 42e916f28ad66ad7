"""A container's card is read once per rollout, and a container that gives none is left alone after a few attempts."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.parts.upstream import PlainAgent, plain_agent

from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.backoff import Backoff
from lambdaagent.controller.container_cards import ContainerCards, revision_of

Json = dict[str, Any]
CARD = {"description": "Theirs.", "skills": [{"id": "say", "name": "Say"}]}


@pytest.fixture
def container() -> Iterator[PlainAgent]:
    with plain_agent() as found:
        found.respond = lambda _: (200, {}, json.dumps(CARD).encode())
        yield found


def agent(**a2a: Any) -> LambdaAgent:
    spec = {"image": {"repository": "r"}, "a2a": {"enabled": True, "protocol": "a2a", **a2a}}
    return parse({"metadata": {"name": "agent", "namespace": "shop"}, "spec": spec})


class Bench:
    def __init__(self) -> None:
        self.woken: asyncio.Queue[Any] = asyncio.Queue()
        self.cards = ContainerCards(self.woken.put_nowait, backoff=lambda: Backoff(first=0.0, cap=0.0))

    def ask(
        self, agent: LambdaAgent, url: str, revision: str = "r1", before: Json | None = None, **service: Any
    ) -> Any:
        found = {"url": url, "ready": True, **service}
        return self.cards.card(agent, service=found, revision=revision, before=before)


async def test_the_card_is_read_when_the_agent_is_ready_and_once_per_revision(container: PlainAgent) -> None:
    bench = Bench()
    async with bench.cards.run():
        assert bench.ask(agent(), container.url, ready=False) is None
        assert bench.ask(agent(), container.url, revision="") is None
        assert container.seen == []
        assert bench.ask(agent(), container.url) is None
        assert bench.ask(agent(), container.url) is None
        assert await asyncio.wait_for(bench.woken.get(), 10) == ("shop", "agent")
        card = bench.ask(agent(), container.url)
        assert (card["revision"], card["description"], card["skills"][0]["id"]) == ("r1", "Theirs.", "say")
        assert bench.ask(agent(), container.url, before=card) == card
        assert [each.path for each in container.seen] == ["/.well-known/agent-card.json"]
        assert bench.ask(agent(), container.url, revision="r2", before=card) == card, "until the new one is read"
        await asyncio.wait_for(bench.woken.get(), 10)
        assert bench.ask(agent(), container.url, revision="r2", before=card)["revision"] == "r2"
        assert len(container.seen) == 2


async def test_an_operator_that_begins_anew_reads_nothing_that_status_has(container: PlainAgent) -> None:
    bench, before = Bench(), {"revision": "r1", "description": "Theirs."}
    async with bench.cards.run():
        assert bench.ask(agent(), container.url, before=before) == before
    assert container.seen == []


async def test_a_container_without_a_card_is_left_alone_after_some_attempts(container: PlainAgent) -> None:
    container.respond = lambda _: (404, {}, b"")
    bench = Bench()
    async with bench.cards.run():
        bench.ask(agent(), container.url)
        await asyncio.wait_for(bench.woken.get(), 10)
        card = bench.ask(agent(), container.url)
        assert card["revision"] == "r1"
        assert "/.well-known/agent-card.json answers 404" in card["error"]
        asked = len(container.seen)
        assert asked == 5 * 2
        assert bench.ask(agent(), container.url, before=card) == card
    assert len(container.seen) == asked


@pytest.mark.parametrize("a2a", [{"protocol": "http"}, {"mode": "sidecar"}, {"enabled": False}], ids=str)
async def test_others_are_not_asked(container: PlainAgent, a2a: Json) -> None:
    bench = Bench()
    async with bench.cards.run():
        assert bench.ask(agent(**a2a), container.url, before={"revision": "r1"}) is None
    assert container.seen == []


async def test_one_that_is_gone_is_forgotten(container: PlainAgent) -> None:
    bench = Bench()
    async with bench.cards.run():
        bench.ask(agent(), container.url)
        bench.cards.forget(("shop", "agent"))
    assert bench.woken.empty()


def test_a_rollout_is_told_by_its_revision_or_by_what_pods_are_made_from() -> None:
    def live(image: str, replicas: int) -> Json:
        return {"spec": {"replicas": replicas, "template": {"spec": {"image": image}}}}

    assert revision_of(None, {"latestRevision": "a-00001"}) == "a-00001"
    assert revision_of(live("a", 1), {}) == revision_of(live("a", 2), {}) != revision_of(live("b", 1), {})
    assert revision_of(None, {}) == ""
