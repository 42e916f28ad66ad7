"""What the operator does for an external A2A server: its agent card in status, and conditions that say what fails."""

import asyncio
import json
from typing import Any

import pytest
from tests.parts.cluster import Cluster, Start, until
from tests.parts.sdk_agents import sdk_agent
from tests.parts.upstream import PlainAgent, Seen, plain_agent

from lambdaagent.kube import rights

LOOPBACK = "127.0.0.0/8"
SETTINGS: dict[str, Any] = {"eventing": "none", "serving": "kubernetes", "gateway_url": "http://gateway.example:8080"}
RBAC = "rbac.authorization.k8s.io/v1"


def external(url: str, **fields: Any) -> dict[str, Any]:
    return {"external": {"url": url, **fields}, "image": None}


def card(cluster: Cluster, agent: str = "partner") -> dict[str, Any]:
    found: dict[str, Any] = (cluster.status(agent).get("a2aStatus") or {}).get("containerCard") or {}
    return found


def serve(partner: PlainAgent, etag: str = '"1"', **fields: Any) -> None:
    interface = {"url": f"{partner.url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    made = {"name": "p", "description": "d", "version": "1", "supportedInterfaces": [interface], **fields}

    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        if seen.path != "/.well-known/agent-card.json":
            return 404, {}, b""
        if seen.headers.get("if-none-match") == etag:
            return 304, {}, b""
        return 200, {"ETag": etag}, json.dumps(made).encode()

    partner.respond = respond


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_a_url_is_enough_and_there_is_no_workload(cluster: Cluster, start: Start, version: str) -> None:
    await start(**SETTINGS, tools_allow=LOOPBACK)
    with sdk_agent(version, here=True) as (url, _):
        await asyncio.to_thread(cluster.apply, "partner", external(url))
        await until(lambda: cluster.because("partner", "Ready", "Ready"))
        assert f"serves its agent card (A2A {version})" in cluster.condition("partner", "ServingReady")["message"]
        assert cluster.because("partner", "CardAccepted", "Accepted")
        assert cluster.because("partner", "A2AReady", "Served")
        assert card(cluster)["endpoint"] == {"url": f"{url}/rpc", "protocolVersion": version, "streaming": True}
        assert [skill["id"] for skill in card(cluster)["skills"]] == ["say"]
        assert cluster.names("apps/v1", "deployments") == []
        assert cluster.names("v1", "services") == ["partner-a2a"]
        assert cluster.status("partner")["serviceStatus"] == {"ready": True}


async def test_the_card_is_refreshed_and_the_last_good_one_stays(cluster: Cluster, start: Start) -> None:
    with plain_agent() as partner:
        serve(partner)
        await start(**SETTINGS, tools_allow=LOOPBACK, tools_sync_seconds=1)
        await asyncio.to_thread(cluster.apply, "partner", external(partner.url))
        await until(lambda: cluster.because("partner", "Ready", "Ready"))
        version = cluster.agent("partner")["metadata"]["resourceVersion"]
        await until(lambda: sum("if-none-match" in seen.headers for seen in partner.seen) >= 3)
        assert cluster.agent("partner")["metadata"]["resourceVersion"] == version
        serve(partner, '"2"', description="another")
        await until(lambda: card(cluster)["description"] == "another")
        other = [{"url": "https://elsewhere.example.com/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]
        serve(partner, '"3"', supportedInterfaces=other, skills=[{"id": 5}])
        found = await until(lambda: cluster.because("partner", "CardAccepted", "OtherOrigin"))
        assert found["status"] == "False"
        assert "https://elsewhere.example.com:443, which is not the origin of external.url" in found["message"]
        assert "of 1 skills, 0 are used" in found["message"]
        assert card(cluster)["endpoint"]["url"] == partner.url
        assert cluster.because("partner", "Ready", "Ready")  # it informs and gates nothing
        partner.respond = lambda _: (200, {}, b'{"skills": 7}')
        found = await until(lambda: cluster.because("partner", "ServingReady", "CardInvalid"))
        assert "offers no JSON-RPC interface" in found["message"]
        partner.respond = lambda _: (503, {}, b"")
        found = await until(lambda: cluster.because("partner", "ServingReady", "NoCard"))
        assert "answers 503" in found["message"]
        kept = card(cluster)
    found = await until(lambda: cluster.because("partner", "ServingReady", "ServerUnreachable"))
    assert f"A2A server {partner.url}: Connection refused; check the server and external" in found["message"]
    assert card(cluster) == kept
    await asyncio.to_thread(cluster.apply, "partner", external("http://127.0.0.1:1/"))
    await until(lambda: not card(cluster))  # it was the card of another server


async def test_a_private_address_is_refused_and_gets_no_request(cluster: Cluster, start: Start) -> None:
    with plain_agent() as partner:
        serve(partner)
        await start(**SETTINGS)
        await asyncio.to_thread(cluster.apply, "partner", external(partner.url))
        found = await until(lambda: cluster.because("partner", "ServingReady", "ServerUnreachable"))
        assert "127.0.0.1 is not a public address and is not allowed here" in found["message"]
        assert partner.seen == []


async def test_a_secret_is_read_only_with_the_right_and_shown_nowhere(cluster: Cluster, start: Start) -> None:
    cluster.rest.post(
        cluster.path("v1", "secrets"), {"metadata": {"name": "partner"}, "stringData": {"token": "hidden"}}
    )
    header = {"name": "X-Key", "secretKeyRef": {"name": "partner", "key": "token"}}
    with plain_agent() as partner:
        serve(partner)
        await start(**SETTINGS, tools_allow=LOOPBACK, tools_sync_seconds=1)
        await asyncio.to_thread(cluster.apply, "partner", external(partner.url, headersFrom=[header]))
        found = await until(lambda: cluster.because("partner", "ServingReady", "SecretNotReadable"))
        assert f"the operator may not read Secret {cluster.namespace}/partner" in found["message"]
        assert "resourceNames [partner]" in found["message"]
        assert partner.seen == []
        rules = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["partner"], "verbs": ["get"]}]
        cluster.rest.post(cluster.path(RBAC, "roles"), {"metadata": {"name": "external"}, "rules": rules})
        subject = {"kind": "ServiceAccount", "name": rights.OPERATOR, "namespace": cluster.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "external"}
        binding = {"metadata": {"name": "external"}, "roleRef": role, "subjects": [subject]}
        cluster.rest.post(cluster.path(RBAC, "rolebindings"), binding)
        await until(lambda: cluster.because("partner", "Ready", "Ready"))
        assert {seen.headers["x-key"] for seen in partner.seen} == {"hidden"}
        assert "hidden" not in json.dumps(cluster.agent("partner"))
        cluster.rest.delete(cluster.path("v1", "secrets", "partner"))
        found = await until(lambda: cluster.because("partner", "ServingReady", "SecretMissing"))
        assert f"there is no Secret {cluster.namespace}/partner" in found["message"]


async def test_from_a_container_to_a_url_and_back(cluster: Cluster, start: Start) -> None:
    with plain_agent() as partner:
        serve(partner)
        await start(**SETTINGS, tools_allow=LOOPBACK)
        container = {"a2a": {"enabled": True}}
        await asyncio.to_thread(cluster.apply, "mover", container)
        await until(lambda: cluster.names("apps/v1", "deployments") == ["mover"])
        await asyncio.to_thread(cluster.apply, "mover", external(partner.url))
        await until(lambda: cluster.names("apps/v1", "deployments") == [])
        await until(lambda: cluster.because("mover", "Ready", "Ready"))
        await asyncio.to_thread(cluster.apply, "mover", container)
        await until(lambda: cluster.names("apps/v1", "deployments") == ["mover"])
        await until(lambda: not cluster.condition("mover", "CardAccepted") and not card(cluster, "mover"))
