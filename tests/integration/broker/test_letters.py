"""Dead letters on a real RabbitMQ: looked at without a trace, dropped, and brought to their agents again."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from tests.parts.rabbitmq import RabbitMQ

from lambdaagent.api import naming
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.rabbitmq import dead_letters as boxes
from lambdaagent.broker.rabbitmq import message_walk
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.broker.rabbitmq.dead_letters import DeadLetterBrowser, Letter
from lambdaagent.events import amqp, dead_letter_headers
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import DeathCause


@dataclass
class Box:
    """A namespace's dead letters, and the queue of one agent."""

    link: RabbitMQConnection
    confirmed: ConfirmChannel
    namespace: str = field(default_factory=lambda: f"n{secrets.token_hex(4)}")

    @property
    def queues(self) -> tuple[str, str]:
        return naming.dead_letters(self.namespace), naming.queue(self.namespace, "cart")

    async def declare(self, queue_type: str) -> None:
        raw = self.confirmed.channel.raw
        for queue in self.queues:
            await self.confirmed.channel.call(
                raw.queue_declare, queue=queue, durable=True, arguments={"x-queue-type": queue_type}
            )

    async def add_dead_letter(self, *ids: str, agent: str = "cart") -> None:
        for id_ in ids:
            event = Event(id=id_, source="/s", type="t", data=id_.encode())
            cause = DeathCause(f"{self.namespace}/{agent}", "answered 400", 1800000000.0, 400, "http://cart/", 1)
            await self.put(dead_letter_headers.mark(amqp.write(event), cause))

    async def put(self, message: amqp.Message) -> None:
        assert await self.confirmed.publish(message, exchange="", routing_key=self.queues[0])

    async def walk(self, done: Callable[[Letter], bool] = lambda letter: False) -> list[Letter]:
        found: list[Letter] = []

        async def visit(letter: Letter, _: DeadLetterBrowser) -> bool:
            found.append(letter)
            return done(letter)

        await boxes.walk(self.link, self.namespace, visit)
        return found

    async def lying(self, *, count: int) -> list[Letter]:
        """What a closed channel gave back is there a moment later."""
        async with asyncio.timeout(10):
            while len(found := await self.walk()) != count:
                await asyncio.sleep(0.05)
        return found

    async def take(self) -> tuple[amqp.Message, bool]:
        """The oldest message in the agent's queue."""
        channel = await self.link.channel()
        found = await message_walk.MessageWalk(channel, self.queues[1], window=1).next()
        assert found is not None
        channel.raw.basic_ack(found.tag)
        await channel.close()
        return dead_letter_headers.bare(found.message), found.message.headers.get(dead_letter_headers.REDRIVE)


@pytest.fixture(params=["quorum", "classic"])
async def box(request: pytest.FixtureRequest, rabbitmq: RabbitMQ) -> AsyncIterator[Box]:
    link = RabbitMQConnection(url=rabbitmq.url, name="letters")
    link.start()
    found = Box(link, await ConfirmChannel.open(link))
    await found.declare(request.param)
    yield found
    for queue in found.queues:
        await found.confirmed.channel.call(found.confirmed.channel.raw.queue_delete, queue=queue)
    await link.stop()


def ids(found: list[Letter]) -> list[str]:
    return [letter.message.body.decode() for letter in found]


async def test_looking_changes_nothing(box: Box) -> None:
    await box.add_dead_letter(*"12345")
    first = await box.walk()
    assert ids(first) == list("12345")
    assert len({letter.id for letter in first}) == 5
    for _ in range(3):
        again = await box.lying(count=5)
        assert [letter.id for letter in again] == [letter.id for letter in first]
    assert first[0].cause == DeathCause(f"{box.namespace}/cart", "answered 400", 1800000000.0, 400, "http://cart/", 1)


async def test_what_is_done_with_goes_and_the_rest_keeps_its_order(box: Box) -> None:
    await box.add_dead_letter(*"12345")
    await box.walk(lambda letter: letter.message.body in (b"2", b"4"))
    assert ids(await box.lying(count=3)) == list("135")


async def test_a_namespace_without_letters_has_none(box: Box) -> None:
    assert await box.walk() == []
    box.namespace = "never-used"
    assert await box.walk() == []


async def redriven(box: Box) -> list[str]:
    said = []

    async def visit(letter: Letter, here: DeadLetterBrowser) -> bool:
        said.append(await here.redrive(letter))
        return not said[-1]

    await boxes.walk(box.link, box.namespace, visit)
    return said


async def test_a_letter_is_brought_to_its_agent_as_it_was_and_says_that_it_is_again(box: Box) -> None:
    await box.add_dead_letter("1")
    junk = amqp.Message(b"\xff", {"other": [1]}, message_id="m")
    await box.put(dead_letter_headers.mark(junk, DeathCause(f"{box.namespace}/cart", "no event", 1.0)))
    assert await redriven(box) == ["", ""]
    assert await box.lying(count=0) == []
    assert await box.take() == (amqp.write(Event(id="1", source="/s", type="t", data=b"1")), True)
    assert await box.take() == (junk, True)


async def test_a_letter_that_nobody_takes_stays(box: Box) -> None:
    await box.add_dead_letter("1", agent="gone")
    await box.put(amqp.Message(b"2"))
    gone, unknown = await redriven(box)
    assert f"agent {box.namespace}/gone has no queue" in gone
    assert "does not name the agent" in unknown
    assert ids(await box.lying(count=2)) == ["1", "2"]


async def test_what_dies_again_meanwhile_is_left_for_the_next_time(box: Box) -> None:
    await box.add_dead_letter("1", "2")
    seen = []

    async def visit(letter: Letter, here: DeadLetterBrowser) -> bool:
        seen.append(letter.message.body)
        await box.add_dead_letter(letter.message.body.decode())
        return True

    await boxes.walk(box.link, box.namespace, visit)
    assert seen == [b"1", b"2"]
    assert ids(await box.lying(count=2)) == ["1", "2"]


async def test_more_letters_than_a_window_holds_are_all_seen_and_keep_their_order(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_walk.MessageWalk.__init__, "__kwdefaults__", {"window": 3})
    numbers = [str(number) for number in range(25)]
    await box.add_dead_letter(*numbers)
    assert ids(await box.walk(lambda letter: int(letter.message.body) % 2 == 0)) == numbers
    assert ids(await box.lying(count=12)) == numbers[1::2]


async def test_letters_that_another_one_holds_are_not_waited_for(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_walk, "_IDLE_SECONDS", 0.3)
    monkeypatch.setattr(message_walk.MessageWalk.__init__, "__kwdefaults__", {"window": 1})
    await box.add_dead_letter("1", "2")
    seen: list[str] = []
    other = await box.link.channel()

    async def visit(letter: Letter, _: DeadLetterBrowser) -> bool:
        seen.extend(ids([letter]))
        assert await message_walk.MessageWalk(other, box.queues[0]).next()
        return False

    await boxes.walk(box.link, box.namespace, visit)
    assert seen == ["1"]
    await other.close()
    await box.lying(count=2)


async def test_a_rabbitmq_that_goes_meanwhile_ends_it(box: Box) -> None:
    await box.add_dead_letter("1", "2")

    async def visit(letter: Letter, _: DeadLetterBrowser) -> bool:
        await box.link.stop()
        return False

    with pytest.raises(BrokerUnavailableError, match="reading the dead letters"):
        await boxes.walk(box.link, box.namespace, visit)
    box.link.start()
    box.confirmed = await ConfirmChannel.open(box.link)
    assert ids(await box.lying(count=2)) == ["1", "2"]


async def test_a_visitor_that_fails_loses_nothing(box: Box) -> None:
    await box.add_dead_letter("1", "2")

    async def visit(letter: Letter, here: DeadLetterBrowser) -> bool:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError):
        await boxes.walk(box.link, box.namespace, visit)
    assert ids(await box.lying(count=2)) == ["1", "2"]


async def test_a_rabbitmq_that_is_not_there_is_named() -> None:
    link = RabbitMQConnection(url="amqp://guest:a-secret@127.0.0.1:1/%2F", name="letters")
    link.start()

    async def visit(letter: Letter, here: DeadLetterBrowser) -> bool:
        raise AssertionError

    with pytest.raises(BrokerUnavailableError, match=r"not reached within 0.3 s; check LAMBDAAGENT_AMQP_URL"):
        await boxes.walk(link, "shop", visit, within=0.3)
    await link.stop()
