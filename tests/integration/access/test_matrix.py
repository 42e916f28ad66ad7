"""Every row of the table of routes, by every kind of caller, on own tasks and those of others, in every mode.

The expected outcome is in `expectations`, a table of its own. The figures are printed: what was tried, what was refused
and why, and what was let in wrongly, which is none.
"""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.integration.access import expectations
from tests.integration.gateway.streaming import WAYS, Way, events
from tests.parts.access import bearer, guarded, of
from tests.parts.gateway import Answer, World, skill
from tests.parts.issuer import Issuer, ec_key
from tests.parts.keys import pem
from tests.parts.store_records import push, record
from tests.parts.upstream import PlainAgent

from lambdaagent.a2a import extension_methods, jsonrpc, rest
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.signing import Signer
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.versions import Version
from lambdaagent.access.actions import OF_OPERATION, Credential
from lambdaagent.access.rules import Mode
from lambdaagent.clock import system
from lambdaagent.containers.turn import Origin
from lambdaagent.gateway.a2a import extension_calls
from lambdaagent.gateway.routes import gateway_routes
from lambdaagent.gateway.routes.agent_routes import AGENT_ROUTES
from lambdaagent.identity import api_keys, assertions
from lambdaagent.mcp.protocol import CAPABILITIES_KEY, MODERN, VERSION_KEY

KEY, REVOKED = api_keys.create("ci"), api_keys.create("ci")
CALLERS = ["nobody", *expectations.REFUSED, *expectations.MAY]
# The operations on a task, by the names that `Way` has for them.
OPERATIONS = {
    "send": Operation.SEND,
    "stream": Operation.STREAM,
    "list": Operation.LIST,
    "get": Operation.GET,
    "subscribe": Operation.SUBSCRIBE,
    "cancel": Operation.CANCEL,
    "push": Operation.PUSH_PUT,
    "pushes": Operation.PUSH_LIST,
    "pushed": Operation.PUSH_GET,
    "drop": Operation.PUSH_DROP,
}
WHOLE = ("send", "stream", "list")  # of the agent, not of one task
OWNERS: dict[str, str | None] = {
    "nobody": "anonymous",
    "group": "corp:carol",
    "key": "key:ci",
    "agent": "agent:shop/other",
    **dict.fromkeys(expectations.REFUSED),
}
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
NO_TASK = ("There is no such task.", "There is no such resource.")
"""What MCP says of a task that the caller may not know of."""
SIGNER = Signer.from_pem(pem(ec_key(7)))


@dataclass
class Figures:
    """Counts what happened, and compares it with what is expected."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0  # let in, though the expectation says otherwise

    def check(self, answer: Answer, expected: str, *about: object) -> None:
        found = outcome(answer)
        self.outcomes[found] += 1
        self.wrong += found == "served" != expected
        assert found == expected, (*about, answer.status, answer.body[:300])


@pytest.fixture(scope="module")
def figures() -> Iterator[Figures]:
    found = Figures()
    yield found
    said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.outcomes.items()))
    tried = sum(found.outcomes.values())
    print(f"\naccess matrix: {tried} requests tried: {said}; let in wrongly: {found.wrong}")


def credential(issuer: Issuer, caller: str) -> dict[str, str]:
    """Returns the headers of a caller."""
    match caller:
        case "nobody":
            return {}
        case "garbage":
            return bearer("nonsense")
        case "expired":
            return of(issuer, exp=1_000_000, iat=999_000)
        case "audience":
            return of(issuer, aud="elsewhere")
        case "issuer":
            return of(issuer, iss="https://elsewhere")
        case "signature":
            stranger = ec.generate_private_key(ec.SECP256R1())
            return bearer(jwt.encode(issuer.claims(), stranger, algorithm="ES256", headers={"kid": issuer.kid}))
        case "revoked":
            return bearer(REVOKED)
        case "key":
            return {"X-API-Key": KEY}
        case "group":
            return of(issuer, "carol", groups=["platform"])
        case "agent":
            state = assertions.statement(SIGNER, system())
            assert state is not None
            return bearer(state("shop/other", Origin(owner="corp:alice")))
    return of(issuer, caller)


@pytest.fixture(params=["enforce", "audit", "off"])
async def gateway(
    request: pytest.FixtureRequest, tmp_path: Path, issuer: Issuer, container: PlainAgent
) -> AsyncIterator[World]:
    file = {
        "issuers": [issuer.configured()],
        "apiKeys": [{"id": "ci", "sha256": api_keys.hash_of(KEY)}],
        "ceiling": {"allowPublic": True},
        "admins": ["corp:root"],
        "audit": {"sink": "none"},
    }
    everything = {
        "principals": ["corp:alice", "corp:bob", "key:ci", "agent:shop/other"],
        "groups": ["corp:platform"],
    }
    grants = [
        everything,
        {"principals": ["corp:reader"], "actions": ["read"]},
        {"principals": ["corp:invoker"], "actions": ["invoke"]},
    ]
    fields = {"skills": [skill("say"), skill("hidden")], "privateSkills": ["hidden"]}
    mode = Mode(request.param)
    async with guarded(tmp_path / "access.yaml", file, mode=mode, signer=SIGNER) as world:
        world.agent(url=container.url, access={"grants": grants}, **fields)
        world.agent("open", url=container.url, access={"public": True}, **fields)
        yield world


def working(task_id: str, *, owner: str, agent: str = "echo") -> Any:
    task = {"id": task_id, "contextId": "c", "status": {"state": "TASK_STATE_INPUT_REQUIRED"}}
    return record(task_id, task=task, state=TaskState.INPUT_REQUIRED, owner=owner, agent=agent)


def outcome(answer: Answer) -> str:
    """Returns what happened, from the response alone."""
    if answer.status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        return "unauthorized"
    if answer.status == 403:
        return "forbidden"
    body = answer.body.removeprefix(b"data: ")
    try:
        found = orjson.loads(body.partition(b"\n")[0])
    except orjson.JSONDecodeError:
        found = {}
    if isinstance(found, dict):
        if str(found.get("type")).startswith("urn:lambdaagent:problem:unknown-") and answer.status == 404:
            return "hidden"
        error = found.get("error") or {}
        details = error.get("details") or error.get("data") or ()
        reasons = [each.get("reason") for each in details if isinstance(each, dict)]
        if "TASK_NOT_FOUND" in reasons or error.get("message") in NO_TASK:
            return "no task"
    assert answer.status < 500, answer.body
    return "served"


async def ask(gateway: World, way: Way, operation: str, agent: str, task: str, headers: dict[str, str]) -> Answer:
    method, path, body = way.call(operation, task=task, push="p", url="http://127.0.0.1:9/x")
    said = {"A2A-Version": way.version, **headers}
    json = {"json": body} if body is not None else {}
    return await gateway.request(method, path.replace("/echo/", f"/{agent}/"), headers=said, **json)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("agent", ["echo", "open"])
async def test_operations(gateway: World, issuer: Issuer, figures: Figures, caller: str, agent: str) -> None:
    mode, headers = str(gateway.guard.mode), credential(issuer, caller)
    own = OWNERS.get(caller, f"corp:{caller}")
    for way in WAYS:
        for name, operation in OPERATIONS.items():
            if name == "list" and way.name == "0.3 JSON-RPC":
                continue
            action = str(OF_OPERATION[operation])
            first = expectations.of_agent(mode, caller, action, public=agent == "open")
            for whose in ("absent",) if name in WHOLE else ("own", "bob's", "anonymous's", "absent"):
                if whose == "own" and (mode == "off" or own is None):
                    continue
                task_id = secrets.token_hex(8)
                owner = {"own": own, "bob's": "corp:bob", "anonymous's": "anonymous", "absent": None}[whose]
                if owner is not None:
                    await gateway.store.create(working(task_id, owner=owner, agent=agent))
                expected = first
                if first == "served" and name not in WHOLE:
                    expected = expectations.of_task(mode, caller, action, whose)
                if expected == "served" and name == "pushed":
                    expected = "no task"  # there is no such configuration
                if expected == "served" and name == "subscribe":
                    continue  # the stream stays open; see `test_subscriptions`
                answer = await ask(gateway, way, name, agent, task_id, headers)
                figures.check(answer, expected, mode, caller, agent, way.name, name, whose)


@pytest.mark.parametrize("caller", CALLERS)
async def test_extended_cards(gateway: World, issuer: Issuer, figures: Figures, caller: str) -> None:
    mode, headers = str(gateway.guard.mode), credential(issuer, caller)
    base = "/agents/shop/{}/api/a2a"
    requests: list[tuple[str, str, Any, Version]] = [
        ("POST", base, {"jsonrpc": "2.0", "id": 1, "method": name, "params": {}}, version)
        for name, (version, operation) in jsonrpc.METHODS.items()
        if operation is Operation.EXTENDED_CARD
    ]
    requests += [
        ("GET", f"{base}/{rest.PREFIXES[version]}{template}", None, version)
        for version, templates in rest.TEMPLATES.items()
        for template, operations in templates.items()
        if Operation.EXTENDED_CARD in operations.values()
    ]
    assert len(requests) == 4
    for agent in ("echo", "open"):
        for method, path, body, version in requests:
            said = {"A2A-Version": str(version), **headers}
            json = {"json": body} if body is not None else {}
            answer = await gateway.request(method, path.format(agent), headers=said, **json)
            expected = expectations.of_agent(mode, caller, "card", public=agent == "open")
            figures.check(answer, expected, mode, caller, agent, path)
            if expected == "served" and mode != "off":
                assert b'"hidden"' in answer.body
            else:
                assert b"hidden" not in answer.body


@pytest.mark.parametrize("caller", CALLERS)
async def test_methods_of_the_extension(gateway: World, issuer: Issuer, figures: Figures, caller: str) -> None:
    """At the agent's own endpoint and at the unified one."""
    mode, headers = str(gateway.guard.mode), credential(issuer, caller)
    for agent in ("echo", "open", "absent"):
        for path in (f"/agents/shop/{agent}/api/a2a", f"/a2a?agent=shop/{agent}"):
            for method, row in extension_calls.METHODS.items():
                if not row.of_agent:
                    continue  # `test_methods_that_need_no_agent`
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
                answer = await gateway.request("POST", path, json=body, headers=headers)
                expected = expectations.of_agent(mode, caller, str(row.action), public=agent == "open")
                if agent == "absent" and expected in ("served", "forbidden"):
                    expected = "hidden"
                figures.check(answer, expected, mode, caller, path, method)
                assert b"hidden" not in answer.body


@pytest.mark.parametrize("caller", CALLERS)
async def test_methods_that_need_no_agent(gateway: World, issuer: Issuer, figures: Figures, caller: str) -> None:
    """They check the rights of the endpoints' functions; an administrator alone may register agents here."""
    mode, headers = str(gateway.guard.mode), credential(issuer, caller)
    for method in sorted(extension_methods.WITHOUT_AGENT):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
        answer = await gateway.request("POST", "/a2a", json=body, headers=headers)
        figures.check(answer, expectations.of_method(mode, caller, method), mode, caller, method)


@pytest.mark.parametrize("caller", CALLERS)
async def test_rows_of_agents(gateway: World, issuer: Issuer, figures: Figures, caller: str) -> None:
    """The rows whose action the path decides: cards, keys and direct skill calls."""
    mode, headers = str(gateway.guard.mode), credential(issuer, caller)
    for agent in ("echo", "open", "absent"):
        for row in AGENT_ROUTES:
            if row.action is None:
                continue  # `test_operations`
            path = f"/agents/shop/{agent}" + row.path.replace("{skillsPath}", "/api/a2a/skills/").replace(
                "{skill}", "say"
            )
            method = row.methods[0]
            body = {"json": {"text": "hi"}} if method == "POST" else {}
            answer = await gateway.request(method, path, headers=headers, **body)
            expected = expectations.of_agent(mode, caller, str(row.action), public=agent == "open")
            if agent == "absent" and expected in ("served", "forbidden"):
                expected = "hidden"
            figures.check(answer, expected, mode, caller, agent, row.name)
            if row.name == "card" and expected == "served":
                assert b"hidden" not in answer.body


MCP_SCOPES = {"/mcp": "shop__{}__say", "/mcp/shop": "{}__say", "/agents/shop/{}/mcp": "say"}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("modern", [False, True], ids=["a handshake", "2026-07-28"])
async def test_tools(gateway: World, issuer: Issuer, figures: Figures, caller: str, modern: bool) -> None:
    """A tool's call is `invoke`; which tools are listed is what may be called."""
    mode, headers = str(gateway.guard.mode), credential(issuer, caller)
    for scope, name in MCP_SCOPES.items():
        for agent in ("echo", "open", "absent"):
            path, tool = scope.format(agent), name.format(agent)
            answer = await mcp(gateway, path, headers, modern=modern, name=tool, arguments={"text": "hi"})
            expected = expectations.of_agent(mode, caller, "invoke", public=agent == "open")
            if "agents" not in scope and caller == "nobody" and mode == "enforce":
                expected = "unauthorized"
            if agent == "absent" and expected in ("served", "forbidden"):
                expected = "hidden"
            if expected == "hidden" and "agents" not in scope:
                assert answer.status == (400 if modern else 200)
                assert (await answer.json())["error"] == {"code": -32602, "message": f"There is no tool {tool!r}."}
                continue
            figures.check(answer, expected, mode, caller, path, tool)
        listed = await mcp(gateway, scope.format("echo"), headers, modern=modern)
        if listed.status != 200:
            continue
        names = {each["name"] for each in (await listed.json())["result"]["tools"]}
        seen = expectations.of_agent(mode, caller, "invoke") == "served"
        assert (name.format("echo") in names) == seen
        assert not any("hidden" in each for each in names)


MCP_TASKS = {"tasks/get": "read", "tasks/update": "invoke", "tasks/cancel": "cancel", "resources/read": "read"}
"""The methods of one task, and what they do."""


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("agent", ["echo", "open"])
async def test_tasks_of_tools(gateway: World, issuer: Issuer, figures: Figures, caller: str, agent: str) -> None:
    """The Tasks extension and the resource of a task: who may do what to whose, in every scope."""
    mode, headers = str(gateway.guard.mode), credential(issuer, caller)
    own = OWNERS.get(caller, f"corp:{caller}")
    for scope in MCP_SCOPES:
        for method, action in MCP_TASKS.items():
            first = expectations.of_agent(mode, caller, action, public=agent == "open")
            for whose in ("own", "bob's", "anonymous's", "absent"):
                if whose == "own" and (mode == "off" or own is None):
                    continue
                task_id = secrets.token_hex(8)
                owner = {"own": own, "bob's": "corp:bob", "anonymous's": "anonymous", "absent": None}[whose]
                if owner is not None:
                    await gateway.store.create(working(task_id, owner=owner, agent=agent))
                expected = expectations.of_task(mode, caller, action, whose) if first == "served" else first
                if (
                    method == "tasks/update"
                    and mode != "off"
                    and expected == "served"
                    and caller in expectations.SEES_ALL
                ):
                    expected = "served" if whose == "own" else "no task"  # nobody answers for another
                if "agents" not in scope:
                    if mode == "enforce" and (caller == "nobody" or caller in expectations.REFUSED):
                        expected = "unauthorized"
                    elif expected == "hidden" or (whose == "absent" and expected == "forbidden"):
                        expected = "no task"
                elif expected == "forbidden" and whose == "absent":
                    expected = "no task"
                if method == "resources/read" and expected == "forbidden":
                    expected = "no task"  # what cannot be read is not there
                given = {"uri": f"lambdaagent://tasks/{task_id}"} if "read" in method else {"taskId": task_id}
                extension = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
                body = {**given, "inputResponses": {}} if method == "tasks/update" else given
                answer = await of_2026(gateway, scope.format(agent), method, headers, body, capabilities=extension)
                figures.check(answer, expected, mode, caller, scope, agent, method, whose)


async def mcp(gateway: World, path: str, headers: dict[str, str], *, modern: bool, **params: Any) -> Answer:
    """Lists the tools, or calls the one that `params` name."""
    method = "tools/call" if params else "tools/list"
    if modern:
        return await of_2026(gateway, path, method, headers, params)
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return await gateway.request("POST", path, json=body, headers=headers)


async def of_2026(
    gateway: World, path: str, method: str, headers: dict[str, str], params: Any, *, capabilities: Any = None
) -> Answer:
    meta = {VERSION_KEY: MODERN[0], CAPABILITIES_KEY: capabilities or {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    said = {"MCP-Protocol-Version": MODERN[0], "Mcp-Method": method}
    name = params.get("name") or params.get("taskId") or params.get("uri")
    named = {"Mcp-Name": name} if name else {}
    return await gateway.request("POST", path, json=body, headers=headers | said | named)


@pytest.mark.parametrize("caller", CALLERS)
async def test_rows_of_the_gateway(gateway: World, issuer: Issuer, figures: Figures, caller: str) -> None:
    mode, headers = str(gateway.guard.mode), credential(issuer, caller)
    for row in gateway_routes.table().routes:
        path = row.path
        if path.startswith(("/a2a/", "/hooks/")):
            continue  # `test_matrix_of_coordination`
        for name, value in (("namespace", "shop"), ("agent", "echo"), ("broker", "b"), ("capability", "x")):
            path = path.partition(f"{{{name}:")[0] + value + _after(path, name) if f"{{{name}:" in path else path
            path = path.replace(f"{{{name}}}", value)
        path = path.replace("{resource:/.*}", "/agents/shop/echo")
        path = path.replace("{identifier}", "urn:lambdaagent:local:shop:echo")
        assert "{" not in path
        event = {"headers": {**EVENT, **headers}, "data": b""} if row.method == "POST" else {"headers": headers}
        answer = await gateway.request(row.method, path, **event)
        expected = expectations.of_gateway(mode, caller, row.name, str(row.action))
        if row.name.startswith("protected-resource") and mode == "off":
            assert answer.status == 404
            continue
        figures.check(answer, expected, mode, caller, row.name)
        if row.credential is Credential.CALLER and row.method == "GET" and mode == "enforce":
            shown = b"/echo" in answer.body and row.name != "openapi"
            assert shown == (bool(expectations.MAY.get(caller)) and row.name in expectations.LISTS), row.name


def _after(path: str, name: str) -> str:
    """Returns what follows a parameter, whose pattern may hold braces."""
    depth, begin = 0, path.index(f"{{{name}:")
    for place in range(begin, len(path)):
        depth += {"{": 1, "}": -1}.get(path[place], 0)
        if depth == 0:
            return path[place + 1 :]
    raise AssertionError(path)


@pytest.mark.parametrize("caller", ["bob", "eve", "key"])
async def test_what_others_own_looks_like_what_is_not_there(gateway: World, issuer: Issuer, caller: str) -> None:
    """Byte by byte, but for the id that the caller sent itself."""
    headers = credential(issuer, caller)
    for way in WAYS:
        for name in OPERATIONS:
            if name in WHOLE:
                continue
            await gateway.store.create(working(first := secrets.token_hex(8), owner="corp:alice"))
            await gateway.store.put_push(push(task_id=first))
            second = secrets.token_hex(8)
            there = await ask(gateway, way, name, "echo", first, headers)
            absent = await ask(gateway, way, name, "echo", second, headers)
            assert there.status == absent.status
            assert _steady(there) == _steady(absent)
            marks = [each.headers["X-Request-Id"].encode() for each in (there, absent)]
            assert [each.id for each in await gateway.store.pushes(first)] == ["p"]
            plain = there.body.replace(first.encode(), b"").replace(marks[0], b"")
            assert plain == absent.body.replace(second.encode(), b"").replace(marks[1], b"")


def _steady(answer: Answer) -> list[tuple[str, str]]:
    return [
        each for each in answer.headers.items() if each[0].lower() not in ("x-request-id", "date", "content-length")
    ]


@pytest.mark.parametrize("caller", CALLERS)
async def test_subscriptions(gateway: World, issuer: Issuer, caller: str) -> None:
    """A stream of a task begins for its owner, and for those who see all."""
    mode, headers = str(gateway.guard.mode), credential(issuer, caller)
    for way in WAYS:
        for owner in ("corp:alice", "anonymous"):
            await gateway.store.create(working(task_id := secrets.token_hex(8), owner=owner))
            async with way.ask(gateway, "subscribe", headers=headers, task=task_id) as response:
                begun = response.status == 200 and response.content_type == "text/event-stream"
                first = (await anext(events(response))).raw if begun else await response.read()
            allowed = expectations.of_agent(mode, caller, "read") == "served"
            unknown = mode == "off" or caller == "nobody" or caller in expectations.REFUSED
            whose = (unknown if owner == "anonymous" else caller == "alice" and not unknown) or (
                caller in expectations.SEES_ALL and mode != "off"
            )
            assert (task_id.encode() in first and b"error" not in first) == (allowed and whose), (caller, owner, first)
