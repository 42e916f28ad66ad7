"""Somebody's policies on RabbitMQ take events out of the agents' queues, and the broker adapter hears of it."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pika import BasicProperties
from tests.parts.broker import Inbox, connected, event
from tests.parts.polling import eventually
from tests.parts.rabbitmq import RabbitMQ

from lambdaagent.broker.bindings import Binding, ExchangeDeclaration
from lambdaagent.broker.errors import NotConfirmedError
from lambdaagent.broker.protocol import dead_letter, retry
from lambdaagent.broker.rabbitmq import policy_deaths as watching
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.broker.rabbitmq.channel import Channel
from lambdaagent.events.dead_letter_headers import EXPIRED, OWN_EXPIRATION, TOO_MANY, TOO_OFTEN, DeathCause

POLICIES: dict[str, dict[str, Any]] = {
    "ttl": {"message-ttl": 1},
    "slow-ttl": {"message-ttl": 1500},
    "length": {"max-length": 1},
    "bytes": {"max-length-bytes": 1},
    "dropping": {"max-length": 1, "overflow": "drop-head"},
    "refusing": {"max-length": 1, "overflow": "reject-publish"},
    "both": {"max-length": 1, "overflow": "reject-publish-dlx"},
    "limit": {"delivery-limit": 1},
    "none": {"max-length": 1_000_000},
}


@pytest.fixture(scope="module")
def policies(own_rabbitmq: RabbitMQ) -> Iterator[str]:
    """The start of the names that they apply to: `<start>.<which>.`; all are set at once, since the tool is slow."""
    start = f"test-{secrets.token_hex(4)}"
    names = [f"{start}-{name}" for name in POLICIES]

    def text(value: str) -> str:
        return f"<<{json.dumps(value)}>>"

    def pattern(which: str) -> str:
        """Of agents' queues, and not of what remembers their bindings."""
        return f"^{start}[.]{which}[.].*[.]q$"

    sets = [
        f'rabbit_policy:parse_set(<<"/">>, {text(name)}, {text(pattern(which))}, '
        f'{text(json.dumps(definition))}, 1, <<"queues">>, <<"test">>)'
        for name, (which, definition) in zip(names, POLICIES.items(), strict=True)
    ]
    done = own_rabbitmq.ctl("eval", f"[{', '.join(sets)}].")
    assert done.split("[")[1].split("]")[0].replace("ok", "").strip(", \n") == "", done
    yield start
    gone = ", ".join(f'rabbit_policy:delete(<<"/">>, {text(name)}, <<"test">>)' for name in names)
    own_rabbitmq.ctl("eval", f"[{gone}].")


@dataclass
class World:
    broker: RabbitMQBroker
    url: str
    queue_type: str
    exchange: str
    reasons: list[str]

    @property
    def queue(self) -> str:
        return f"{self.exchange}.q"

    @property
    def dead(self) -> str:
        return f"{self.exchange}.dead"

    @property
    def counts(self) -> dict[str, int]:
        return {reason: found.count for (queue, reason), found in self.broker.deaths.items() if queue == self.queue}

    async def send(self, *ids: str) -> None:
        for id_ in ids:
            assert await self.broker.publish(event(id_), exchange=self.exchange)

    async def lying(self) -> int:
        link = self.broker._out
        channel = await link.channel()
        found = await channel.call(channel.raw.queue_declare, queue=self.dead, passive=True)
        await channel.close()
        count: int = found.method.message_count
        return count


async def opened(policies: str, url: str, which: str, queue_type: str) -> AsyncIterator[World]:
    reasons: list[str] = []
    async with connected(url, queue_type=queue_type, look_every=0.2, died=reasons.append) as broker:
        exchange = f"{policies}.{which}.{secrets.token_hex(4)}"
        world = World(broker, url, queue_type, exchange, reasons)
        await broker.declare(
            ExchangeDeclaration(exchange, {world.queue: [Binding({"type": "t"})]}, dead_letters=world.dead)
        )
        await watched(broker, world.dead)
        yield world
        await broker.remove_exchange(exchange)
        for name in (world.queue, world.dead):
            await broker.remove_queue(name)


async def watched(broker: RabbitMQBroker, exchange: str) -> None:
    await eventually(lambda: exchange in broker._death_watch.bound)


@pytest.fixture
async def world(request: pytest.FixtureRequest, policies: str, own_rabbitmq: RabbitMQ) -> AsyncIterator[World]:
    which, queue_type = request.param
    async for found in opened(policies, own_rabbitmq.url, which, queue_type):
        yield found


def on(*pairs: tuple[str, str]) -> pytest.MarkDecorator:
    """The world with these policies and types of queues."""
    return pytest.mark.parametrize("world", pairs, ids=[" on ".join(pair) for pair in pairs], indirect=True)


@on(("ttl", "quorum"), ("ttl", "classic"))
async def test_events_that_a_policy_expires_are_told_of(world: World) -> None:
    await world.send("1", "2", "3")
    await eventually(lambda: world.counts == {EXPIRED: 3})
    assert world.reasons == [EXPIRED] * 3
    found = world.broker.deaths[world.queue, EXPIRED]
    assert found.since <= found.at


@on(("length", "classic"), ("bytes", "classic"), ("dropping", "quorum"), ("dropping", "classic"))
async def test_events_that_a_policy_drops_from_a_full_queue_are_told_of(world: World) -> None:
    await world.send("1", "2", "3")
    await eventually(lambda: world.counts.get(TOO_MANY, 0) >= 2)
    assert set(world.counts) == {TOO_MANY}


@on(("limit", "quorum"))
async def test_events_that_a_policy_takes_after_some_deliveries_are_told_of(world: World) -> None:
    """The ordered head gives everything back whenever it waits: others that nobody tried are counted too."""
    inbox = Inbox(lambda _delivery: retry(0.05))
    await world.send("1", "2", "3")
    async with world.broker.consume(world.queue, parallelism=1, handler=inbox, dead_letters=world.dead):
        await eventually(lambda: world.counts.get(TOO_OFTEN, 0) == 3)
    assert len(inbox.got) < 9


@on(("slow-ttl", "quorum"), ("slow-ttl", "classic"))
async def test_an_event_that_waited_for_its_next_attempt_and_then_expires_is_told_of_once(world: World) -> None:
    """It expired before, in a queue of ours where it waited: that is no policy's doing."""
    inbox = Inbox(lambda _delivery: retry(0.3))
    await world.send("1")
    async with world.broker.consume(world.queue, parallelism=5, handler=inbox, dead_letters=world.dead):
        await eventually(lambda: len(inbox.got) == 2)
        assert not world.counts
    await eventually(lambda: world.counts == {EXPIRED: 1})


@on(("none", "quorum"), ("none", "classic"))
async def test_what_a_handler_gives_up_is_not_told_of(world: World) -> None:
    def refuse(_delivery: Any) -> Any:
        return dead_letter(DeathCause("ns/a", "refused", 1.0))

    await world.send("1", "2")
    async with world.broker.consume(world.queue, parallelism=5, handler=Inbox(refuse), dead_letters=world.dead):
        async with asyncio.timeout(20):
            while await world.lying() < 2:
                await asyncio.sleep(0.01)
    # RabbitMQ routes in order: what came before this one has been heard of.
    channel = await world.broker._out.channel()
    headers = {"x-death": [{"queue": world.queue, "reason": TOO_MANY, "count": 1}], "x-first-death-reason": TOO_MANY}
    await _publish(channel, exchange=world.dead, headers=headers)
    await eventually(lambda: world.counts == {TOO_MANY: 1})


@on(("none", "classic"))
async def test_an_event_that_brought_its_own_time_to_live_is_told_apart(world: World) -> None:
    channel = await world.broker._out.channel()
    await _publish(channel, exchange=world.exchange, headers={"type": "t"}, expiration="1")
    await eventually(lambda: world.counts == {OWN_EXPIRATION: 1})


@on(("ttl", "quorum"), ("ttl", "classic"))
async def test_what_died_while_no_process_ran_is_told_by_each_that_starts(world: World) -> None:
    await world.send("1")
    await eventually(lambda: world.counts == {EXPIRED: 1})
    for _ in range(2):
        reasons: list[str] = []
        async with connected(world.url, queue_type=world.queue_type, died=reasons.append) as later:
            queues = {world.queue: [Binding({"type": "t"})]}
            await later.declare(ExchangeDeclaration(world.exchange, queues, dead_letters=world.dead))
            await eventually(lambda later=later: (world.queue, EXPIRED) in later.deaths)
            assert later.deaths[world.queue, EXPIRED].count == 1
            assert reasons == [], "it was counted when it died"


@on(("ttl", "quorum"), ("ttl", "classic"))
async def test_every_replica_hears_of_every_death(world: World) -> None:
    reasons: list[str] = []
    async with connected(world.url, queue_type=world.queue_type, died=reasons.append) as other:
        queues = {world.queue: [Binding({"type": "t"})]}
        await other.declare(ExchangeDeclaration(world.exchange, queues, dead_letters=world.dead))
        await watched(other, world.dead)
        await world.send("1", "2")
        await eventually(lambda: world.reasons == reasons == [EXPIRED] * 2)
        assert world.broker.deaths[world.queue, EXPIRED] == other.deaths[world.queue, EXPIRED]


@on(("ttl", "quorum"))
async def test_a_watch_that_is_interrupted_goes_on_and_counts_nothing_twice(world: World) -> None:
    await world.send("1")
    await eventually(lambda: world.counts == {EXPIRED: 1})
    world.broker._in._raw.close()
    await eventually(lambda: not world.broker.ready)
    await world.send("2")
    await eventually(lambda: world.counts == {EXPIRED: 2})
    await world.send("3")
    await eventually(lambda: world.counts == {EXPIRED: 3})


@on(("ttl", "classic"))
async def test_an_exchange_that_is_deleted_is_watched_again(world: World) -> None:
    """A quorum queue whose exchange was missing for a moment waits minutes before it dead-letters anything."""
    channel = await world.broker._out.channel()
    await channel.call(channel.raw.exchange_delete, exchange=world.dead)
    async with asyncio.timeout(20):
        while not world.counts:
            await world.send(secrets.token_hex(4))


@on(("none", "quorum"))
async def test_events_are_delivered_by_a_rabbitmq_that_cannot_tell_of_deaths(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An older one refuses the kind of binding in the same words."""
    monkeypatch.setattr(watching, "_MATCH", "none-that-it-knows")
    inbox = Inbox()
    async with connected(world.url, queue_type=world.queue_type) as broker:
        await broker.declare(
            ExchangeDeclaration(world.exchange, {world.queue: [Binding({"type": "t"})]}, dead_letters=world.dead)
        )
        async with broker.consume(world.queue, parallelism=1, handler=inbox, dead_letters=world.dead):
            assert await broker.publish(event("1"), exchange=world.exchange)
            await eventually(lambda: inbox.ids == ["1"])
        await eventually(lambda: "Invalid x-match" in capsys.readouterr().out)
        assert world.exchange not in broker._death_watch.bound


@on(("ttl", "quorum"), ("ttl", "classic"))
async def test_no_letter_is_taken_where_the_queue_of_dead_letters_cannot_be_made(world: World) -> None:
    """RabbitMQ would count it as safe, and it would be lost."""
    channel = await world.broker._out.channel()
    async with world.broker._declaring:  # or it would make its own in between
        await channel.call(channel.raw.queue_delete, queue=world.dead)
        await channel.call(channel.raw.queue_declare, queue=world.dead, durable=False)
    await eventually(lambda: world.dead not in world.broker._death_watch.bound)
    await channel.call(channel.raw.queue_delete, queue=world.dead)
    await watched(world.broker, world.dead)
    await world.send("after")
    await eventually(lambda: world.counts == {EXPIRED: 1})


@on(("length", "quorum"), ("refusing", "classic"), ("both", "classic"))
async def test_a_publish_that_a_full_queue_refuses_names_the_cause(world: World) -> None:
    """RabbitMQ may take a few more than the limit before it says so."""
    with pytest.raises(NotConfirmedError, match="max-length"):
        for number in range(100):
            await world.send(str(number))
    if "both" in world.exchange:
        await eventually(lambda: world.counts.get(TOO_MANY, 0) >= 1)


async def _publish(channel: Channel, *, exchange: str, headers: dict[str, Any], **properties: Any) -> None:
    channel.raw.basic_publish(exchange, "", b"{}", BasicProperties(headers=headers, **properties))
    await channel.close()
