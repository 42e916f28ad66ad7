"""Workflows are checked, started in every way, run in the order that their document says, and end once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.coordination.test_messages import call
from tests.parts.access import guarded, of
from tests.parts.gateway import World, message, skill, world
from tests.parts.issuer import Issuer
from tests.parts.mcp_host import Host
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

JSON = {"content-type": "application/json"}
HEAD = {"dsl": "1.0.3", "namespace": "default", "name": "flow", "version": "1.0.0"}


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        container.respond = lambda request: (200, JSON, b'{"got": ' + (request.body or b"null") + b"}")
        found.agent(url=container.url, protocol="http")
        yield found


async def defined(gateway: World, do: Any, **more: Any) -> str:
    document = {"document": HEAD | more.pop("head", {}), "do": do, **more}
    status, made = await call(gateway, "POST", "/a2a/workflows", document)
    assert status in (200, 201), made
    return str(made["name"])


async def ran(gateway: World, given: Any = None, *, name: str = "flow", **more: Any) -> Any:
    status, run = await call(gateway, "POST", f"/a2a/workflows/{name}/runs", {"input": given, **more})
    assert status == 202, run
    return await ended(gateway, run["run_id"])


async def ended(gateway: World, run_id: str) -> Any:
    async def check() -> Any:
        found = (await call(gateway, "GET", f"/a2a/runs/{run_id}"))[1]
        return found if found["status"] in ("completed", "faulted", "cancelled") else None

    return await eventually(check, within=30)


async def test_a_workflow_calls_an_agent_and_its_run_has_the_output(gateway: World, container: PlainAgent) -> None:
    ask = {"call": "a2a", "with": {"agentCard": "shop/echo", "method": "message/send", "parameters": {
        "message": {"parts": [{"kind": "text", "text": "${ .who }"}], "metadata": {"skillId": "say"}},
    }}, "output": {"as": ".artifacts[0].parts[0].data.got.text"}}  # fmt: skip
    await defined(gateway, [{"ask": ask}, {"wrap": {"set": {"said": "${ . }", "by": "${ $workflow.input.who }"}}}])
    run = await ran(gateway, {"who": "Ann"})
    assert (run["status"], run["output"], run["error"]) == ("completed", {"said": "Ann", "by": "Ann"}, None)
    assert run["steps"] == 4
    assert len(container.seen) == 1


async def test_a_workflow_is_an_agent_for_a2a_and_mcp_and_messages(gateway: World) -> None:
    schema = {
        "schema": {
            "format": "json",
            "document": {"type": "object", "required": ["n"], "properties": {"n": {"type": "number"}}},
        }
    }
    await defined(gateway, [{"double": {"set": {"n": "${ .n * 2 }"}}}], input=schema, head={"title": "Double"})
    path = "/agents/registered/wf-flow/api/a2a"
    sent = message(metadata={"skillId": "run"}) | {"parts": [{"data": {"n": 4}}]}
    task = (await gateway.rpc("SendMessage", {"message": sent}, path=path))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED", task
    assert task["artifacts"][0]["parts"] == [{"data": {"n": 8}}]
    status, card = await call(gateway, "GET", "/agents/registered/wf-flow/.well-known/agent-card.json")
    assert (status, card["skills"][0]["name"]) == (200, "Double")
    wrong = sent | {"messageId": "m-2", "parts": [{"data": {"n": "x"}}]}
    task = (await gateway.rpc("SendMessage", {"message": wrong}, path=path))["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "input.n" in task["status"]["message"]["parts"][0]["text"]
    found = (await call(gateway, "GET", "/a2a/discover?capability=flow"))[1]
    assert [each["agent_id"] for each in found] == ["wf-flow"]
    asked = {"from": "ann", "to": "wf-flow", "content": {"type": "query", "data": {"n": 5}}}
    assert (await call(gateway, "POST", "/a2a/message", asked))[0] == 202

    async def answered() -> Any:
        return (await call(gateway, "GET", "/a2a/messages?agent=ann"))[1]["messages"]

    [answer] = await eventually(answered)
    assert answer["content"]["data"] == {"n": 10}
    assert (await call(gateway, "DELETE", "/a2a/workflows/flow"))[0] == 204
    assert (await call(gateway, "GET", "/a2a/discover?capability=flow"))[1] == []


async def test_what_is_wrong_with_a_document_is_said_with_its_lines(gateway: World) -> None:
    text = b"""
document: {dsl: 1.0.3, namespace: n, name: flow, version: 1.0.0}
do:
  - first:
      set: {a: '${ .a | }'}
"""
    answer = await gateway.request("POST", "/a2a/workflows", data=text)
    problem = await answer.json()
    assert (answer.status, problem["type"]) == (400, "urn:lambdaagent:problem:bad-workflow")
    [error] = problem["errors"]
    assert (error["line"], error["pointer"]) == (5, "/do/0/first/set")
    assert "syntax error" in error["detail"]
    text = (
        text.replace(b"'${ .a | }'", b"1")
        + b"  - second:\n      run: {shell: {command: ls}}\n  - third: {wait: soon, then: nowhere}\n"
    )
    problem = await (await gateway.request("POST", "/a2a/workflows", data=text)).json()
    assert [each["line"] for each in problem["errors"]] == [6, 8, 8]
    assert "`run` is not of the subset" in problem["errors"][0]["detail"]


async def test_a_run_can_be_cancelled_and_its_agents_task_with_it(gateway: World) -> None:
    await defined(gateway, [{"rest": {"wait": {"hours": 1}}}])
    _, run = await call(gateway, "POST", "/a2a/workflows/flow/runs", {})
    done = await call(gateway, "DELETE", f"/a2a/runs/{run['run_id']}")
    assert (done[0], done[1]["status"]) == (200, "cancelled")
    _, run = await call(gateway, "POST", "/a2a/workflows/flow/runs")
    sent = {"message": message() | {"parts": [{"data": {}}]}, "configuration": {"returnImmediately": True}}
    path = "/agents/registered/wf-flow/api/a2a"
    task = (await gateway.rpc("SendMessage", sent, path=path))["result"]["task"]
    of_task = "run_" + task["id"].replace("-", "")

    async def begun() -> bool:
        return (await call(gateway, "GET", f"/a2a/runs/{of_task}"))[0] == 200

    await eventually(begun)
    await gateway.rpc("CancelTask", {"id": task["id"]}, path=path)
    assert (await ended(gateway, of_task))["status"] == "cancelled"


async def test_a_workflow_that_calls_itself_ends_with_a_reason(gateway: World) -> None:
    again = {"call": "a2a", "with": {"server": "wf-flow", "method": "SendMessage", "parameters": {
        "message": {"parts": [{"data": {}}], "metadata": {"skillId": "run"}},
    }}}  # fmt: skip
    await defined(gateway, [{"again": again}])
    run = await ran(gateway)
    assert run["status"] == "faulted"
    assert "calling itself" in run["error"]["detail"]


async def test_a_loop_without_an_end_ends_with_a_reason(gateway: World) -> None:
    assert gateway.services.coordination is not None
    workflows = gateway.services.coordination.workflows
    workflows.limits = type(workflows.limits)(steps=30)
    await defined(gateway, [{"more": {"set": {"n": "${ (.n // 0) + 1 }"}, "then": "more"}}])
    run = await ran(gateway)
    assert (run["status"], run["error"]["title"], run["steps"]) == ("faulted", "Too many steps", 30)


async def test_only_agents_of_the_directory_are_called_and_addresses_are_checked(gateway: World) -> None:
    ask = {
        "call": "a2a",
        "with": {"server": {"uri": "https://elsewhere.example/a2a"}, "method": "SendMessage", "parameters": {}},
    }
    await defined(gateway, [{"ask": ask}])
    run = await ran(gateway)
    assert (run["error"]["title"], run["error"]["instance"]) == ("Unknown agent", "/do/0/ask")
    get = {"call": "http", "with": {"method": "get", "endpoint": "http://169.254.169.254/latest/meta-data"}}
    await defined(gateway, [{"get": get}])
    run = await ran(gateway)
    assert run["error"]["type"].endswith("/authorization"), run


async def test_http_is_called_and_its_failures_are_caught_and_tried_again(
    gateway: World, container: PlainAgent
) -> None:
    answers = iter([503, 503, 200])
    container.respond = lambda _: (next(answers), JSON, b'{"id": 7}')
    get = {
        "call": "http",
        "with": {"method": "get", "endpoint": container.url + "/pets/{pet}", "query": {"q": "${ .q }"}},
    }
    catch = {
        "errors": {"with": {"status": 503}},
        "retry": {"delay": {"milliseconds": 10}, "backoff": {"exponential": {}}, "limit": {"attempt": {"count": 5}}},
    }
    await defined(gateway, [{"get": {"try": [{"ask": get}], "catch": catch}}])
    run = await ran(gateway, {"pet": "a b", "q": 1})
    assert (run["status"], run["output"]) == ("completed", {"id": 7})
    assert {each.path for each in container.seen} == {"/pets/a%20b?q=1"}
    keys = [dict(each.headers).get("idempotency-key") for each in container.seen]
    assert len(set(keys)) == 3


async def test_events_are_emitted_and_listened_to(gateway: World) -> None:
    published = gateway.broker.bind("registered/shared", "orders.paid")
    ended_ = gateway.broker.bind("registered/shared", "io.serverlessworkflow.workflow.completed.v1")
    hear = {"listen": {"to": {"one": {"with": {"type": "orders.paid", "data": ".order == 7"}}}}}
    await defined(gateway, [{"hear": hear}], head={"name": "hearer"})
    _, listening = await call(gateway, "POST", "/a2a/workflows/hearer/runs", {})

    async def listens() -> bool:
        assert gateway.services.coordination is not None
        return await gateway.services.coordination.messages.subscribers("orders.paid") == [listening["run_id"]]

    await eventually(listens)
    emit = {
        "emit": {
            "event": {
                "with": {"type": "orders.paid", "source": "https://shop.example", "data": {"order": "${ .order }"}}
            }
        }
    }
    await defined(gateway, [{"tell": emit}])
    for order in (6, 7):
        run = await ran(gateway, {"order": order})
        assert run["output"]["data"] == {"order": order}
    heard = await ended(gateway, listening["run_id"])
    assert (heard["status"], heard["output"]) == ("completed", [{"order": 7}])
    assert [each.source for each in published] == ["https://shop.example"] * 2

    async def told() -> bool:
        return len(ended_) == 3

    await eventually(told)


async def test_a_message_to_a_run_is_an_event_for_it(gateway: World) -> None:
    hear = {"listen": {"to": {"one": {"with": {"type": "io.knative.lambda.a2a.message"}}}, "read": "envelope"}}
    await defined(gateway, [{"hear": hear}])
    _, run = await call(gateway, "POST", "/a2a/workflows/flow/runs", {})
    sent = {"from": "ann", "to": run["run_id"], "content": {"type": "context", "data": {"go": True}}}
    assert (await call(gateway, "POST", "/a2a/message", sent))[0] == 202
    [event] = (await ended(gateway, run["run_id"]))["output"]
    assert (event["data"], event["a2asender"]) == ({"go": True}, "ann")
    assert (await call(gateway, "POST", "/a2a/message", sent))[0] == 404


async def test_branches_run_at_once_and_the_first_may_win(gateway: World, container: PlainAgent) -> None:
    fast, slow = {"set": {"x": "fast"}}, {"do": [{"rest": {"wait": {"minutes": 10}}}]}
    await defined(gateway, [{"race": {"fork": {"compete": True, "branches": [{"slow": slow}, {"fast": fast}]}}}])
    assert (await ran(gateway))["output"] == {"x": "fast"}
    both = [
        {f"b{n}": {"do": [{"rest": {"wait": {"milliseconds": 200}}}, {"put": {"set": {"n": n}}}]}} for n in range(20)
    ]
    await defined(gateway, [{"all": {"fork": {"branches": both}}}])
    assert (await ran(gateway))["output"] == [{"n": n} for n in range(20)]
    many = [{f"b{n}": {"set": {"n": 1}}} for n in range(1000)]
    document = {"document": HEAD, "do": [{"all": {"fork": {"branches": many}}}]}
    status, problem = await call(gateway, "POST", "/a2a/workflows", document)
    assert (status, "at most 100" in problem["detail"]) == (400, True)


async def test_a_tool_of_an_agent_is_called(gateway: World, container: PlainAgent) -> None:
    gateway.agent("tools", url=container.url, protocol="http", skills=[skill("add")])
    add = {"call": "mcp", "with": {"method": "tools/call", "parameters": {"name": "add", "arguments": {"a": "${ .a }"}},
           "transport": {"http": {"endpoint": "shop/tools"}}}, "output": {"as": ".structuredContent"}}  # fmt: skip
    await defined(gateway, [{"add": add}])
    run = await ran(gateway, {"a": 3})
    assert run["output"]["got"]["a"] == 3, run


async def test_a_workflow_is_a_tool_and_a_direct_skill(gateway: World) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
    given = {"schema": {"format": "json", "document": schema}}
    await defined(gateway, [{"double": {"set": {"n": "${ .n * 2 }"}}}], input=given)
    host = Host(gateway.session, gateway.url + "/mcp", "2026-07-28", {})
    listed = (await host.ask("tools/list"))["result"]["tools"]
    [tool] = [each for each in listed if "wf-flow" in each["name"]]
    assert tool["inputSchema"]["required"] == ["n"]
    found = (await host.ask("tools/call", name=tool["name"], arguments={"n": 21}))["result"]
    assert found["structuredContent"] == {"n": 42}, found
    direct = await call(gateway, "POST", "/agents/registered/wf-flow/api/a2a/skills/run", {"n": 3})
    assert direct == (200, {"n": 6})


async def test_a_call_that_takes_too_long_is_given_up_and_its_task_canceled(gateway: World) -> None:
    await defined(gateway, [{"rest": {"wait": {"hours": 1}}}], head={"name": "slow"})
    parameters = {"message": {"parts": [{"data": {}}], "metadata": {"skillId": "run"}}}
    ask = {"call": "a2a", "with": {"server": "wf-slow", "method": "SendMessage", "parameters": parameters},
           "timeout": {"after": {"milliseconds": 700}}}  # fmt: skip
    caught = {"errors": {"with": {"status": 408}}, "do": [{"late": {"set": {"late": True}}}]}
    await defined(gateway, [{"guard": {"try": [{"ask": ask}], "catch": caught}}])
    assert (await ran(gateway))["output"] == {"late": True}

    async def canceled() -> bool:
        runs = (await call(gateway, "GET", "/a2a/workflows/slow/runs"))[1]["runs"]
        return [each["status"] for each in runs] == ["cancelled"]

    await eventually(canceled)


def workflows(gateway: World, **limits: Any) -> Any:
    coordination = gateway.services.coordination
    assert coordination is not None
    coordination.workflows.limits = replace(coordination.workflows.limits, **limits)
    return coordination.workflows


async def started(gateway: World, name: str) -> str:
    status, run = await call(gateway, "POST", f"/a2a/workflows/{name}/runs", {})
    assert status == 202, run
    return str(run["run_id"])


async def test_runs_that_wait_hold_no_place_and_go_on(gateway: World, container: PlainAgent) -> None:
    """More runs than there are places wait, for a time and for an event; another one passes them, and all complete."""
    found = workflows(gateway, at_once=4, patience=0.2)
    hear = {"hear": {"listen": {"to": {"one": {"with": {"type": "orders.paid"}}}}}}
    await defined(gateway, [hear], head={"name": "hearer"})
    await defined(gateway, [{"rest": {"wait": {"seconds": 3}}}], head={"name": "sleeper"})
    await defined(gateway, [{"ask": {"set": {"x": 1}}}])
    waiting = [await started(gateway, name) for name in ("hearer", "sleeper") * 4]

    async def all_listen() -> bool:
        return len(await found.messages.subscribers("orders.paid")) == 4 and not found._running

    await eventually(all_listen, within=30)
    assert (await ran(gateway))["output"] == {"x": 1}
    assert not any(run["completed_at"] for run in (await call(gateway, "GET", "/a2a/workflows/hearer/runs"))[1]["runs"])
    told = {"from": "ann", "to": "topic:orders.paid", "content": {"type": "context", "data": {"order": 1}}}
    assert (await call(gateway, "POST", "/a2a/message", told))[0] == 202
    for run_id in waiting:
        run = await ended(gateway, run_id)
        assert (run["status"], run["error"]) == ("completed", None)


async def test_a_run_that_is_parked_ends_by_its_timeout_and_by_a_cancellation(gateway: World) -> None:
    found = workflows(gateway, patience=0.1)
    hear = {"listen": {"to": {"one": {"with": {"type": "never"}}}}, "timeout": {"after": {"seconds": 2}}}
    await defined(gateway, [{"hear": hear}])
    await defined(gateway, [{"rest": {"wait": {"hours": 2}}}], head={"name": "sleeper"})
    late, long = await started(gateway, "flow"), await started(gateway, "sleeper")
    await eventually(lambda: found.limits.patience and not found._running)
    assert (await call(gateway, "DELETE", f"/a2a/runs/{long}"))[1]["status"] == "cancelled"
    run = await ended(gateway, late)
    assert (run["status"], run["error"]["type"].rsplit("/", 1)[-1]) == ("faulted", "timeout")


async def test_an_owner_with_many_runs_leaves_room_for_another(tmp_path: Path, issuer: Issuer) -> None:
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        workflows(gateway, at_once=4)
        ann, bob = (of(issuer, name, groups=["staff"]) for name in ("ann", "bob"))
        for name, who, task in (("anns", ann, {"wait": {"hours": 1}}), ("bobs", bob, {"set": {"x": 1}})):
            document = {"document": HEAD | {"name": name}, "do": [{"one": task}]}
            assert (await call(gateway, "POST", "/a2a/workflows", document, **who))[0] == 201
        for _ in range(8):
            assert (await call(gateway, "POST", "/a2a/workflows/anns/runs", {}, **ann))[0] == 202
        _, run = await call(gateway, "POST", "/a2a/workflows/bobs/runs", {}, **bob)

        async def over() -> bool:
            return bool((await call(gateway, "GET", f"/a2a/runs/{run['run_id']}", **bob))[1]["status"] == "completed")

        await eventually(over)
