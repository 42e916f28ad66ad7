"""The contract of every database: proposals and votes."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from lambdaagent.coordination.proposal import Proposal
from lambdaagent.coordination.refusals import (
    ClosedError,
    IdInUseError,
    NotElectorError,
    TooManyError,
    UnknownChoiceError,
)
from lambdaagent.store.coordination import proposals
from lambdaagent.store.coordination.database import Database, Transaction


async def opened(database: Database, id_: str = "p", *, electors: int = 3, most: int = 10, **more: Any) -> Proposal:
    values = {"deadline": database.now() + 60, "rule": "majority", "close_when_all_voted": True} | more
    asked = Proposal(
        proposal_id=id_, proposer="a", title="t", description="", data={"x": 1}, options=["yes", "no"],
        electorate=[f"e{n}" for n in range(electors)], quorum=0, created_by="ann", **values,
    )  # fmt: skip
    await database.run(lambda tx: proposals.open_(tx, asked, most=most))
    return asked


async def vote(database: Database, voter: str, choice: str, id_: str = "p") -> tuple[Proposal, bool] | None:
    return await database.run(lambda tx: proposals.cast(tx, id_, voter, choice))


def later(tx: Transaction, seconds: float) -> Transaction:
    return replace(tx, now=tx.now + seconds)


async def test_a_proposal_is_read_as_it_was_opened(database: Database) -> None:
    asked = await opened(database)
    found = await database.read(lambda tx: proposals.find(tx, "p"))
    assert found is not None
    assert replace(found, created_at=0.0, deadline=0.0) == replace(asked, deadline=0.0)
    with pytest.raises(IdInUseError):
        await opened(database)


async def test_a_vote_can_be_changed_until_the_last_one_closes_it(database: Database) -> None:
    await opened(database)
    for voter, choice in (("e0", "no"), ("e1", "yes"), ("e0", "yes")):
        done = await vote(database, voter, choice)
        assert done is not None
        assert not done[1]
    done = await vote(database, "e2", "no")
    assert done is not None
    assert (done[1], done[0].status, done[0].outcome) == (True, "accepted", "yes")
    assert done[0].tally == {"yes": 2, "no": 1, "abstain": 0}
    with pytest.raises(ClosedError, match="accepted"):
        await vote(database, "e0", "no")


async def test_who_and_what_may_not_vote(database: Database) -> None:
    await opened(database)
    with pytest.raises(NotElectorError):
        await vote(database, "eve", "yes")
    with pytest.raises(UnknownChoiceError, match="yes, no, abstain"):
        await vote(database, "e0", "maybe")
    assert await vote(database, "e0", "yes", id_="absent") is None
    with pytest.raises(ClosedError, match="deadline"):
        await database.run(lambda tx: proposals.cast(later(tx, 61), "p", "e0", "yes"))


async def test_concurrent_votes_of_an_electorate_of_a_thousand_all_count_and_close_it_once(database: Database) -> None:
    await opened(database, electors=200)
    done = await asyncio.gather(*(vote(database, f"e{n}", "yes" if n % 2 else "no") for n in range(200)))
    closed = [each[0] for each in done if each is not None and each[1]]
    assert [(each.status, dict(each.tally)) for each in closed] == [("rejected", {"yes": 100, "no": 100, "abstain": 0})]


async def test_of_several_that_close_it_one_does(database: Database) -> None:
    await opened(database)
    await vote(database, "e0", "yes")
    closing = (database.run(lambda tx: proposals.close(tx, "p")) for _ in range(5))
    sweeping = (database.run(lambda tx: proposals.close_due(later(tx, 100), limit=10)) for _ in range(5))
    closed, swept = await asyncio.gather(asyncio.gather(*closing), asyncio.gather(*sweeping))
    assert sum(each is not None and each[1] for each in closed) + sum(len(each) for each in swept) == 1


async def test_at_its_deadline_it_is_decided_by_the_votes_that_are_there(database: Database) -> None:
    await opened(database, "won")
    await opened(database, "late", deadline=database.now() + 1000)
    for voter in ("e0", "e1"):
        await vote(database, voter, "yes", "won")
    assert await database.run(lambda tx: proposals.close_due(tx, limit=10)) == []
    [done] = await database.run(lambda tx: proposals.close_due(later(tx, 61), limit=10))
    assert (done.proposal_id, done.status) == ("won", "accepted")
    assert await database.read(proposals.counts) == {"accepted": 1, "open": 1}
    assert await database.run(lambda tx: proposals.prune(tx, before=tx.now + 1000, limit=10)) == 1


async def test_an_owner_has_so_many_open_ones(database: Database) -> None:
    await opened(database, "a", most=1)
    with pytest.raises(TooManyError):
        await opened(database, "b", most=1)
    await database.run(lambda tx: proposals.close(tx, "a"))
    await opened(database, "b", most=1)
    listed = await database.read(lambda tx: proposals.listed(tx, owner="ann", status="open", limit=10))
    assert [each.proposal_id for each in listed] == ["b"]
