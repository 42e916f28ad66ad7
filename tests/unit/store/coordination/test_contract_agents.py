"""The contract of every database: registered agents."""

import asyncio
from dataclasses import replace

import pytest
from tests.parts.registered import registered

from lambdaagent.coordination.registered_agent import IdTakenError, TooManyAgentsError
from lambdaagent.store.coordination import agents
from lambdaagent.store.coordination.database import Database, Transaction


def later(tx: Transaction, seconds: float) -> Transaction:
    return replace(tx, now=tx.now + seconds)


async def test_an_agent_is_found_as_it_was_registered(database: Database) -> None:
    agent = registered(capabilities=["search"], metadata={"x": [1, None, 1.5]}, access={"public": True})
    assert await database.run(lambda tx: agents.put(tx, agent, most=10))
    found = await database.read(lambda tx: agents.find(tx, "search"))
    assert found is not None
    assert found.status == "active"
    known = ("created_at", "modified_at", "last_heartbeat")
    assert replace(found, **dict.fromkeys(known, 0.0)) == agent
    assert found.created_at == pytest.approx(database.now(), abs=60)


async def test_a_second_registration_changes_the_first_and_keeps_what_is_the_registrys(database: Database) -> None:
    await database.run(lambda tx: agents.put(tx, registered(), most=10))
    await database.run(lambda tx: agents.beat(tx, "search", load=0.5, ttl_seconds=None))
    again = registered(description="new", label="other")
    assert not await database.run(lambda tx: agents.put(later(tx, 5), again, most=10))
    found = await database.read(lambda tx: agents.find(tx, "search"))
    assert found is not None
    assert (found.description, found.load, found.label) == ("new", 0.5, "search")
    assert found.modified_at > found.created_at


async def test_an_id_stays_its_owners_even_after_it_is_deleted(database: Database) -> None:
    await database.run(lambda tx: agents.put(tx, registered(), most=10))
    with pytest.raises(IdTakenError):
        await database.run(lambda tx: agents.put(tx, registered(created_by="corp:eve"), most=10))
    assert await database.run(lambda tx: agents.delete(tx, "search", "corp:ann"))
    assert await database.read(lambda tx: agents.find(tx, "search")) is None
    assert not await database.run(lambda tx: agents.delete(tx, "search", "corp:ann"))
    with pytest.raises(IdTakenError):
        await database.run(lambda tx: agents.put(tx, registered(created_by="corp:eve"), most=10))
    assert await database.run(lambda tx: agents.put(tx, registered(), most=10))


async def test_an_owner_has_so_many_agents_at_most(database: Database) -> None:
    await database.run(lambda tx: agents.put(tx, registered("a"), most=2))
    await database.run(lambda tx: agents.put(tx, registered("b"), most=2))
    with pytest.raises(TooManyAgentsError):
        await database.run(lambda tx: agents.put(tx, registered("c"), most=2))
    await database.run(lambda tx: agents.put(tx, registered("b"), most=2))
    await database.run(lambda tx: agents.put(tx, registered("c", created_by="corp:bob"), most=2))
    await database.run(lambda tx: agents.delete(tx, "a", "corp:ann"))
    assert await database.run(lambda tx: agents.put(tx, registered("c2"), most=2))


async def test_an_agent_without_heartbeats_becomes_inactive_and_a_heartbeat_revives_it(database: Database) -> None:
    await database.run(lambda tx: agents.put(tx, registered(ttl_seconds=10), most=10))
    assert await database.run(lambda tx: agents.expire(later(tx, 29), limit=10)) == []
    [late] = await database.run(lambda tx: agents.expire(later(tx, 31), limit=10))
    assert (late.agent_id, late.status) == ("search", "inactive")
    assert await database.run(lambda tx: agents.expire(later(tx, 40), limit=10)) == []
    beaten = await database.run(lambda tx: agents.beat(later(tx, 50), "search", load=0.25, ttl_seconds=None))
    assert beaten is not None
    assert (beaten[0].status, beaten[0].load, beaten[1]) == ("active", 0.25, True)
    assert await database.run(lambda tx: agents.expire(later(tx, 79), limit=10)) == []
    again = await database.run(lambda tx: agents.beat(later(tx, 60), "search", load=None, ttl_seconds=1))
    assert again is not None
    assert (again[0].load, again[0].ttl_seconds, again[1]) == (0.25, 1, False)
    assert len(await database.run(lambda tx: agents.expire(later(tx, 64), limit=10))) == 1


async def test_a_suspended_agent_stays_so_whatever_it_says(database: Database) -> None:
    await database.run(lambda tx: agents.put(tx, registered(), most=10))
    await database.run(lambda tx: agents.change(tx, "search", "admin", status="suspended"))
    assert await database.run(lambda tx: agents.expire(later(tx, 10_000), limit=10)) == []
    beaten = await database.run(lambda tx: agents.beat(tx, "search", load=None, ttl_seconds=None))
    assert beaten is not None
    assert (beaten[0].status, beaten[1]) == ("suspended", False)
    await database.run(lambda tx: agents.put(tx, registered(), most=10))
    found = await database.read(lambda tx: agents.find(tx, "search"))
    assert found is not None
    assert found.status == "suspended"


async def test_nobody_beats_for_who_is_not_there(database: Database) -> None:
    assert await database.run(lambda tx: agents.beat(tx, "nobody", load=None, ttl_seconds=None)) is None
    assert await database.run(lambda tx: agents.change(tx, "nobody", "x", name="y")) is None


async def test_of_several_sweeps_one_gets_each_agent(database: Database) -> None:
    for number in range(20):
        await database.run(lambda tx, n=number: agents.put(tx, registered(f"a{n:02}"), most=100))  # type: ignore[misc]
    sweeps = await asyncio.gather(
        *(database.run(lambda tx: agents.expire(later(tx, 1000), limit=50)) for _ in range(5))
    )
    got = [agent.agent_id for sweep in sweeps for agent in sweep]
    assert sorted(got) == [f"a{number:02}" for number in range(20)]


async def test_cards_are_claimed_once_per_interval(database: Database) -> None:
    await database.run(lambda tx: agents.put(tx, registered("a", endpoint_url="https://a.example"), most=10))
    await database.run(lambda tx: agents.put(tx, registered("b"), most=10))

    async def claimed(seconds: float) -> list[str]:
        found = await database.run(
            lambda tx: agents.claim_cards(later(tx, seconds), older_than=tx.now + seconds - 300, limit=10)
        )
        return [agent.agent_id for agent in found]

    assert await claimed(0) == ["a"]
    assert await claimed(10) == []
    assert await claimed(301) == ["a"]


async def test_pages_follow_the_ids(database: Database) -> None:
    for name in "cabd":
        await database.run(lambda tx, n=name: agents.put(tx, registered(n), most=10))  # type: ignore[misc]
    first = await database.read(lambda tx: agents.every(tx, after="", limit=3))
    rest = await database.read(lambda tx: agents.every(tx, after=first[-1].agent_id, limit=3))
    assert [each.agent_id for each in first + rest] == ["a", "b", "c", "d"]


async def test_who_registers_again_without_an_id_means_the_same_agent(database: Database) -> None:
    await database.run(lambda tx: agents.put(tx, registered(endpoint_url="https://a.example"), most=10))

    def same(owner: str, url: str) -> object:
        return database.read(lambda tx: agents.same(tx, owner, "Search", url))

    assert await same("corp:ann", "https://a.example") is not None  # type: ignore[misc]
    assert await same("corp:eve", "https://a.example") is None  # type: ignore[misc]
    assert await same("corp:ann", "https://b.example") is None  # type: ignore[misc]
