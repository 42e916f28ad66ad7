"""The request of a push notification over the network: its headers, and the addresses that it may not go to."""

import ipaddress
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from aiohttp import web
from tests.parts.http_servers import serving

from lambdaagent.a2a.push import PushConfig
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.push_request import HttpPushNotifier, PushRefusedError


@pytest.fixture
async def hook() -> AsyncGenerator[tuple[str, list[web.Request]], None]:
    seen: list[web.Request] = []

    async def take(request: web.Request) -> web.Response:
        await request.read()
        seen.append(request)
        raise web.HTTPFound("/elsewhere") if request.path == "/moved" else web.HTTPAccepted

    app = web.Application()
    app.add_routes([web.post("/{path:.*}", take)])
    async with serving(app) as url:
        yield url, seen


async def test_over_the_network_it_is_one_post_with_its_headers(hook: tuple[str, list[web.Request]]) -> None:
    url, seen = hook
    notifier = HttpPushNotifier(lambda _: address_check.not_metadata)
    config = PushConfig(url=f"{url}/hook", token="t", credentials="c")
    await notifier.post(config, content_type="application/a2a+json", body=b"{}")
    with pytest.raises(PushRefusedError, match="answered 302"):
        await notifier.post(replace(config, url=f"{url}/moved"), content_type="application/json", body=b"{}")
    assert [request.path for request in seen] == ["/hook", "/moved"]
    headers = seen[0].headers
    assert (headers["Authorization"], headers["X-A2A-Notification-Token"]) == ("Bearer c", "t")
    assert headers["Content-Type"] == "application/a2a+json"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x", "http://10.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/", "http://0.0.0.0/",
        "http://[::ffff:10.0.0.1]/", "http://[fd00::1]/", "http://localhost/", "http://100.64.0.1/",
    ],
)  # fmt: skip
async def test_addresses_of_the_inside_are_not_posted_to(url: str) -> None:
    notifier = HttpPushNotifier(address_check.public())
    with pytest.raises(PushRefusedError, match=r"not a public address|metadata") as raised:
        await notifier.post(PushConfig(url=url), content_type="application/json", body=b"{}")
    assert raised.value.final


async def test_a_network_that_is_allowed_may_be_posted_to(hook: tuple[str, list[web.Request]]) -> None:
    url, seen = hook
    notifier = HttpPushNotifier(address_check.public(allowed=[ipaddress.ip_network("127.0.0.0/8")]))
    await notifier.post(PushConfig(url=url), content_type="application/json", body=b"{}")
    assert len(seen) == 1
