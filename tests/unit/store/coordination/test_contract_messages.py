"""The contract of every database: messages, their deliveries and subscriptions."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from lambdaagent.coordination.deliveries import Accepted, Addressed, Delivery
from lambdaagent.coordination.message import Message
from lambdaagent.coordination.refusals import OtherMessageError, QueueFullError
from lambdaagent.store.coordination import messages
from lambdaagent.store.coordination.database import Database, Transaction
from lambdaagent.store.errors import UnfitError


def made(id_: str = "m", to: tuple[str, ...] = ("bob",), **more: Any) -> Message:
    return Message(
        id=id_, sender="ann", to=to, kind="request", content={"type": "query", "data": {"q": 1}}, session="s", **more
    )


def later(tx: Transaction, seconds: float) -> Transaction:
    return replace(tx, now=tx.now + seconds)


async def put(
    database: Database, message: Message, via: str = "mailbox", *, most: int = 100, by: str = "corp:ann"
) -> Accepted:
    receivers = [Addressed(each, via) for each in message.to]
    return await database.run(lambda tx: messages.put(tx, message, receivers, by=by, most=most, lease=60))


async def fetched(database: Database, receiver: str = "bob", after: float = 0.0) -> list[Delivery]:
    return await database.run(lambda tx: messages.fetch(later(tx, after), receiver, limit=10, lease=30))


async def states(database: Database, id_: str = "m") -> tuple[str, dict[str, str]]:
    state = await database.read(lambda tx: messages.find(tx, id_))
    assert state is not None
    return state.status, {receiver: each for receiver, each, _ in state.deliveries}


async def test_a_message_is_read_as_it_was_sent(database: Database) -> None:
    message = made(
        priority=9, ttl=60, skill="say", correlation="c", causation="d", hops=2, sequence=7, metadata={"x": 1}
    )
    accepted = await put(database, message)
    assert (accepted.again, list(accepted.receivers)) == (False, ["bob"])
    [delivery] = await fetched(database)
    assert delivery.message == message
    assert delivery.expires - delivery.created == pytest.approx(60)
    assert await states(database) == ("delivered", {"bob": "delivered"})


async def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(database: Database) -> None:
    await put(database, made())
    assert len(await fetched(database)) == 1
    assert await fetched(database) == []
    assert [each.attempts for each in await fetched(database, after=31)] == [2]
    assert await database.run(lambda tx: messages.settle(tx, "m", "bob", "acknowledged"))
    assert not await database.run(lambda tx: messages.settle(tx, "m", "bob", "acknowledged"))
    assert await fetched(database, after=100) == []
    assert (await states(database))[0] == "acknowledged"


async def test_the_same_message_is_accepted_once_and_another_with_its_id_never(database: Database) -> None:
    await put(database, made())
    assert (await put(database, made())).again
    for other in (made(priority=1), replace(made(), content={"type": "query", "data": {}})):
        with pytest.raises(OtherMessageError):
            await put(database, other)
    with pytest.raises(OtherMessageError):
        await database.run(
            lambda tx: messages.put(tx, made(), [Addressed("bob", "mailbox")], by="corp:eve", most=9, lease=1)
        )
    assert len(await fetched(database)) == 1


async def test_of_concurrent_copies_one_is_accepted(database: Database) -> None:
    outcomes = await asyncio.gather(*(put(database, made()) for _ in range(20)), return_exceptions=True)
    assert sorted(each.again for each in outcomes if isinstance(each, Accepted)) == [False] + [True] * 19
    assert len(await fetched(database)) == 1


async def test_the_most_urgent_message_comes_first_then_the_oldest(database: Database) -> None:
    for id_, priority in (("a", 5), ("b", 9), ("c", 5), ("d", 1)):
        await put(database, made(id_, priority=priority))
    assert [each.message.id for each in await fetched(database)] == ["b", "a", "c", "d"]


async def test_a_full_queue_takes_nothing_and_hinders_no_other_receiver(database: Database) -> None:
    for number in range(3):
        await put(database, made(f"m{number}"), most=3, by=f"sender-{number}")
    with pytest.raises(QueueFullError, match="bob"):
        await put(database, made("m3"), most=3)
    accepted = await put(database, made("m4", to=("bob", "carol")), most=3)
    assert (list(accepted.full), list(accepted.receivers)) == (["bob"], ["carol"])
    await database.run(lambda tx: messages.settle(tx, "m0", "bob", "acknowledged"))
    await put(database, made("m5"), most=3)


async def test_one_sender_leaves_half_of_a_queue_to_the_others(database: Database) -> None:
    for number in range(30):
        await put(database, made(f"m{number}"), most=60, by="mallory")
    with pytest.raises(QueueFullError, match="bob"):
        await put(database, made("m30"), most=60, by="mallory")
    for number in range(20):
        await put(database, made(f"n{number}"), most=60, by="ann")
    with pytest.raises(QueueFullError, match="bob"):
        await put(database, made("n20"), most=60, by="ann")
    await put(database, made("o"), most=60, by="bob")


async def test_what_the_gateway_sends_is_leased_and_taken_over_after_the_lease(database: Database) -> None:
    await put(database, made(), via="event")
    claim = messages.claim
    assert await database.run(lambda tx: claim(tx, limit=10, lease=60)) == []
    taken = await asyncio.gather(*(database.run(lambda tx: claim(later(tx, 61), limit=10, lease=60)) for _ in range(5)))
    assert sorted(len(each) for each in taken) == [0, 0, 0, 0, 1]
    await database.run(lambda tx: messages.retry(tx, "m", "bob", after=5, error="no"))
    assert len(await database.run(lambda tx: claim(later(tx, 6), limit=10, lease=60))) == 1
    assert await fetched(database, after=1000) == []


async def test_a_message_that_is_too_old_expires_and_says_so(database: Database) -> None:
    await put(database, made(ttl=10, to=("bob", "carol")))
    await database.run(lambda tx: messages.settle(tx, "m", "carol", "acknowledged"))
    assert await fetched(database, after=11) == []
    assert await database.run(lambda tx: messages.expire(later(tx, 11), limit=10)) == 1
    assert await states(database) == ("failed", {"bob": "expired", "carol": "acknowledged"})
    assert not await database.run(lambda tx: messages.settle(tx, "m", "bob", "acknowledged"))


@pytest.mark.parametrize("confirmation", ["delivered", "acknowledged"])
async def test_a_sender_that_asked_for_it_gets_one_confirmation_of_each_receiver(
    database: Database, confirmation: str
) -> None:
    await put(database, made(to=("bob", "carol"), confirmation=confirmation))
    for receiver in ("bob", "carol"):
        await fetched(database, receiver)
        await fetched(database, receiver, after=31)
        await database.run(lambda tx, to=receiver: messages.settle(tx, "m", to, "acknowledged"))  # type: ignore[misc]
    found = [each.message.content["data"]["confirmation"] for each in await fetched(database, "ann")]
    assert [each["receiver"] for each in found] == ["bob", "carol"]
    assert {each["state"] for each in found} == {confirmation}


async def test_the_message_as_a_whole_waits_for_its_last_receiver(database: Database) -> None:
    await put(database, made(to=("bob", "carol")))
    await fetched(database)
    assert (await states(database))[0] == "sent"
    await fetched(database, "carol")
    assert (await states(database))[0] == "delivered"
    await database.run(lambda tx: messages.settle(tx, "m", "bob", "acknowledged"))
    assert (await states(database))[0] == "delivered"
    await database.run(lambda tx: messages.settle(tx, "m", "carol", "failed", error="no"))
    assert await states(database) == ("failed", {"bob": "acknowledged", "carol": "failed"})


async def test_old_messages_are_deleted_unless_a_delivery_is_open(database: Database) -> None:
    await put(database, made("a"))
    await put(database, made("b"))
    await database.run(lambda tx: messages.settle(tx, "a", "bob", "acknowledged"))
    prune = messages.prune
    assert await database.run(lambda tx: prune(tx, before=tx.now + 1, limit=10)) == 1
    assert await database.read(lambda tx: messages.find(tx, "a")) is None
    assert await database.read(lambda tx: messages.find(tx, "b")) is not None


async def test_only_who_was_asked_answers(database: Database) -> None:
    await put(database, made())
    answers = messages.answers
    assert await database.read(lambda tx: answers(tx, "m", sender="bob", receiver="ann"))
    assert not await database.read(lambda tx: answers(tx, "m", sender="eve", receiver="ann"))
    assert not await database.read(lambda tx: answers(tx, "m", sender="bob", receiver="carol"))


async def test_topics_reach_who_subscribes_to_them_or_to_a_prefix(database: Database) -> None:
    for number, (agent, topic) in enumerate(
        [("a", "news"), ("b", "news.*"), ("c", "news.sport.*"), ("d", "*"), ("e", "newspaper")]
    ):
        await database.run(
            lambda tx, n=number, a=agent, t=topic: messages.subscribe(tx, f"s{n}", a, t, by="x", most=5, of_owner=9)  # type: ignore[misc]
        )

    async def reached(topic: str) -> str:
        return "".join(await database.read(lambda tx: messages.subscribers(tx, topic)))

    assert await reached("news") == "ad"
    assert await reached("news.sport") == "bd"
    assert await reached("news.sport.tennis") == "bcd"
    assert await reached("other") == "d"


async def test_a_subscription_is_made_once_and_so_many_of_an_agent(database: Database) -> None:
    def subscribe(id_: str, topic: str) -> Any:
        return database.run(lambda tx: messages.subscribe(tx, id_, "a", topic, by="x", most=2, of_owner=9))

    assert await subscribe("s1", "x") == "s1"
    assert await subscribe("s2", "x") == "s1"
    assert await subscribe("s3", "y") == "s3"
    assert await subscribe("s4", "z") is None
    assert await database.run(lambda tx: messages.unsubscribe(tx, "s1"))
    assert not await database.run(lambda tx: messages.unsubscribe(tx, "s1"))
    assert await subscribe("s5", "z") == "s5"


async def test_an_owner_has_so_many_agents_at_a_topic_but_any_number_of_runs(database: Database) -> None:
    def subscribe(agent: str, topic: str = "x", by: str = "ann") -> Any:
        return database.run(
            lambda tx: messages.subscribe(tx, f"s-{agent}-{topic}", agent, topic, by=by, most=9, of_owner=2)
        )

    assert [await subscribe(each) is not None for each in ("a", "run_a", "run_b", "run_c", "b", "c")] == [
        *[True] * 5,
        False,
    ]
    assert await subscribe("c", "y") is not None
    assert await subscribe("d", by="bob") is not None


async def test_what_one_database_cannot_keep_none_keeps(database: Database) -> None:
    for number, content in enumerate(({"a": "\x00"}, {"\x00": 1}, {"a": [{"b": "x\x00y"}]})):
        with pytest.raises(UnfitError):
            await put(database, made(f"nul{number}", metadata=content))
    await put(database, made("text", metadata={"a": "\\u0000"}))
    assert [each.message.metadata for each in await fetched(database)] == [{"a": "\\u0000"}]
