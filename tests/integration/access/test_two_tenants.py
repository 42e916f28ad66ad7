"""Two tenants at one gateway, in any order of operations, grants and revocations: neither gets a byte of the other.

Hypothesis chooses the steps. Each text has the name of its tenant in it, both use the same context id, and everything
that the gateway sends to anybody is searched: responses, streams and push notifications. `Model` is a naive second form
of the rules. The figures are printed: the requests that were tried, and those that were let in wrongly, which is none.
"""

import asyncio
import re
import secrets
import tempfile
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.integration.gateway.streaming import BASE, TEXT, WAYS, Way
from tests.parts.access import bearer, guarded, write
from tests.parts.gateway import Answer, World, skill
from tests.parts.http_servers import Response
from tests.parts.polling import eventually
from tests.parts.upstream import Seen, plain_agent

from lambdaagent.gateway.access import loading
from lambdaagent.gateway.http.sse import Streams
from lambdaagent.identity import api_keys

T = TypeVar("T")
TENANTS = ("alice", "bobby")
CALLERS = (*TENANTS, "admin", "nobody")
NAMES = {"alice": "key:alice", "bobby": "key:bobby", "admin": "key:admin", "nobody": "anonymous"}
ACTIONS = ("invoke", "read", "cancel", "push")
CONTEXT = "the-same-context"
_MARK = re.compile(rb"mark-([a-z]+)-")
_SLOT = b"http://127.0.0.1:9/x"  # the receiver in the requests of `Way`
callers = st.sampled_from(CALLERS)
tenants = st.sampled_from(TENANTS)
ways = st.sampled_from(WAYS)
agents = st.sampled_from(("echo", "open"))


@dataclass
class Figures:
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    searched: int = 0  # bytes
    ended: int = 0  # streams, by a revocation


FIGURES = Figures()


@pytest.fixture(scope="module", autouse=True)
def figures() -> Iterator[None]:
    yield
    found = FIGURES
    said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.outcomes.items()))
    print(
        f"\ntwo tenants: {sum(found.outcomes.values())} requests tried: {said}; let in wrongly: {found.wrong}; "
        f"{found.searched} bytes searched; {found.ended} streams ended by revocations"
    )


@dataclass
class Model:
    """What the rules say, in their plainest form."""

    keys: dict[str, str] = field(default_factory=lambda: {each: api_keys.create(each) for each in CALLERS[:3]})
    revoked: set[str] = field(default_factory=set)
    grants: dict[str, set[str]] = field(default_factory=lambda: {"alice": set(ACTIONS), "bobby": set(ACTIONS)})
    admin: bool = True
    public: bool = True

    def may(self, caller: str, agent: str, action: str) -> bool:
        if caller in self.revoked:
            return False
        if agent == "open" and self.public:
            return True
        if caller == "admin":
            return self.admin
        return agent == "echo" and action in self.grants.get(caller, ())

    def reaches(self, caller: str, agent: str, action: str, owner: str | None) -> bool:
        """Returns whether the caller may do it with a task of this owner, None for one that is not there."""
        if owner is None or not self.may(caller, agent, action):
            return False
        return owner == caller or (caller == "admin" and self.admin and action != "push")

    def file(self) -> dict[str, Any]:
        listed = [
            {"id": caller, "sha256": api_keys.hash_of(key)}
            for caller, key in self.keys.items()
            if caller not in self.revoked
        ]
        return {
            "apiKeys": listed,
            "admins": ["key:admin"] if self.admin else [],
            "ceiling": {"allowPublic": self.public},
            "limits": {"refusedCredentials": {"requestsPerMinute": 10_000_000}},
            "audit": {"sink": "none"},
        }


@dataclass
class Task:
    id: str
    owner: str
    agent: str
    waits: bool  # for an event of its container


@dataclass
class Stream:
    caller: str
    agent: str
    all_tasks: bool
    reading: asyncio.Task[None]
    read: bytearray
    searched: int = 0


def served(answer: Answer) -> bool:
    """Returns whether the request was let in: JSON-RPC has errors with status 200."""
    if answer.status >= 300:
        return False
    body = answer.body.removeprefix(b"data: ").partition(b"\n")[0]
    return b'"error":' not in body or "error" not in orjson.loads(body)


class TwoTenants(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model, self.tasks, self.streams = Model(), list[Task](), list[Stream]()
        self.contexts: dict[str, set[str]] = defaultdict(set)  # of the container, by tenant
        self.sent: list[tuple[str, bytes]] = []  # to whom, what; not searched yet
        self.number = 0

    @initialize()
    def begin(self) -> None:
        self.every, loading.EVERY = loading.EVERY, 0.01
        self.runner = asyncio.Runner()
        self.run(self._begin())

    async def _begin(self) -> None:
        self.stack = AsyncExitStack()
        self.file = Path(self.stack.enter_context(tempfile.TemporaryDirectory())) / "access.yaml"
        self.container = self.stack.enter_context(plain_agent())
        self.container.respond = self._respond
        self.receivers = {each: self.stack.enter_context(plain_agent()) for each in CALLERS}
        for receiver in self.receivers.values():
            receiver.respond = lambda _: (200, {}, b"")
        entered = guarded(self.file, self.model.file(), streams=Streams(ping=0.02))
        self.world: World = await self.stack.enter_async_context(entered)
        self._share()

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        try:
            self.run(self._end())
        finally:
            self.runner.close()
            loading.EVERY = self.every

    async def _end(self) -> None:
        for stream in self.streams:
            stream.reading.cancel()
        if self.streams:
            await asyncio.wait([stream.reading for stream in self.streams])
        await self.stack.aclose()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def _respond(self, seen: Seen) -> Response:
        marks = _MARK.findall(seen.body)
        if marks and (context := seen.headers.get("ce-a2acontextid")):
            self.contexts[context].add(marks[0].decode())
        if b"later" in seen.body:
            return 202, {}, b""
        return 200, {"Content-Type": "text/plain"}, b"answer to " + seen.body

    def _share(self) -> None:
        """Puts the grants of now in force."""
        grants = [
            {"principals": [NAMES[tenant]], "actions": sorted(actions)}
            for tenant, actions in self.model.grants.items()
            if actions
        ]
        a2a = {"skills": [skill("say")], "capabilities": {"pushNotifications": True}}
        self.world.agent(url=self.container.url, access={"grants": grants}, **a2a)
        self.world.agent("open", url=self.container.url, access={"public": True}, **a2a)

    async def _reload(self) -> None:
        """Puts the access file of now in force."""
        before = self.world.guard.state
        write(self.file, self.model.file())
        await eventually(lambda: self.world.guard.state is not before)

    # Requests

    def _headers(self, caller: str) -> dict[str, str]:
        return bearer(self.model.keys[caller]) if caller in self.model.keys else {}

    def _mark(self, caller: str, *, later: bool = False) -> str:
        self.number += 1
        return f"mark-{caller}-{self.number}-{'later' if later else 'now'}"

    async def _ask(self, caller: str, method: str, path: str, *, json: Any = None, **headers: str) -> Answer:
        data = orjson.dumps(json).replace(_SLOT, self.receivers[caller].url.encode()) if json is not None else None
        said = {"Content-Type": "application/json", **headers, **self._headers(caller)}
        answer = await self.world.request(method, path, data=data, headers=said)
        assert answer.status < 500, answer.body
        return answer

    def _judge(self, caller: str, answer: Answer, allowed: bool, *, known: str = "", must: bool = False) -> None:
        """Counts the answer. `known` is the id in the request: the answer may repeat it."""
        let_in = served(answer)
        FIGURES.outcomes["served" if let_in else str(answer.status)] += 1
        FIGURES.wrong += let_in and not allowed
        assert allowed or not let_in, (caller, answer.status, answer.body)
        assert let_in or not (must and allowed), (caller, answer.status, answer.body)
        self.sent.append((caller, answer.body.replace(known.encode(), b"") if known and not let_in else answer.body))

    async def _operate(self, caller: str, way: Way, operation: str, agent: str, task_id: str, push: str) -> Answer:
        url = self.receivers[caller].url
        method, path, body = way.call(operation, task=task_id, push=push, url=url)
        return await self._ask(
            caller, method, path.replace("/echo/", f"/{agent}/"), json=body, **{"A2A-Version": way.version}
        )

    @rule(caller=callers, way=ways, agent=agents, operation=st.sampled_from(("send", "stream")))
    def send(self, caller: str, way: Way, agent: str, operation: str) -> None:
        self.run(self._send(caller, way, agent, operation))

    async def _send(self, caller: str, way: Way, agent: str, operation: str) -> None:
        method, path, body = way.call(operation)
        form = "0.3 REST" if way.name == "0.3 REST" else "1.0" if way.version == "1.0" else "0.3 JSON-RPC"
        message = orjson.loads(orjson.dumps(TEXT[form]))
        message["parts" if "parts" in message else "content"][0]["text"] = self._mark(caller)
        message |= {"contextId": CONTEXT, "messageId": secrets.token_hex(4)}
        (body if way.rest else body["params"])["message"] = message
        headers = {"A2A-Version": way.version}
        answer = await self._ask(caller, method, path.replace("/echo/", f"/{agent}/"), json=body, **headers)
        self._judge(caller, answer, self.model.may(caller, agent, "invoke"), must=True)
        await self._note()

    @rule(caller=callers, later=st.booleans(), prefer=st.booleans())
    def call_directly(self, caller: str, later: bool, prefer: bool) -> None:
        self.run(self._call_directly(caller, later, prefer))

    async def _call_directly(self, caller: str, later: bool, prefer: bool) -> None:
        preferred = {"Prefer": "respond-async"} if prefer else {}
        body = {"text": self._mark(caller, later=later)}
        answer = await self._ask(caller, "POST", f"{BASE}/skills/say", json=body, **preferred)
        self._judge(caller, answer, self.model.may(caller, "echo", "invoke"), must=True)
        await self._note(waits=later)

    async def _note(self, *, waits: bool = False) -> None:
        """Remembers the tasks that are new in the store."""
        known = {task.id for task in self.tasks}
        of_name = {name: caller for caller, name in NAMES.items()}
        for task_id, entry in self.world.store._tasks.items():  # type: ignore[union-attr]
            if task_id not in known:
                self.tasks.append(Task(task_id, of_name[entry.record.owner], entry.record.agent, waits))

    @precondition(lambda self: self.tasks)
    @rule(
        caller=callers,
        way=ways,
        data=st.data(),
        operation=st.sampled_from(("get", "cancel", "push", "pushed", "pushes", "drop", "subscribe")),
    )
    def touch(self, caller: str, way: Way, data: st.DataObject, operation: str) -> None:
        self.run(self._touch(caller, way, data.draw(st.sampled_from(self.tasks)), operation))

    async def _touch(self, caller: str, way: Way, task: Task, operation: str) -> None:
        action = {"get": "read", "subscribe": "read", "cancel": "cancel"}.get(operation, "push")
        allowed = self.model.reaches(caller, task.agent, action, task.owner)
        if operation == "subscribe" and allowed:
            return  # `follow`
        answer = await self._operate(caller, way, operation, task.agent, task.id, "p")
        self._judge(caller, answer, allowed, known=task.id, must=operation in ("get", "push", "pushes"))
        if allowed:
            return
        absent = secrets.token_hex(len(task.id) // 2)[: len(task.id)]
        other = await self._operate(caller, way, operation, task.agent, absent, "p")
        self._judge(caller, other, False, known=absent)
        assert answer.status == other.status
        assert _steady(answer, task.id) == _steady(other, absent)

    @rule(caller=callers, way=ways, agent=agents)
    def list_tasks(self, caller: str, way: Way, agent: str) -> None:
        if way.name != "0.3 JSON-RPC":  # which has no list
            answer = self.run(self._operate(caller, way, "list", agent, "", ""))
            self._judge(caller, answer, self.model.may(caller, agent, "read"), must=True)

    @rule(caller=callers)
    def look_around(self, caller: str) -> None:
        self.run(self._look_around(caller))

    async def _look_around(self, caller: str) -> None:
        for agent in ("echo", "open"):
            answer = await self._ask(caller, "GET", f"/agents/shop/{agent}/.well-known/agent-card.json")
            allowed = any(self.model.may(caller, agent, action) for action in ACTIONS)
            self._judge(caller, answer, allowed, must=True)
        self.sent.append((caller, (await self._ask(caller, "GET", "/agents")).body))

    # Events and streams

    @precondition(lambda self: any(task.waits for task in self.tasks))
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from([task for task in self.tasks if task.waits]))
        task.waits = False
        self.run(self.world.report(task.id, self._mark(task.owner)))

    @precondition(lambda self: len(self.streams) < 10)
    @rule(owner=tenants, by_admin=st.booleans(), way=ways)
    def follow(self, owner: str, by_admin: bool, way: Way) -> None:
        """Opens a stream of a task that is not over, and keeps it."""
        self.run(self._call_directly(owner, later=True, prefer=False))
        caller = "admin" if by_admin else owner
        waiting = [task for task in self.tasks if task.waits and task.owner == owner]
        if waiting and self.model.reaches(caller, "echo", "read", owner):
            self.run(self._follow(caller, way, waiting[-1]))

    async def _follow(self, caller: str, way: Way, task: Task) -> None:
        read, begun = bytearray(), asyncio.Event()

        async def reading() -> None:
            headers = self._headers(caller)
            async with way.ask(self.world, "subscribe", headers=headers, task=task.id) as response:
                begun.set()
                async for piece in response.content.iter_any():
                    read.extend(piece)

        started = asyncio.create_task(reading())
        self.streams.append(Stream(caller, task.agent, task.owner != caller, started, read))
        async with asyncio.timeout(10):
            await begun.wait()

    # Rights

    @rule(tenant=tenants, actions=st.sampled_from((set(), set(ACTIONS))) | st.sets(st.sampled_from(ACTIONS)))
    def grant(self, tenant: str, actions: set[str]) -> None:
        self.model.grants[tenant] = set(actions)
        self._share()
        self.run(self._revoked())

    @rule(caller=st.sampled_from(CALLERS[:3]), what=st.sampled_from(("rotate", "revoke", "restore")))
    def change_key(self, caller: str, what: str) -> None:
        self.run(self._change_key(caller, what))

    async def _change_key(self, caller: str, what: str) -> None:
        old = self.model.keys[caller]
        self.model.revoked.discard(caller)
        if what == "rotate":
            self.model.keys[caller] = api_keys.create(caller)
        elif what == "revoke":
            self.model.revoked.add(caller)
        await self._reload() if self.model.file() != self._in_force() else None
        if what != "restore":
            answer = await self.world.request("GET", f"{BASE}/tasks", headers=bearer(old))
            self._judge(caller, answer, False)
            for stream in self.streams:
                if stream.caller == caller:
                    await self._must_end(stream)
        await self._revoked()

    @rule(admin=st.booleans(), public=st.booleans())
    def change_installation(self, admin: bool, public: bool) -> None:
        self.model.admin, self.model.public = admin, public
        self.run(self._change_installation())

    async def _change_installation(self) -> None:
        if self.model.file() != self._in_force():
            await self._reload()
        await self._revoked()

    def _in_force(self) -> Any:
        return yaml.safe_load(self.file.read_text())

    async def _revoked(self) -> None:
        """Waits for the end of the streams whose callers have lost the right."""
        for stream in self.streams:
            may = self.model.may(stream.caller, stream.agent, "read")
            if not may or (stream.all_tasks and not self.model.admin):
                await self._must_end(stream)

    async def _must_end(self, stream: Stream) -> None:
        if not stream.reading.done():
            async with asyncio.timeout(5):  # the check is every 20 ms here
                await stream.reading
            FIGURES.ended += 1

    # What must always hold

    @invariant()
    def nobody_gets_a_byte_of_another(self) -> None:
        if not hasattr(self, "world"):
            return
        for stream in self.streams:
            if stream.all_tasks:
                continue
            self.sent.append((stream.caller, bytes(stream.read[stream.searched :])))
            stream.searched = len(stream.read)
        for caller, receiver in self.receivers.items():
            self.sent += [(caller, seen.body) for seen in receiver.seen]
            receiver.seen.clear()
        for caller, content in self.sent:
            FIGURES.searched += len(content)
            if caller != "admin":
                self._search(caller, content)
        self.sent.clear()

    def _search(self, caller: str, content: bytes) -> None:
        others = {each.decode() for each in _MARK.findall(content)} - {caller}
        assert not others, (caller, content)
        for task in self.tasks:
            assert task.owner == caller or task.id.encode() not in content, (caller, task, content)
        for other, name in NAMES.items():
            assert other in (caller, "nobody") or name.encode() not in content, (caller, content)
        for context, whose in self.contexts.items():
            shared = context == CONTEXT  # the container gets the own id of the anonymous
            assert shared or caller in whose or context.encode() not in content, (caller, content)

    @invariant()
    def no_context_of_the_container_is_that_of_two(self) -> None:
        assert all(len(whose) == 1 for whose in self.contexts.values()), self.contexts


def _steady(answer: Answer, known: str) -> tuple[Any, bytes]:
    """Returns a response without what differs between any two, and without the id that the caller has sent."""
    left_out = ("x-request-id", "date", "content-length")
    headers = [each for each in answer.headers.items() if each[0].lower() not in left_out]
    mark = answer.headers["X-Request-Id"].encode()
    return headers, answer.body.replace(known.encode(), b"").replace(mark, b"")


TestTwoTenants = TwoTenants.TestCase
TestTwoTenants.settings = settings(
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
