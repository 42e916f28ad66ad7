"""A receiver of push notifications gets nothing more when the right of whoever registered it is taken away."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import Readings, bearer, guarded, of, write
from tests.parts.gateway import World, message
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, plain_agent

from lambdaagent.access.principal import ANONYMOUS, Principal
from lambdaagent.access.registrant import restored, stored
from lambdaagent.gateway.access import standing_rights
from lambdaagent.identity import api_keys
from lambdaagent.store.records import Letters

KEY = api_keys.create("ci")
GRANTS = [{"groups": ["corp:staff", "builders"]}, {"claims": {"team": ["payments"]}}]
SEND = "/agents/shop/echo/api/a2a"


@pytest.fixture
def container() -> Iterator[PlainAgent]:
    with plain_agent() as agent:
        agent.respond = lambda _: (202, {}, b"")
        yield agent


@pytest.fixture
def receiver() -> Iterator[PlainAgent]:
    with plain_agent() as found:
        found.respond = lambda _: (200, {}, b"")
        yield found


def configured(issuer: Issuer) -> dict[str, Any]:
    return {
        "issuers": [issuer.configured()],
        "apiKeys": [{"id": "ci", "sha256": api_keys.hash_of(KEY), "groups": ["builders"]}],
        "admins": ["corp:root"],
        "audit": {"sink": "none"},
    }


def shared(gateway: World, container: PlainAgent, grants: list[dict[str, Any]]) -> None:
    gateway.agent(url=container.url, access={"grants": grants}, capabilities={"pushNotifications": True})


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch)


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent, readings: Readings) -> AsyncIterator[World]:
    async with guarded(tmp_path / "access.yaml", configured(issuer)) as world:
        shared(world, container, GRANTS)
        yield world


async def registered(gateway: World, receiver: PlainAgent, headers: dict[str, str]) -> str:
    """Sends a message whose task waits, with a receiver."""
    configuration = {"returnImmediately": True, "taskPushNotificationConfig": {"url": receiver.url}}
    sent = {"message": message(), "configuration": configuration}
    task_id: str = (await gateway.rpc("SendMessage", sent, path=SEND, **headers))["result"]["task"]["id"]
    return task_id


async def told(gateway: World, receiver: PlainAgent, task_id: str) -> bool:
    """Ends the task, and returns whether its receiver learns of it or is refused."""
    before = len(receiver.seen)
    assert await gateway.report(task_id) == 202

    async def settled() -> bool:
        pushes = await gateway.store.pushes(task_id)
        return len(receiver.seen) > before or any(each.attempts for each in pushes)

    await eventually(settled)
    return len(receiver.seen) > before


CALLERS: dict[str, Callable[[Issuer], dict[str, str]]] = {
    "a group": lambda issuer: of(issuer, groups=["staff"]),
    "a claim": lambda issuer: of(issuer, "dora", team="payments"),
    "a key": lambda _: bearer(KEY),
    "an administrator": lambda issuer: of(issuer, "root"),
}


@pytest.mark.parametrize("caller", CALLERS)
async def test_who_still_has_the_right_gets_everything(
    gateway: World, issuer: Issuer, receiver: PlainAgent, caller: str
) -> None:
    task_id = await registered(gateway, receiver, CALLERS[caller](issuer))
    assert await told(gateway, receiver, task_id)


@pytest.mark.parametrize("caller", ["a group", "a claim", "a key"])
async def test_a_grant_that_is_taken_away(
    gateway: World, issuer: Issuer, container: PlainAgent, receiver: PlainAgent, caller: str
) -> None:
    task_id = await registered(gateway, receiver, CALLERS[caller](issuer))
    shared(gateway, container, [{"principals": ["corp:other"]}])
    assert not await told(gateway, receiver, task_id)
    shared(gateway, container, GRANTS)  # the right is given again: nothing was lost
    before = len(receiver.seen)
    (push,) = await gateway.store.pushes(task_id)
    await gateway.store.settle_push(_due(push))
    await eventually(lambda: len(receiver.seen) > before)


async def test_an_agent_that_is_taken_away(gateway: World, issuer: Issuer, receiver: PlainAgent) -> None:
    task_id = await registered(gateway, receiver, CALLERS["a group"](issuer))
    record = await gateway.store.get(task_id)
    denied = standing_rights.of_pushes(gateway.guard, gateway.directory)
    (push,) = await gateway.store.pushes(task_id)
    assert record is not None
    assert await denied(record, push.registrant) == ""
    gateway.directory.remove("shop", "echo")
    assert "is not there" in await denied(record, push.registrant)


def _due(push: Any) -> Any:
    return replace(push, due=0.0)


def _without_keys(file: dict[str, Any]) -> dict[str, Any]:
    return {**file, "apiKeys": []}


def _without_issuers(file: dict[str, Any]) -> dict[str, Any]:
    return {**file, "issuers": []}


def _without_admins(file: dict[str, Any]) -> dict[str, Any]:
    return {**file, "admins": []}


def _other_groups(file: dict[str, Any]) -> dict[str, Any]:
    return {**file, "apiKeys": [{**file["apiKeys"][0], "groups": ["visitors"]}]}


def _below_a_ceiling(file: dict[str, Any]) -> dict[str, Any]:
    return {**file, "ceiling": {"requiredClaims": {"org": ["example"]}}}


@pytest.mark.parametrize(
    ("caller", "changed"),
    [
        ("a key", _without_keys),
        ("a key", _other_groups),
        ("a group", _without_issuers),
        ("a claim", _below_a_ceiling),
        ("an administrator", _without_admins),
    ],
)
async def test_a_source_that_is_taken_away(
    gateway: World,
    issuer: Issuer,
    receiver: PlainAgent,
    readings: Readings,
    tmp_path: Path,
    caller: str,
    changed: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    task_id = await registered(gateway, receiver, CALLERS[caller](issuer))
    write(tmp_path / "access.yaml", changed(configured(issuer)))
    await readings.more()
    assert not await told(gateway, receiver, task_id)
    (push,) = await gateway.store.pushes(task_id)
    assert push.dead == ""
    assert await gateway.store.find_letters(Letters()) == []


async def test_a_receiver_from_before_is_judged_by_its_owner(
    gateway: World, issuer: Issuer, container: PlainAgent, receiver: PlainAgent
) -> None:
    task_id = await registered(gateway, receiver, CALLERS["a group"](issuer))
    (push,) = await gateway.store.pushes(task_id)
    await gateway.store.put_push(replace(push, registrant=""))
    assert not await told(gateway, receiver, task_id)
    shared(gateway, container, [{"principals": ["corp:alice"]}])
    (push,) = await gateway.store.pushes(task_id)
    await gateway.store.settle_push(_due(push))
    before = len(receiver.seen)
    await eventually(lambda: len(receiver.seen) > before)


def test_a_principal_is_restored_as_it_was() -> None:
    claims = {"team": frozenset(("a", "b")), "ü": frozenset(("日",))}
    for principal in (
        Principal("corp:alice", source="corp", groups=frozenset(("corp:x", "corp:y")), claims=claims),
        Principal("key:ci", source="key", groups=frozenset(("builders",))),
        Principal("agent:shop/echo", source="agent"),
        ANONYMOUS,
    ):
        assert restored(principal.name, stored(principal)) == principal
    assert restored("system:serviceaccount:shop:a", "").source == "kubernetes"
    assert restored("no source", "") is ANONYMOUS
