"""A push receiver needs a right, also one that comes with a message, and an address that the installation allows."""

from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.parts.access import guarded, of, write
from tests.parts.gateway import World, message
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent

from lambdaagent.gateway.access import loading
from lambdaagent.gateway.config import GatewayConfig
from lambdaagent.gateway.serving import receivers
from lambdaagent.webhooks.address_check import ForbiddenAddressError

RECEIVER = {"url": "http://127.0.0.1:9/"}
V03 = {"kind": "message", "messageId": "m-1", "role": "user", "parts": [{"kind": "text", "text": "hello"}]}
WAYS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "SendMessage": ("1.0", {"message": message(), "configuration": {"taskPushNotificationConfig": RECEIVER}}),
    "SendStreamingMessage": ("1.0", {"message": message(), "configuration": {"taskPushNotificationConfig": RECEIVER}}),
    "message/send": (None, {"message": V03, "configuration": {"pushNotificationConfig": RECEIVER}}),
}
GRANTS = [
    {"principals": ["corp:alice"]},
    {"principals": ["corp:invoker"], "actions": ["invoke"]},
]


@pytest.fixture
async def gateway(tmp_path: Path, issuer: Issuer, container: PlainAgent) -> AsyncIterator[World]:
    file = {"issuers": [issuer.configured()], "audit": {"sink": "none"}}
    async with guarded(tmp_path / "access.yaml", file) as world:
        world.agent(
            url=container.url,
            access={"grants": GRANTS},
            capabilities={"pushNotifications": True, "streaming": True},
        )
        yield world


async def status(gateway: World, method: str, headers: dict[str, str], *, receiver: bool = True) -> int:
    version, params = WAYS[method]
    sent = params if receiver else {"message": params["message"]}
    said = {"A2A-Version": version} if version else {}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": sent}
    return (await gateway.request("POST", "/agents/shop/echo/api/a2a", json=body, headers=said | headers)).status


@pytest.mark.parametrize("method", WAYS)
async def test_who_may_only_invoke_registers_none(
    gateway: World, issuer: Issuer, container: PlainAgent, method: str
) -> None:
    assert await status(gateway, method, of(issuer, "invoker")) == 403
    assert container.seen == []
    assert await status(gateway, method, of(issuer, "invoker"), receiver=False) == 200
    assert await status(gateway, method, of(issuer)) == 200


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]"])
async def test_an_address_of_the_inside_is_not_stored(gateway: World, issuer: Issuer, host: str) -> None:
    """A literal is refused when it is registered, and not only when it is called."""
    inside = {"url": f"http://{host}/"}
    sent = {"message": message(), "configuration": {"taskPushNotificationConfig": inside}}
    with_message = await gateway.rpc("SendMessage", sent, **of(issuer))
    task = (await gateway.rpc("SendMessage", {"message": message()}, **of(issuer)))["result"]["task"]
    alone = await gateway.rpc("CreateTaskPushNotificationConfig", {"taskId": task["id"], **inside}, **of(issuer))
    for answer in (with_message, alone):
        assert answer["error"]["code"] == -32602, answer
    assert await gateway.store.pushes(task["id"]) == []


async def test_the_other_binding(gateway: World, issuer: Issuer) -> None:
    body = {"message": message(), "configuration": {"taskPushNotificationConfig": RECEIVER}}
    for action in ("send", "stream"):
        path = f"/agents/shop/echo/api/a2a/message:{action}"
        refused = await gateway.request("POST", path, json=body, headers=of(issuer, "invoker"))
        assert refused.status == 403
        assert (await refused.json())["error"]["status"] == "PERMISSION_DENIED"


async def test_the_names_that_the_access_file_trusts_may_be_private_as_long_as_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "EVERY", 0.02)
    file, private = tmp_path / "access.yaml", ip_address("10.1.2.3")
    base = {"audit": {"sink": "none"}}
    async with guarded(file, {**base, "trustedDomains": ["*.corp.example"]}) as gateway:
        check = receivers(GatewayConfig(), gateway.guard)
        check("hook.corp.example")(private)
        for host, address in (("hook.other.example", private), ("hook.corp.example", ip_address("169.254.169.254"))):
            with pytest.raises(ForbiddenAddressError):
                check(host)(address)
        write(file, base)
        await eventually(lambda: not gateway.guard.trusted_domains)
        with pytest.raises(ForbiddenAddressError):
            check("hook.corp.example")(private)
