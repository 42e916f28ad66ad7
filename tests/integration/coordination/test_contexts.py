"""Shared contexts by HTTP, on each database: concurrent writers lose nothing, and the log replays."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonpatch
import orjson
import pytest
from tests.integration.coordination.test_messages import call
from tests.parts.access import guarded, of
from tests.parts.gateway import World, message, skill, world
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world() as found:
        yield found


async def made(gateway: World, **body: Any) -> str:
    status, found = await call(gateway, "POST", "/a2a/context", body)
    assert status == 201
    return f"/a2a/context/{found['context_id']}"


async def test_a_context_is_read_as_it_was_written(gateway: World) -> None:
    path = await made(gateway, id="conv-123", data={"a": 1, "b": [1, {"c": None}]})
    status, found = await call(gateway, "GET", path)
    assert (status, found["data"], found["version"]) == (200, {"a": 1, "b": [1, {"c": None}]}, 1)
    status, problem = await call(gateway, "POST", "/a2a/context", {"id": "conv-123"})
    assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:context-exists")


async def test_a_change_of_an_old_version_is_refused_and_one_without_a_version_merges(gateway: World) -> None:
    path = await made(gateway, data={"n": 1})
    answer = await gateway.request("PATCH", path, json={"n": 2}, headers={"If-Match": '"1"'})
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    answer = await gateway.request("PATCH", path, json={"n": 3}, headers={"If-Match": '"1"'})
    assert (answer.status, answer.headers["ETag"]) == (412, '"2"')
    assert (await call(gateway, "PATCH", path, {"m": 1}))[1]["data"] == {"n": 2, "m": 1}
    answer = await gateway.request("GET", path, headers={"If-None-Match": '"3"'})
    assert answer.status == 304


async def test_concurrent_merges_all_count(gateway: World) -> None:
    path = await made(gateway, strategies={"log": "append", "seen": "union", "best": "max"})
    changes = [{"log": [n], "seen": [n % 7], "best": n, f"own{n}": n} for n in range(60)]
    answers = await asyncio.gather(*(call(gateway, "PATCH", path, change) for change in changes))
    assert {status for status, _ in answers} == {200}
    assert sorted(found["version"] for _, found in answers) == list(range(2, 62))
    _, found = await call(gateway, "GET", path)
    assert sorted(found["data"]["log"]) == list(range(60))
    assert (sorted(found["data"]["seen"]), found["data"]["best"]) == (list(range(7)), 59)
    assert all(found["data"][f"own{n}"] == n for n in range(60))


async def test_the_log_replays_to_what_is_there(gateway: World) -> None:
    path = await made(gateway, data={"a": {"b": 1}}, strategies={"log": "append"})
    _, first = await call(gateway, "GET", path)
    for change in ({"log": [1]}, {"a": {"b": None, "c": "/"}}, {"log": [2]}, {"a": None, "~x/y": True}):
        assert (await call(gateway, "PATCH", path, change))[0] == 200
    _, now = await call(gateway, "GET", path)
    _, log = await call(gateway, "GET", f"{path}/deltas?since=1")
    data = first["data"]
    for entry in log["deltas"]:
        data = jsonpatch.apply_patch(data, entry["patch"])
    assert data == now["data"]
    assert [entry["version"] for entry in log["deltas"]] == [2, 3, 4, 5]
    data = {}
    for entry in (await call(gateway, "GET", f"{path}/deltas"))[1]["deltas"]:
        data = jsonpatch.apply_patch(data, entry["patch"])
    assert data == now["data"]


async def test_contexts_of_several_agents_are_merged(gateway: World) -> None:
    one = await made(gateway, id="one", data={"facts": [1], "n": 1})
    await made(gateway, id="two", data={"facts": [2]})
    status, found = await call(gateway, "POST", f"{one}/merge", {"context_id": "two", "strategy": "union"})
    assert (status, found["data"]) == (200, {"facts": [1, 2], "n": 1})
    status, problem = await call(gateway, "POST", f"{one}/merge", {"data": {"n": [1]}, "strategy": "append"})
    assert (status, problem["type"]) == (422, "urn:lambdaagent:problem:unfit-change")
    assert (await call(gateway, "POST", f"{one}/merge", {"context_id": "absent"}))[0] == 404


async def test_a_context_without_changes_ends(gateway: World) -> None:
    path = await made(gateway, data={}, ttl_seconds=1)

    async def gone() -> bool:
        return (await call(gateway, "GET", path))[0] == 404

    await eventually(gone)
    assert (await call(gateway, "PATCH", path, {"a": 1}))[0] == 404


async def test_a_context_has_a_size(gateway: World) -> None:
    path = await made(gateway, data={"a": "x" * 9_000})
    for method, where, body in (
        ("POST", "/a2a/context", {"data": {"a": "x" * 10_000}}),
        ("PATCH", path, {"b": "y" * 1_000}),
        ("POST", f"{path}/merge", {"data": {"b": "y" * 1_000}}),
        ("PATCH", path, {"b": "y" * 900_000}),
    ):
        status, problem = await call(gateway, method, where, body)
        assert (status, problem["type"]) == (413, "urn:lambdaagent:problem:context-too-large")
    assert (await call(gateway, "GET", path))[1]["version"] == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"id": "a/b"}, "id: "),
        ({"data": []}, "data: "),
        ({"strategies": {"a": "guess"}}, "strategies.a: "),
        ({"participants": ["a b"]}, "participants.0"),
        ({"ttl_seconds": 0}, "ttl_seconds: "),
    ],
)
async def test_a_wrong_body_is_refused_by_its_field(gateway: World, body: Any, said: str) -> None:
    status, problem = await call(gateway, "POST", "/a2a/context", body)
    assert status == 400
    assert said in problem["detail"]


async def test_only_those_who_take_part_see_it(tmp_path: Path, issuer: Issuer) -> None:
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        ann, bob, eve = (of(issuer, name) for name in ("ann", "bob", "eve"))
        _, found = await call(gateway, "POST", "/a2a/context", {"participants": ["corp:bob"]}, **ann)
        path = f"/a2a/context/{found['context_id']}"
        assert (await call(gateway, "PATCH", path, {"a": 1}, **bob))[1]["modified_by"] == "corp:bob"
        assert (await call(gateway, "DELETE", path, **bob))[0] == 403
        for settings in ({"participants": []}, {"ttl_seconds": 1}, {"strategies": {"x": "max"}}):
            assert (await call(gateway, "PATCH", f"{path}/settings", settings, **bob))[0] == 403
        for method, where in (("GET", path), ("PATCH", path), ("GET", f"{path}/deltas"), ("DELETE", path)):
            body = {"x": 1} if method == "PATCH" else None
            assert (await call(gateway, method, where, body, **eve))[0] == 404
        merge = {"context_id": found["context_id"]}
        _, own = await call(gateway, "POST", "/a2a/context", {}, **eve)
        assert (await call(gateway, "POST", f"/a2a/context/{own['context_id']}/merge", merge, **eve))[0] == 404
        assert (await call(gateway, "DELETE", path, **ann))[0] == 204


async def test_a_container_gets_the_context_that_its_skill_asks_for_and_its_caller_shares(
    tmp_path: Path, issuer: Issuer, container: PlainAgent
) -> None:
    container.respond = lambda _: (200, {"content-type": "text/plain"}, b"ok")
    skills = [skill("ask", invoke={"sharedContext": True}), skill("plain")]
    access = {"grants": [{"groups": ["corp:staff"]}]}
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        gateway.agent(url=container.url, skills=skills, access=access)
        ann, eve = (of(issuer, name, groups=["staff"]) for name in ("ann", "eve"))
        await call(gateway, "POST", "/a2a/context", {"id": "joint", "data": {"goal": "x"}}, **ann)
        for who, name, part, got in (
            (ann, "ask", {"text": "hi"}, {"goal": "x"}),
            (ann, "ask", {"data": {"a": 1}}, {"goal": "x"}),
            (ann, "plain", {"text": "hi"}, None),
            (eve, "ask", {"text": "hi"}, None),
        ):
            sent = message(contextId="joint", metadata={"skillId": name}) | {"parts": [part]}
            answer = await gateway.rpc("SendMessage", {"message": sent}, **who)
            assert answer["result"]["task"]["status"]["state"] == "TASK_STATE_COMPLETED", answer
            assert orjson.loads(container.seen[-1].body).get("sharedContext") == got


async def test_a_list_has_what_the_caller_created(tmp_path: Path, issuer: Issuer) -> None:
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        ann, bob = of(issuer, "ann"), of(issuer, "bob")
        body = {"id": "anns", "participants": ["corp:bob"]}
        assert (await call(gateway, "POST", "/a2a/context", body, **ann))[0] == 201
        assert [each["context_id"] for each in (await call(gateway, "GET", "/a2a/context", **ann))[1]["contexts"]] == [
            "anns"
        ]
        assert (await call(gateway, "GET", "/a2a/context", **bob))[1] == {"contexts": []}
        assert (await call(gateway, "GET", "/a2a/context"))[0] == 401
