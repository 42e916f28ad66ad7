from typing import Any

import pytest
from tests.parts.a2a_schemas import check_v03, check_v1
from tests.parts.gateway import World, manifest, skill, world
from tests.parts.upstream import PlainAgent

ECHO = "/agents/shop/echo"
CARD = f"{ECHO}/.well-known/agent-card.json"


@pytest.mark.parametrize(
    ("version", "v1", "v03"),
    [("1.0", True, False), ("0.3", False, True), (None, True, True), ("42.0", True, True)],
    ids=["1.0", "0.3", "none", "unknown"],
)
async def test_the_card_has_the_shape_that_the_client_asks_for(
    echo: World, version: str | None, v1: bool, v03: bool
) -> None:
    response = await echo.request("GET", CARD, headers={"A2A-Version": version} if version else {})
    card = await response.json()
    assert ("supportedInterfaces" in card, "url" in card) == (v1, v03)
    if not v03:
        check_v1("AgentCard", card)
    if v03:
        check_v03("AgentCard", card)


async def test_the_legacy_card_says_modes_as_they_are_written(echo: World) -> None:
    card = await (await echo.request("GET", f"{ECHO}/.well-known/agent.json")).json()
    assert card["skills"][0]["inputModes"] == ["text"]
    assert card["url"] == f"{echo.url}{ECHO}/api/a2a"


async def test_cards_can_be_cached_and_asked_for_again(echo: World) -> None:
    first = await echo.request("GET", CARD)
    assert first.headers["Cache-Control"] == "public, max-age=60"
    assert first.headers["Last-Modified"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert first.headers["Vary"] == "A2A-Version"
    etag = first.headers["ETag"]
    fresh = [
        {"If-None-Match": etag},
        {"If-None-Match": f'"other", W/{etag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": first.headers["Last-Modified"]},
    ]
    stale = [
        {"If-None-Match": '"other"'},
        {"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"},
        {"If-Modified-Since": "soon"},
    ]
    for headers in fresh:
        again = await echo.request("GET", CARD, headers=headers)
        assert (again.status, again.headers["ETag"]) == (304, etag)
    for headers in stale:
        assert (await echo.request("GET", CARD, headers=headers)).status == 200
    head = await echo.request("HEAD", CARD)
    assert (head.status, head.headers["ETag"]) == (200, etag)
    assert (await echo.request("POST", CARD)).status == 405


async def test_a_change_of_the_agent_changes_its_card_and_etag(echo: World, container: PlainAgent) -> None:
    before = await echo.request("GET", CARD)
    echo.agent(url=container.url, description="New")
    after = await echo.request("GET", CARD)
    assert (await after.json())["description"] == "New"
    assert after.headers["ETag"] != before.headers["ETag"]


async def test_many_hosts_do_not_fill_the_cache(echo: World) -> None:
    for n in range(100):
        card = await (await echo.request("GET", CARD, headers={"Host": f"h{n}"})).json()
        assert card["url"] == f"http://h{n}{ECHO}/api/a2a"
    entry = echo.directory.get("shop", "echo")
    assert entry is not None
    assert len(entry._cards) <= 32


async def test_a_host_that_is_none_is_refused(echo: World) -> None:
    assert (await echo.request("GET", CARD, headers={"Host": "a/b?c"})).status == 400


@pytest.mark.parametrize(
    ("settings", "headers", "base"),
    [
        pytest.param(
            {"public_url": "https://gw.example.com/x"}, {"Host": "h"}, "https://gw.example.com/x", id="the public base"
        ),
        pytest.param(
            {},
            {"Host": "h", "X-Forwarded-Host": "evil", "X-Forwarded-Proto": "https"},
            "http://h",
            id="nobody is trusted",
        ),
        pytest.param(
            {"trust_forwarded": True},
            {
                "Host": "h",
                "X-Forwarded-Host": "evil, gw.example.com",
                "X-Forwarded-Proto": "http, https",
                "X-Forwarded-Prefix": "/ai/",
            },
            "https://gw.example.com/ai",
            id="a trusted proxy",
        ),
        pytest.param(
            {"trust_forwarded": True},
            {"Host": "h", "X-Forwarded-Prefix": "/a b"},
            "http://h",
            id="a prefix that is none",
        ),
    ],
)
async def test_where_the_urls_come_from(
    container: PlainAgent, settings: Any, headers: dict[str, str], base: str
) -> None:
    async with world(**settings) as gateway:
        gateway.agent(url=container.url)
        card = await (await gateway.request("GET", CARD, headers=headers)).json()
        assert card["url"] == f"{base}{ECHO}/api/a2a"
        listed = await (await gateway.request("GET", "/agents", headers=headers)).json()
        assert listed["agents"][0]["cardUrl"] == f"{base}{CARD}"


async def names(gateway: World, query: str = "") -> list[str]:
    listed = await (await gateway.request("GET", f"/agents{query}")).json()
    return [f"{agent['namespace']}/{agent['name']}" for agent in listed["agents"]]


async def test_the_list_is_filtered_and_says_what_is_ready(gateway: World) -> None:
    gateway.agent("cart", url="http://x", skills=[skill("pay", tags=["money"])])
    gateway.agent("till", namespace="bank", url=None, description="Counts COINS")
    gateway.add(manifest("plain"), url="http://x")
    gateway.agent("hidden", url="http://x", endpoint={"discoveryEnabled": False})
    listed = (await (await gateway.request("GET", "/agents")).json())["agents"]
    assert [(agent["name"], agent["ready"]) for agent in listed] == [("till", False), ("cart", True)]
    assert listed[1]["skills"] == [{"id": "pay", "name": "Pay", "description": "Can pay."}]
    assert listed[1]["tags"] == ["money"]
    assert await names(gateway, "?namespace=bank") == ["bank/till"]
    assert await names(gateway, "?skill=pay") == ["shop/cart"]
    assert await names(gateway, "?tag=money") == ["shop/cart"]
    assert await names(gateway, "?q=coins") == ["bank/till"]
    assert await names(gateway, "?q=coins&skill=pay") == []


async def test_pages_hold_every_agent_once_though_one_is_removed_between_them(gateway: World) -> None:
    for n in range(7):
        gateway.agent(f"a{n}", url=None)
    seen: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        page = await (await gateway.request("GET", f"/agents?pageSize=3&pageToken={token}")).json()
        seen += [agent["name"] for agent in page["agents"]]
        token, pages = page["nextPageToken"], pages + 1
        gateway.directory.remove("shop", "a2")
    assert (seen, pages) == ([f"a{n}" for n in range(7)], 3)


@pytest.mark.parametrize("query", ["pageSize=0", "pageSize=x", "pageSize=1001", "pageToken=%21", "pageToken=YWI"])
async def test_a_page_that_cannot_be_is_refused(gateway: World, query: str) -> None:
    response = await gateway.request("GET", f"/agents?{query}")
    assert (response.status, response.content_type) == (400, "application/problem+json")


async def test_the_catalogue_links_every_endpoint_to_its_card(echo: World) -> None:
    response = await echo.request("GET", "/.well-known/api-catalog")
    assert response.headers["Content-Type"].startswith("application/linkset+json")
    own, agent = (await response.json())["linkset"]
    assert own["item"] == [{"href": f"{echo.url}{ECHO}/api/a2a"}]
    assert agent["anchor"] == own["item"][0]["href"]
    assert agent["describedby"][0]["href"] == f"{echo.url}{CARD}"
    head = await echo.request("HEAD", "/.well-known/api-catalog")
    assert 'rel="api-catalog"' in head.headers["Link"]


async def test_an_agent_that_is_hidden_has_no_card_and_is_still_callable(gateway: World, container: PlainAgent) -> None:
    gateway.agent(url=container.url, endpoint={"discoveryEnabled": False})
    assert (await gateway.request("GET", CARD)).status == 404
    assert (await gateway.request("POST", f"{ECHO}/api/a2a/skills/say", json={"text": "x"})).status == 200


async def test_unknown_agents_disabled_agents_and_unknown_paths_are_told_apart(gateway: World) -> None:
    gateway.add(manifest("plain"), url="http://x")
    gateway.agent(url="http://x")
    details = []
    for path in ("/agents/shop/nobody/x", "/agents/shop/plain/api/a2a", f"{ECHO}/else"):
        response = await gateway.request("GET", path)
        assert response.status == 404
        details.append((await response.json())["type"].rpartition(":")[2])
    assert details == ["unknown-agent", "a2a-disabled", "unknown-path"]


@pytest.mark.parametrize("host", ["echo-a2a.shop", "echo-a2a.shop.svc", "ECHO-A2A.shop.svc.cluster.local.:80"])
async def test_hosts_that_name_an_agent(echo: World, host: str) -> None:
    response = await echo.request("GET", "/.well-known/agent.json", headers={"Host": host.replace(".:", ":")})
    assert (response.status, (await response.json())["name"]) == (200, "echo")


@pytest.mark.parametrize("host", ["echo-a2a.bank", "echo-a2a.shop.other.domain", "gateway.example.com"])
async def test_hosts_that_name_none(echo: World, host: str) -> None:
    assert (await echo.request("GET", "/.well-known/agent.json", headers={"Host": host})).status == 404


async def test_a_bare_service_name_is_misdirected_and_told_its_full_names(echo: World, container: PlainAgent) -> None:
    echo.agent(namespace="bank", url=container.url)
    response = await echo.request("GET", "/.well-known/agent.json", headers={"Host": "echo-a2a"})
    assert (response.status, (await response.json())["hosts"]) == (421, ["echo-a2a.bank", "echo-a2a.shop"])
    echo.directory.remove("bank", "echo")
    echo.directory.remove("shop", "echo")
    echo.directory.remove("shop", "echo")
    assert len(echo.directory) == 0
    assert (await echo.request("GET", "/healthz", headers={"Host": "echo-a2a"})).status == 200
