"""What is remembered of the deaths that were heard of."""

from datetime import UTC, datetime
from typing import Any

from pika import BasicProperties

from lambdaagent.backoff import Backoff
from lambdaagent.broker.protocol import Deaths
from lambdaagent.broker.rabbitmq import policy_deaths
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.broker.rabbitmq.policy_deaths import QUIET_SECONDS, DeathWatch

NOON = 1_800_000_000.0


class World:
    def __init__(self) -> None:
        self.now = NOON
        link = RabbitMQConnection(url="amqp://guest:guest@127.0.0.1:1/", name="never started")
        self.watch = DeathWatch(link, set, lambda _: None, Backoff(first=1, cap=1), lambda: self.now)

    def die(self, id_: str, *, queue: str = "q", reason: str = "expired", at: float | None = None) -> None:
        time = datetime.fromtimestamp(self.now if at is None else at, UTC).replace(tzinfo=None)
        headers: dict[str, Any] = {"x-death": [{"queue": queue, "reason": reason, "count": 1, "time": time}]}
        self.watch._add(BasicProperties(headers=headers, message_id=id_))


def test_deaths_are_counted_by_queue_and_reason() -> None:
    world = World()
    for id_, queue, reason in (
        ("1", "a", "expired"),
        ("2", "a", "maxlen"),
        ("3", "b", "expired"),
        ("4", "b", "expired"),
    ):
        world.die(id_, queue=queue, reason=reason)
        world.now += 1
    assert world.watch.counted == {
        ("a", "expired"): Deaths(1, NOON, NOON),
        ("a", "maxlen"): Deaths(1, NOON + 1, NOON + 1),
        ("b", "expired"): Deaths(2, NOON + 2, NOON + 3),
    }


def test_a_death_that_is_heard_of_twice_counts_once_and_two_of_one_event_twice() -> None:
    world = World()
    world.die("1")
    world.die("1")
    assert world.watch.counted["q", "expired"].count == 1
    world.die("1", at=NOON - 60)
    assert world.watch.counted["q", "expired"] == Deaths(2, NOON - 60, NOON)


def test_a_count_begins_anew_after_an_hour_without_any() -> None:
    world = World()
    world.die("1")
    world.now += QUIET_SECONDS
    world.die("2")
    assert world.watch.counted["q", "expired"] == Deaths(2, NOON, NOON + QUIET_SECONDS)
    world.now += QUIET_SECONDS + 1
    world.die("3")
    assert world.watch.counted["q", "expired"] == Deaths(1, world.now, world.now)


def test_a_clock_of_rabbitmq_that_is_ahead_does_not_keep_a_count_for_longer() -> None:
    world = World()
    world.die("1", at=NOON + 86400)
    assert world.watch.counted["q", "expired"] == Deaths(1, NOON, NOON)


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    world = World()
    for number in range(3 * policy_deaths._LENGTH):
        world.die(str(number), queue=f"q{number}")
    assert len(world.watch.counted) == policy_deaths._KEPT
    assert ("q0", "expired") not in world.watch.counted
    assert len(world.watch._known) == 2 * policy_deaths._LENGTH


def test_a_queue_that_is_removed_takes_its_counts_with_it() -> None:
    world = World()
    world.die("1", queue="a")
    world.die("2", queue="b")
    world.watch.forget("a")
    assert world.watch.counted.keys() == {("b", "expired")}
