"""A gateway that has not had its first list of agents decides nothing about them: 503 with Retry-After, never 404."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from tests.integration.durability.client import Client, Json, ended, send, state, texts
from tests.integration.durability.pair import CALLS, Pair, settings
from tests.parts.faulty import Faulty, faulty
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually
from tests.parts.running import Running

from lambdaagent.api import naming
from lambdaagent.tasks.limits import EngineLimits

# In the loop that the gateways' proxy and connections run in.
pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = EngineLimits()
VERSION = {"A2A-Version": "1.0"}
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a.b", "ce-source": "/tests", "ce-a2ataskid": "none"}


@dataclass
class Api:
    """The API server as the late gateway sees it: it responds once the test allows it."""

    between: Faulty
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def judge(self, request: web.Request) -> web.StreamResponse | None:
        await self.answers.wait()
        return None


@pytest_asyncio.fixture(loop_scope="module")
async def api(kube_apiserver: KubeApiserver) -> AsyncIterator[Api]:
    context = ssl.create_default_context(cafile=str(kube_apiserver.ca))
    async with faulty(kube_apiserver.url, context=context) as between:
        found = Api(between)
        between.judge = found.judge
        yield found


@asynccontextmanager
async def late_gateway(pair: Pair, api: Api, kube_apiserver: KubeApiserver) -> AsyncIterator[Running]:
    """Starts a gateway that serves while it waits for its list of agents."""
    kubeconfig = kube_apiserver.kubeconfig_for(url=api.between.url)
    gateway = Running("gateway", pair.folder, settings(kubeconfig, pair.url), name="late")
    gateway.launch()
    try:
        await eventually(lambda: _active_tasks(gateway), within=30, what="the late gateway serves")
        yield gateway
    finally:
        api.answers.set()
        await asyncio.to_thread(gateway.stop)


def _active_tasks(gateway: Running) -> bool:
    try:
        return bool(gateway.get("/healthz"))
    except OSError:
        return False


def requests(pair: Pair) -> dict[str, tuple[str, str, dict[str, str], object]]:
    """Everything that is asked about an agent: method, path, headers and body."""
    namespace = pair.client.namespace
    agent = f"/agents/{namespace}/{CALLS}"
    endpoint = f"{agent}/api/a2a"
    call = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": send("say one", "one", skill="say")}
    host = {"Host": f"{naming.a2a_service(CALLS)}.{namespace}.svc.cluster.local"}
    events = f"/events/{namespace}"
    return {
        "card": ("GET", f"{agent}/.well-known/agent-card.json", {}, None),
        "card before 1.0": ("GET", f"{agent}/.well-known/agent.json", {}, None),
        "JSON-RPC": ("POST", endpoint, VERSION, call),
        "REST": ("POST", f"{endpoint}/message:send", VERSION, call["params"]),
        "REST task": ("GET", f"{endpoint}/tasks/none", VERSION, None),
        "skill": ("POST", f"{endpoint}/skills/say", {}, {}),
        "card by host": ("GET", "/.well-known/agent-card.json", host, None),
        "JSON-RPC by host": ("POST", "/api/a2a", VERSION | host, call),
        "catalog": ("GET", "/agents", {}, None),
        "API catalog": ("GET", "/.well-known/api-catalog", {}, None),
        "events": ("POST", events, EVENT, {}),
        "events to a broker": ("POST", f"{events}/brokers/own", EVENT, {}),
        "events from the agent": ("POST", f"{events}/from/{CALLS}", EVENT, {}),
        "events to the agent": ("POST", f"{events}/to/{CALLS}", EVENT, {}),
    }


async def test_every_request_about_agents_is_asked_for_again(
    pair: Pair, api: Api, kube_apiserver: KubeApiserver
) -> None:
    async with late_gateway(pair, api, kube_apiserver) as gateway, aiohttp.ClientSession() as session:
        answers: dict[str, tuple[int, bool]] = {}
        for name, (method, path, headers, body) in requests(pair).items():
            url = f"{gateway.url}{path}"
            async with session.request(method, url, headers=headers, json=body if method == "POST" else None) as answer:
                answers[name] = (answer.status, "Retry-After" in answer.headers)
        assert {name: answer for name, answer in answers.items() if answer != (503, True)} == {}
        api.answers.set()
        await asyncio.to_thread(gateway.await_ready)
        client = Client(session, [gateway], pair.client.namespace, chance=Random(1))
        task = (await client.ask(0, CALLS, "SendMessage", send("say one", "one", skill="say")))["task"]
        assert state(task) == "COMPLETED"


async def test_an_orphan_is_left_alone_until_its_agent_is_known(
    pair: Pair, api: Api, kube_apiserver: KubeApiserver
) -> None:
    """Its deadline passes meanwhile, and that decides nothing either."""
    await asyncio.to_thread(pair.gateways[1].stop)
    async with late_gateway(pair, api, kube_apiserver) as gateway:
        await pair.send("hold one", "one", skill="brief-again", wait=False)
        await pair.begun("one")
        await asyncio.to_thread(pair.gateways[0].kill)
        pair.container.release()
        await asyncio.sleep(LIMITS.lease + 2 * LIMITS.beat_every)
        client = Client(pair.client.session, [gateway], pair.client.namespace, chance=Random(1))
        settled = await pair.look("settled")
        api.answers.set()
        await asyncio.to_thread(gateway.await_ready)

        async def listed() -> Json | None:
            task: Json = (await client.ask(0, CALLS, "ListTasks", {"includeArtifacts": True}))["tasks"][0]
            return task if ended(task) else None

        task = await eventually(listed)
    assert (settled, state(task), texts(task)) == (0, "COMPLETED", [["done: one"]])
    assert pair.container.keys("begun") == ["one", "one"]
