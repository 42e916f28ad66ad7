"""Agents of all kinds vote: by event, by HTTP, awake or asleep; each result is told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.integration.coordination.test_messages import call, mailbox, registered
from tests.parts.access import guarded, of
from tests.parts.gateway import World, world
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

EVENT = {
    "ce-specversion": "1.0",
    "ce-id": "r",
    "ce-type": "vote",
    "ce-source": "/c",
    "content-type": "application/json",
}


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        found.agent(url=container.url)
        await registered(found, "ann", "bob", "carol")
        yield found


def proposal(*electorate: str, **more: Any) -> dict[str, Any]:
    return {"from": "ann", "title": "Merge it?", "electorate": list(electorate), **more}


async def decided(gateway: World, path: str) -> Any:
    async def check() -> Any:
        found = (await call(gateway, "GET", path))[1]
        return found if found["status"] != "open" else None

    return await eventually(check)


async def test_a_container_votes_by_its_reply_and_others_by_http(gateway: World, container: PlainAgent) -> None:
    container.respond = lambda _: (200, EVENT, b'{"choice": "yes", "reason": "fine"}')
    status, made = await call(gateway, "POST", "/a2a/proposals", proposal("shop/echo", "bob", "carol"))
    assert (status, made["status"], made["proposal_id"][:5]) == (201, "open", "prop_")
    path = f"/a2a/proposals/{made['proposal_id']}"
    [asked] = await mailbox(gateway, "bob", wait=5)
    assert asked["content"]["data"]["proposal"]["title"] == "Merge it?"
    assert (await call(gateway, "POST", f"{path}/votes", {"from": "bob", "choice": "yes"}))[0] == 200
    assert (await call(gateway, "POST", f"{path}/votes", {"from": "carol", "choice": "no"}))[0] == 200
    found = await decided(gateway, path)
    assert (found["status"], found["outcome"], found["tally"]) == ("accepted", "yes", {"yes": 2, "no": 1, "abstain": 0})
    assert found["votes"] == {"shop/echo": "yes", "bob": "yes", "carol": "no"}

    async def told() -> Any:
        ids = [each["message_id"] for each in await mailbox(gateway, "ann")]
        return f"~decided:{made['proposal_id']}" in ids

    await eventually(told)
    assert orjson.loads(container.seen[0].body)["content"]["data"]["proposal"]["proposal_id"] == made["proposal_id"]


async def test_a_deadline_decides(gateway: World) -> None:
    _, made = await call(gateway, "POST", "/a2a/proposals", proposal("bob", "carol", deadlineSeconds=1))
    found = await decided(gateway, f"/a2a/proposals/{made['proposal_id']}")
    assert (found["status"], found["outcome"]) == ("expired", "")
    status, problem = await call(
        gateway, "POST", f"/a2a/proposals/{made['proposal_id']}/votes", {"from": "bob", "choice": "yes"}
    )
    assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:proposal-closed")


async def test_its_proposer_closes_it_and_a_tie_is_rejected(gateway: World) -> None:
    _, made = await call(
        gateway, "POST", "/a2a/proposals", proposal("bob", "carol", "ann", rule="plurality", options=["red", "blue"])
    )
    path = f"/a2a/proposals/{made['proposal_id']}"
    for voter, choice in (("bob", "red"), ("carol", "blue")):
        await call(gateway, "POST", f"{path}/votes", {"from": voter, "choice": choice})
    status, found = await call(gateway, "POST", f"{path}/close")
    assert (status, found["status"], found["outcome"]) == (200, "rejected", "")


async def test_a_vote_of_nobody_or_for_nothing_is_refused(gateway: World) -> None:
    _, made = await call(gateway, "POST", "/a2a/proposals", proposal("bob", "carol"))
    path = f"/a2a/proposals/{made['proposal_id']}/votes"
    assert (await call(gateway, "POST", path, {"from": "ann", "choice": "yes"}))[1]["type"].endswith("no-elector")
    assert (await call(gateway, "POST", path, {"from": "bob", "choice": "x"}))[1]["type"].endswith("unknown-choice")
    status, problem = await call(gateway, "POST", "/a2a/proposals", proposal("nobody"))
    assert (status, problem["type"]) == (404, "urn:lambdaagent:problem:unknown-agent")


async def test_nobody_votes_for_another(tmp_path: Path, issuer: Issuer) -> None:
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        ann, bob, eve = (of(issuer, name) for name in ("ann", "bob", "eve"))
        asked = {"from": "corp:ann", "title": "t", "electorate": ["corp:bob", "corp:ann"]}
        assert (await call(gateway, "POST", "/a2a/proposals", asked, **eve))[0] == 403
        _, made = await call(gateway, "POST", "/a2a/proposals", asked, **ann)
        path = f"/a2a/proposals/{made['proposal_id']}"
        vote = {"from": "corp:bob", "choice": "yes"}
        assert (await call(gateway, "POST", f"{path}/votes", vote, **ann))[0] == 403
        assert (await call(gateway, "POST", f"{path}/votes", vote, **eve))[0] == 404
        assert (await call(gateway, "POST", f"{path}/close", **bob))[0] == 403
        assert (await call(gateway, "POST", f"{path}/votes", vote, **bob))[0] == 200
        _, found = await call(gateway, "GET", "/a2a/messages", **bob)
        assert [each["from"] for each in found["messages"]] == ["corp:ann"]
