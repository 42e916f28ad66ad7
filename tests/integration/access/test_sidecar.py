"""A sidecar checks access itself: by issuers' tokens, the gateway's statements, and the capabilities of Brokers."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
import yaml
from tests.integration.gateway.remote import Remote
from tests.integration.gateway.streaming import events
from tests.parts.access import bearer, guarded, of
from tests.parts.gateway import World, manifest, message, world
from tests.parts.gateway_process import running
from tests.parts.issuer import Issuer, ec_key
from tests.parts.keys import pem
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, TalkingAgent, plain_agent, talking_agent

from lambdaagent import clock as clocks
from lambdaagent.a2a.signing import Signer
from lambdaagent.api import agent as agents
from lambdaagent.children import sidecar
from lambdaagent.containers.turn import Origin
from lambdaagent.controller.sidecar_rules import with_sidecar_rules
from lambdaagent.events import capability
from lambdaagent.gateway.access import sidecar_guard
from lambdaagent.gateway.http.sse import Streams
from lambdaagent.identity import api_keys, assertions
from lambdaagent.settings import Installation, SidecarSettings

KEYS = {"k1": b"k" * 32, "k2": b"l" * 32}
EVENT_KEYS = "k1:a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=,k2:bGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGw="
SIGNER, OTHER = (Signer.from_pem(pem(ec_key(number))) for number in (7, 8))
KEY = api_keys.create("ci")
GRANTS: list[dict[str, Any]] = [
    {"principals": ["corp:alice", "key:ci", "agent:shop/echo"]},
    {"principals": ["corp:carol"], "skills": ["ask"]},
]
SKILLS = [{"id": "ask", "name": "Ask"}, {"id": "tell", "name": "Tell"}]
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a.b", "ce-source": "/s", "content-type": "text/plain"}
IDENTITY = "lambdaagent-identity"


@dataclass
class Pod:
    client: httpx.Client
    container: PlainAgent
    gateway: World
    issuer: Issuer

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Sends a request from a thread: the issuer and the gateway are served by this loop."""
        return await asyncio.to_thread(self.client.request, method, path, **more)

    async def call(self, path: str = "/api/a2a/skills/ask", **headers: str) -> int:
        return (await self.ask("POST", path, json={"text": "x"}, headers=headers)).status_code

    async def through_the_gateway(self, **headers: str) -> int:
        path = "/agents/ai/beside/api/a2a/skills/ask"
        return (await self.gateway.request("POST", path, json={"text": "x"}, headers=headers)).status


Start = Callable[..., Pod]


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer) -> AsyncIterator[World]:
    keys = [{"id": "ci", "sha256": api_keys.hash_of(KEY)}]
    file = {"issuers": [issuer.configured()], "apiKeys": keys, "audit": {"sink": "none"}}
    async with guarded(tmp_path / "gateway.yaml", file, signer=SIGNER, keys=KEYS) as world:
        yield world


@pytest.fixture
def start(gateway: World, issuer: Issuer, tmp_path: Path) -> Iterator[Start]:
    """Returns a function that starts a pod with a container and a sidecar, as the operator configures it."""
    with ExitStack() as stack:

        def started(
            *, file: dict[str, Any] | None = None, mode: str = "enforce", event_keys: str = EVENT_KEYS, **a2a: Any
        ) -> Pod:
            container = stack.enter_context(plain_agent())
            path = tmp_path / "operator.yaml"
            path.write_text(yaml.safe_dump(file or {"issuers": [issuer.configured()]}))
            a2a = {"enabled": True, "mode": "sidecar", "skills": SKILLS, "access": {"grants": GRANTS}, **a2a}
            image = {"repository": "r", "port": urlsplit(container.url).port}
            obj = {"metadata": {"name": "beside", "namespace": "ai"}, "spec": {"image": image, "a2a": a2a}}
            installation = with_sidecar_rules(
                Installation(
                    gateway_image="example.com/lambdaagent:v1",
                    gateway_url=gateway.url,
                    event_keys=event_keys,
                    access=mode,
                    access_file=str(path),
                )
            )
            _, unit = sidecar.containers(agents.parse(obj), installation, sink=None, probes=False)
            environment = {entry["name"]: entry["value"].replace("$$", "$") for entry in unit["env"]}
            kept = {name: value for name, value in os.environ.items() if not name.startswith("LAMBDAAGENT_")}
            client = stack.enter_context(running(unit["args"], kept | environment, ready=sidecar.ALIVE))
            gateway.add(obj, url=str(client.base_url))
            return Pod(client, container, gateway, issuer)

        yield started


async def test_callers_are_told_apart(start: Start) -> None:
    pod = start()
    for path in ("/", "/api/a2a", "/api/a2a/skills/ask", "/own/page", "/-/deliver"):
        answer = await pod.ask("POST", path, json={})
        assert (answer.status_code, "resource_metadata" in answer.headers["www-authenticate"]) == (401, True), path
    for path in ("/.well-known/agent-card.json", "/.well-known/agent.json"):
        assert (await pod.ask("GET", path)).status_code == 401
        assert (await pod.ask("GET", path, headers=of(pod.issuer))).status_code == 200
    assert await pod.call(**of(pod.issuer)) == 200
    assert await pod.call(**bearer("garbage")) == 401
    assert await pod.call(**of(pod.issuer, aud="another")) == 401
    assert await pod.call(**of(pod.issuer, "bob")) == 404
    assert await pod.call(**bearer(KEY)) == 401  # keys stay at the gateway
    assert len(pod.container.seen) == 1
    metadata = (await pod.ask("GET", "/.well-known/oauth-protected-resource")).json()
    assert metadata["authorization_servers"] == [pod.issuer.url]


async def test_what_no_skill_names_is_for_callers_of_all_skills(start: Start) -> None:
    pod = start()
    carol, alice = of(pod.issuer, "carol"), of(pod.issuer)
    assert [await pod.call(f"/api/a2a/skills/{each}", **carol) for each in ("ask", "tell")] == [200, 403]
    seen = len(pod.container.seen)
    assert [await pod.call(path, **carol) for path in ("/", "/own/page")] == [403, 403]
    assert await pod.call("/", **carol, **EVENT) == 403
    assert len(pod.container.seen) == seen
    assert [await pod.call(path, **alice) for path in ("/", "/own/page")] == [200, 200]


async def test_an_event_needs_the_capability_of_its_broker(start: Start) -> None:
    pod = start()
    paths = [
        f"/-/deliver/{capability.sign({kid: key}, namespace='ai', use='to', agent='beside')}"
        for kid, key in KEYS.items()
    ]
    assert sidecar.delivery_path(agents.parse(_named("beside")), KEYS) == paths[0]
    for path in paths:
        assert (await pod.ask("POST", path, content=b'"x"', headers=EVENT)).status_code == 200
        assert pod.container.seen[-1].path == "/"
    foreign = capability.sign(KEYS, namespace="ai", use="to", agent="other")
    own = capability.sign(KEYS, namespace="ai", use="from", agent="beside")
    for segment in (foreign, own, "", "k1.", "ü", paths[0].rpartition("/")[2][:-1]):
        assert (await pod.ask("POST", f"/-/deliver/{segment}", content=b'"x"', headers=EVENT)).status_code in (401, 403)
    assert (await pod.ask("POST", "/", content=b'"x"', headers=EVENT)).status_code == 401
    structured = {"content-type": "application/cloudevents+json"}
    for headers in (EVENT, structured, {"ce-a2acontextid": "of another"}):
        for path in ("/", "/own/page"):
            answer = await pod.ask("POST", path, content=b"{}", headers=of(pod.issuer) | headers)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:lambdaagent:problem:no-delivery")
    assert len(pod.container.seen) == 2


def _named(name: str) -> dict[str, Any]:
    a2a = {"enabled": True, "mode": "sidecar"}
    return {"metadata": {"name": name, "namespace": "ai"}, "spec": {"image": {"repository": "r"}, "a2a": a2a}}


async def test_the_gateway_vouches_for_its_callers(start: Start) -> None:
    """API keys are known to the gateway alone; so is the cluster's RBAC."""
    pod = start()
    assert await pod.through_the_gateway(**bearer(KEY)) == 200
    sent = {"message": message(contextId="c")}
    task = (await pod.gateway.rpc("SendMessage", sent, path="/agents/ai/beside/api/a2a", **bearer(KEY)))["result"]
    assert task["task"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert len(pod.container.seen) == 2
    assert all(IDENTITY not in seen.headers for seen in pod.container.seen)
    event = {**EVENT, "content-type": "text/plain"}
    path = f"/events/ai/to/beside/{capability.sign(KEYS, namespace='ai', use='to', agent='beside')}"
    assert (await pod.gateway.request("POST", path, data=b'"x"', headers=event)).status == 202
    assert pod.container.seen[-1].path == "/"


async def test_only_a_statement_of_the_gateway_for_this_agent_counts(start: Start) -> None:
    pod = start()

    def stated(agent: str = "ai/beside", signer: Signer = SIGNER) -> str:
        state = assertions.statement(signer, clocks.system())
        assert state is not None
        return state(agent, Origin(owner="corp:bob"))

    good = stated()
    assert await pod.call("/", **{IDENTITY: good}) == 200
    old = {**jwt.decode(good, options={"verify_signature": False}), "iat": 1, "exp": 61}
    for bad in (
        stated("ai/other"),
        stated(signer=OTHER),
        SIGNER.token(old, type_=assertions.TYPE),
        pod.issuer.token(),
        "garbage",
        "",
    ):
        assert await pod.call("/", **{IDENTITY: bad}) == 401
        assert await pod.call("/", **{IDENTITY: bad}, **of(pod.issuer)) == 401
    assert len(pod.container.seen) == 1
    # An agent presents the statement that it got; that of the sidecar's own agent is no way in.
    assert await pod.call(**bearer(stated("shop/echo"))) == 200
    assert await pod.call(**bearer(good)) == 404


async def test_the_own_endpoint_of_an_a2a_container_is_for_those_who_reach_all_tasks(
    start: Start, issuer: Issuer
) -> None:
    pod = start(protocol="a2a", file={"issuers": [issuer.configured()], "admins": ["corp:root"]})
    for path in ("/", "/own/page"):
        answer = await pod.ask("POST", path, json={}, headers=of(issuer))
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:lambdaagent:problem:no-owners")
        assert not pod.container.seen
    assert (await pod.ask("POST", "/", json={}, headers=of(issuer, "root"))).status_code == 200
    assert pod.container.seen


async def test_the_gateway_reads_and_cancels_at_an_a2a_container_behind_it(start: Start) -> None:
    pod = start(protocol="a2a")
    working = {"id": "r-1", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}
    canceled = {**working, "status": {"state": "TASK_STATE_CANCELED"}}
    server = Remote(answers={"SendMessage": {"task": working}, "GetTask": working, "CancelTask": canceled})
    pod.container.respond = server.respond
    path, sent = "/agents/ai/beside/api/a2a", {"message": message(), "configuration": {"returnImmediately": True}}
    task = (await pod.gateway.rpc("SendMessage", sent, path=path, **bearer(KEY)))["result"]["task"]
    await eventually(lambda: server.asked("SendMessage"))

    async def named() -> bool:
        stored = await pod.gateway.store.get(task["id"])
        return stored is not None and bool(stored.remote)

    await eventually(named)
    done = (await pod.gateway.rpc("CancelTask", {"id": task["id"]}, path=path, **bearer(KEY)))["result"]
    assert done["status"]["state"] == "TASK_STATE_CANCELED"
    assert server.asked("CancelTask")


@pytest.mark.parametrize(("access", "status"), [("audit", 200), ("off", 200), ("enforce", 401)])
async def test_the_mode_is_that_of_the_installation(start: Start, access: str, status: int) -> None:
    pod = start(mode=access)
    assert await pod.call() == await pod.call("/") == status


async def test_a_public_agent_is_public_within_the_ceiling(start: Start, issuer: Issuer) -> None:
    opened = {"issuers": [issuer.configured()], "ceiling": {"allowPublic": True}}
    assert await start(access={"public": True}, file=opened).call() == 200
    assert await start(access={"public": True}).call() == 401


def test_the_operator_gives_no_key_and_no_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    file = {
        "issuers": [
            {"name": "corp", "issuer": "https://issuer.example", "audiences": ["lambdaagent"]},
            {"name": "filed", "issuer": "filed", "audiences": ["x"], "jwks": "/etc/keys.json"},
        ],
        "apiKeys": [{"id": "ci", "sha256": "0" * 64}],
        "hmac": [{"id": "batch", "keyFile": "/etc/hmac"}],
        "ceiling": {"issuers": ["filed"], "namespaces": ["ai"], "requiredClaims": {"team": ["a"]}},
        "admins": ["corp:root"],
        "audit": {"sink": "file", "file": "/var/log/audit"},
        "limits": {"perPeer": {"requestsPerMinute": 5}},
    }
    path.write_text(yaml.safe_dump(file))
    rules = json.loads(with_sidecar_rules(Installation(access_file=str(path))).sidecar_rules)
    assert [each["name"] for each in rules["issuers"]] == ["corp"]
    assert rules["ceiling"] == {"issuers": [], "namespaces": ["ai"], "requiredClaims": {"team": ["a"]}}
    assert (rules["admins"], rules["limits"]) == (["corp:root"], {"perPeer": {"requestsPerMinute": 5}})
    assert not {"apiKeys", "hmac"} & rules.keys()
    assert "/etc" not in json.dumps(rules) and "/var" not in json.dumps(rules)
    assert with_sidecar_rules(Installation(access_file=str(path), access="off")).sidecar_rules == ""


@pytest.fixture
async def beside(gateway: World, issuer: Issuer) -> AsyncIterator[tuple[World, TalkingAgent]]:
    """A guard as sidecars have it, in this process, where pings are frequent; the agent is `shop/echo`."""
    rules = {"issuers": [issuer.configured()], "audit": {"sink": "none"}, "admins": ["corp:root"]}
    rules |= {"ceiling": {"issuers": ["corp"], "requiredClaims": {"team": ["a"]}}}
    limit = {"requestsPerMinute": 1, "burst": 1}
    rules |= {"limits": {"perPeer": limit, "perPrincipal": limit, "perAgent": limit}}
    settings = SidecarSettings(agent="{}", access_rules=json.dumps(rules), gateway_url=gateway.url)
    async with talking_agent() as container:
        agent = agents.parse(manifest(a2a={"enabled": True, "mode": "sidecar"}))
        async with (
            sidecar_guard.guarding(settings, agent, clocks.system()) as guard,
            world(guard=guard, streams=Streams(ping=0.05)) as pod,
        ):
            pod.agent(url=container.url, skills=SKILLS, access={"grants": GRANTS})
            yield pod, container


def _statement(owner: str = "corp:bob") -> dict[str, str]:
    state = assertions.statement(SIGNER, clocks.system())
    assert state is not None
    return {IDENTITY: state("shop/echo", Origin(owner=owner))}


async def test_a_stream_of_the_gateway_lasts(beside: tuple[World, TalkingAgent]) -> None:
    """The gateway itself looks whether its caller may still read it."""
    pod, container = beside
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendStreamingMessage", "params": {"message": message()}}
    path, sent = f"{pod.url}/agents/shop/echo/api/a2a", {"A2A-Version": "1.0", **_statement()}
    async with pod.session.post(path, json=body, headers=sent) as response:
        stream = events(response)
        assert "task" in (await anext(stream)).data["result"]
        await asyncio.sleep(0.3)
        container.say({"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED"}}}, None)
        found = [each.data async for each in stream]
    assert all("error" not in each for each in found)
    assert found[-1]["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_what_the_gateway_sends_is_counted_there_alone(beside: tuple[World, TalkingAgent]) -> None:
    """All callers of the gateway come from its address, and it polls tasks in a caller's name."""
    pod, _ = beside
    for _ in range(3):
        found = await pod.rpc("GetTask", {"id": "none"}, **_statement())
        assert found["error"]["code"] == -32001, found


async def test_forged_statements_are_counted(beside: tuple[World, TalkingAgent]) -> None:
    pod, _ = beside
    path = "/agents/shop/echo/.well-known/agent-card.json"
    found = [(await pod.request("GET", path, headers={IDENTITY: "forged"})).status for _ in range(2)]
    assert found == [401, 429]


async def test_a_ceiling_for_callers_does_not_keep_the_gateway_from_the_tasks_of_others(
    beside: tuple[World, TalkingAgent],
) -> None:
    pod, _ = beside
    sent = {"message": message(), "configuration": {"returnImmediately": True}}
    task = (await pod.rpc("SendMessage", sent, **_statement()))["result"]["task"]
    found = await pod.rpc("GetTask", {"id": task["id"]}, **_statement("corp:root"))
    assert found["result"]["id"] == task["id"]


async def test_the_container_does_not_get_the_credential(start: Start) -> None:
    pod = start()
    assert await pod.call("/own/page", **of(pod.issuer)) == 200
    assert "authorization" not in pod.container.seen[-1].headers
    named = start(forwardHeaders=["authorization"])
    assert await named.call("/own/page", **of(named.issuer)) == 200
    assert "authorization" in named.container.seen[-1].headers


async def test_without_capabilities_only_what_a_broker_sends_passes(start: Start) -> None:
    """A Broker posts to the root. Everything else that looks like an event needs a caller."""
    pod = start(event_keys="")
    assert await pod.call("/", **EVENT) == 200
    for method, path in (("DELETE", "/"), ("PUT", "/"), ("GET", "/"), ("POST", "/own/page")):
        assert (await pod.ask(method, path, headers=EVENT)).status_code == 401
    host, port = pod.client.base_url.host, pod.client.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    head = "".join(f"{name}: {value}\r\n" for name, value in EVENT.items())
    writer.write(f"POST /#/../own/page HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 0\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == b"401"
    writer.close()
    assert [each.path for each in pod.container.seen] == ["/"]
