"""The methods of A2A's extension: at the agent's own endpoint and at the unified one, by who may call them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.a2a_schemas import check_v1
from tests.parts.access import guarded, of
from tests.parts.gateway import World, message, skill, world
from tests.parts.issuer import Issuer
from tests.parts.upstream import PlainAgent

from lambdaagent.a2a import errors, extension_methods
from lambdaagent.a2a.extension_methods import URI, ExtensionMethod
from lambdaagent.coordination.extension_errors import ExtensionProblem
from lambdaagent.gateway.a2a.extension_calls import METHODS

OF_AGENT = [method for method, row in METHODS.items() if row.of_agent]
PATHS = ["/agents/shop/echo/api/a2a", "/a2a?agent=shop/echo"]


@pytest.fixture
async def gateway(container: PlainAgent) -> AsyncIterator[World]:
    async with world() as found:
        skills = [skill("say"), skill("hum", tags=["song"]), skill("hidden")]
        found.agent(url=container.url, skills=skills, privateSkills=["hidden"], capabilities={"streaming": False})
        found.agent("shy", url=container.url, endpoint={"discoveryEnabled": False})
        yield found


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("version", ["1.0", "0.3", None])
async def test_an_agent_is_described(gateway: World, path: str, version: str | None) -> None:
    found = (await gateway.rpc("agent.discover", {}, path=path, version=version))["result"]
    card = found.pop("agentCard")
    check_v1("AgentCard", card)
    assert (found["name"], found["version"]) == ("echo", "v1")
    assert found["endpoint"] == f"{gateway.url}/agents/shop/echo/api/a2a"
    assert found["capabilities"]["protocols"] == ["a2a/1.0", "a2a/0.3"]
    assert found["capabilities"]["features"] == ["pushNotifications"]
    assert found["metadata"] == {
        "agent_id": "shop/echo", "status": "active", "skills": ["say", "hum"], "tags": ["song", "talk"],
    }  # fmt: skip
    methods = found["capabilities"]["methods"]
    assert {"SendMessage", "message/send", *ExtensionMethod} <= set(methods)
    assert not {"SendStreamingMessage", "tasks/resubscribe", "GetExtendedAgentCard"} & set(methods)
    served = await (
        await gateway.request("GET", "/agents/shop/echo/.well-known/agent-card.json", headers={"A2A-Version": "1.0"})
    ).json()
    assert card == served


async def test_every_method_of_the_description_is_answered(gateway: World) -> None:
    methods = (await gateway.rpc("agent.discover", {}))["result"]["capabilities"]["methods"]
    for method in methods:
        answer = await gateway.rpc(method, {}, version=None)
        assert answer.get("error", {}).get("code") not in (-32601, -32003, -32004), method


@pytest.mark.parametrize("path", PATHS)
async def test_a_way_to_call_is_agreed_and_works(gateway: World, path: str) -> None:
    proposal = {"protocol": "a2a/1.0", "binding": ["GRPC", "JSONRPC"], "inputModes": ["text"], "streaming": True}
    found = (await gateway.rpc("agent.negotiate", {"proposal": proposal}, path=path))["result"]
    agreed = found["agreed"]
    assert agreed == {
        "protocol": "a2a/1.0",
        "binding": "JSONRPC",
        "url": f"{gateway.url}/agents/shop/echo/api/a2a",
        "inputModes": ["text/plain"],
        "outputModes": ["text/plain"],
        "streaming": False,
    }
    assert [each["field"] for each in found["rejected"]] == ["binding", "streaming"]
    answer = await gateway.rpc("SendMessage", {"message": message()}, path=agreed["url"].removeprefix(gateway.url))
    assert "hello" in str(answer["result"])


@pytest.mark.parametrize("header", ["A2A-Extensions", "X-A2A-Extensions"])
async def test_the_extension_is_in_effect_if_the_client_asks_for_it(gateway: World, header: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "agent.discover"}
    answer = await gateway.request("POST", PATHS[0], json=body, headers={header: f"urn:x, {URI}"})
    assert answer.headers["A2A-Extensions"] == URI
    assert "A2A-Extensions" not in (await gateway.request("POST", PATHS[0], json=body)).headers
    answer = await gateway.request(
        "POST",
        PATHS[0],
        json={**body, "method": "SendMessage", "params": {"message": message()}},
        headers={header: URI},
    )
    assert "result" in await answer.json()


@pytest.mark.parametrize(
    ("method", "params", "code", "data"),
    [
        ("agent.negotiate", [], -32602, {"reason": "INVALID_PARAMS"}),
        (
            "agent.negotiate",
            {"proposal": {"streaming": 1}},
            -32602,
            {
                "reason": "INVALID_PARAMS",
                "fields": [{"field": "proposal.streaming", "reason": "must be true or false"}],
            },
        ),
        ("agent.discover", "x", -32602, {"reason": "INVALID_PARAMS"}),
    ],
)
async def test_wrong_parameters_are_named(
    gateway: World, method: str, params: Any, code: int, data: dict[str, Any]
) -> None:
    for path in PATHS:
        error = (await gateway.rpc(method, params, path=path))["error"]
        assert (error["code"], error["data"]) == (code, data)


async def test_an_agent_without_a_card_says_so(gateway: World) -> None:
    for method in OF_AGENT:
        error = (await gateway.rpc(method, {}, path="/agents/shop/shy/api/a2a"))["error"]
        assert (error["code"], error["data"]) == (-32050, {"reason": "AGENT_NOT_DISCOVERABLE"})
        assert "discoveryEnabled" in error["message"]


async def test_an_unknown_version_is_refused(gateway: World) -> None:
    error = (await gateway.rpc("agent.discover", {}, version="9.0"))["error"]
    assert error["code"] == -32009
    assert error["data"] == {"reason": "VERSION_NOT_SUPPORTED", "supportedVersions": "1.0,0.3"}


async def test_an_unknown_method_is_answered_as_before(gateway: World) -> None:
    error = (await gateway.rpc("agent.sing", {}))["error"]
    assert error["code"] == -32601
    assert isinstance(error["data"], list)


async def test_the_agent_is_not_woken(gateway: World) -> None:
    gateway.agent("asleep", url=None, ready=False)
    found = (await gateway.rpc("agent.discover", {}, path="/agents/shop/asleep/api/a2a"))["result"]
    assert found["metadata"]["status"] == "inactive"


async def test_who_may_discover_the_agent_may_call_them(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> None:
    grants = [
        {"principals": ["corp:alice"]},
        {"principals": ["corp:reader"], "actions": ["read"]},
    ]
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        gateway.agent(url=container.url, access={"grants": grants})
        for path in PATHS:
            for method in OF_AGENT:
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}
                for caller, status in {"alice": 200, "reader": 200, "carol": 404}.items():
                    answer = await gateway.request("POST", path, json=body, headers=of(issuer, caller))
                    assert answer.status == status, (path, method, caller)
                assert (await gateway.request("POST", path, json=body)).status == 401


def test_the_table_is_whole_and_its_codes_are_its_own() -> None:
    assert set(METHODS) == set(ExtensionMethod)
    assert set(OF_AGENT) == extension_methods.NAMES - extension_methods.WITHOUT_AGENT
    statuses = [status for each in ExtensionProblem for status in each.value.statuses]
    assert len(set(statuses)) == len(statuses)
    assert extension_methods.declaration()["params"]["methods"] == list(ExtensionMethod)
    codes = [each.value.code for each in ExtensionProblem]
    assert len(set(codes)) == len(codes)
    assert all(-32059 <= code <= -32050 for code in codes)
    assert not {each.value.code for each in errors.Problem} & set(codes)
