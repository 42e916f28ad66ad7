"""The AI Catalog and the search interface of ARD: what clients of other makers expect, and what each caller may see."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.parts import ard_rules
from tests.parts.access import guarded, of
from tests.parts.gateway import Answer, World, skill, world
from tests.parts.issuer import Issuer

from lambdaagent.coordination.catalog_names import CatalogNames
from lambdaagent.gateway.discovery import ai_catalog

PUBLISHER = "agents.example.com"
PEERS = ("https://eu.example.org/ard", "http://registry.example.net:8080/api/v1")
CARD = "application/a2a-agent-card+json"


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world(catalog=CatalogNames(PUBLISHER), peers=PEERS) as found:
        examples = ["Refund my last invoice", "Was invoice 7 paid?", "x" * 500]
        found.agent("billing", url="http://x", skills=[skill("pay", tags=["invoice"], examples=examples)])
        found.agent("clerk", url="http://x", skills=[skill("invoice", tags=["office"], examples=["One"])])
        found.agent("sleeper", url=None, skills=[skill("nap", tags=["invoice"])])
        found.agent("hidden", url="http://x", endpoint={"discoveryEnabled": False})
        found.agent("secretive", url="http://x", skills=[skill("a"), skill("invoice-b")], privateSkills=["invoice-b"])
        yield found


async def get(gateway: World, path: str, **headers: str) -> Any:
    answer = await gateway.request("GET", path, headers=headers)
    assert answer.status == 200, answer.body
    return await answer.json()


async def search(gateway: World, text: str = "invoice", **more: Any) -> Answer:
    query = {"text": text, **({"filter": more.pop("filter")} if "filter" in more else {})}
    return await gateway.request("POST", "/ard/search", json={"query": query, **more})


def names(found: Any) -> list[str]:
    return [each["displayName"] for each in found]


@pytest.mark.parametrize("path", ["/.well-known/ai-catalog.json", "/.well-known/ard.json"])
async def test_the_catalogue_passes_the_rules_of_the_checker(gateway: World, path: str) -> None:
    answer = await gateway.request("GET", path)
    assert (answer.status, answer.content_type) == (200, "application/ai-catalog+json")
    found = await answer.json()
    assert ard_rules.manifest(found) == []
    assert found["host"] == {"displayName": PUBLISHER, "identifier": PUBLISHER}
    own, eu, net, *agents = found["entries"]
    assert (own["identifier"], own["url"]) == (f"urn:air:{PUBLISHER}:registry", f"{gateway.url}/ard/")
    assert (eu["identifier"], eu["url"]) == ("urn:air:eu.example.org:registry", "https://eu.example.org/ard/")
    assert net["identifier"] == "urn:air:registry.example.net:registry.api.v1"
    assert {each["type"] for each in (own, eu, net)} == {ard_rules.REGISTRY}
    assert names(agents) == ["billing", "clerk", "secretive", "sleeper"]
    assert agents[0]["identifier"] == f"urn:air:{PUBLISHER}:shop:billing"
    assert agents[0]["representativeQueries"] == ["Refund my last invoice", "Was invoice 7 paid?"]
    assert "representativeQueries" not in agents[1], "the schema refuses a list of one"
    assert agents[2]["capabilities"] == ["a"], "a private skill is in no list"
    card = await gateway.request("GET", agents[0]["url"].removeprefix(gateway.url))
    assert (await card.json())["name"] == "billing"


async def test_without_a_publisher_the_catalogue_has_local_names() -> None:
    async with world(peers=PEERS) as gateway:
        gateway.agent("billing", url="http://x")
        found = await get(gateway, "/.well-known/ai-catalog.json")
        assert b"urn:air:" not in (await gateway.request("GET", "/.well-known/ai-catalog.json")).body
        assert "identifier" not in found["host"]
        (listed,) = (await get(gateway, "/ard/agents"))["items"]
        assert listed == found["entries"][-1]
        assert listed["identifier"] == "urn:lambdaagent:local:shop:billing"
        assert await get(gateway, f"/ard/agents/{listed['identifier']}") == listed


async def test_a_long_catalogue_goes_on_in_another(monkeypatch: pytest.MonkeyPatch, gateway: World) -> None:
    monkeypatch.setattr(ai_catalog, "PAGE", 2)
    path, found = "/.well-known/ai-catalog.json", []
    for _ in range(5):
        document = await get(gateway, path)
        assert ard_rules.manifest(document) == []
        found += [each for each in document["entries"] if each["type"] == CARD]
        last = document["entries"][-1]
        if last["type"] != "application/ai-catalog+json":
            break
        path = last["url"].removeprefix(gateway.url)
    assert names(found) == ["billing", "clerk", "secretive", "sleeper"]
    assert "registry" not in str(document), "the registries are in the first part only"


async def test_a_search_ranks_and_explains(gateway: World) -> None:
    found = await (await search(gateway)).json()
    assert ard_rules.search(found, referrals=False) == []
    # Those that can be called come first among equals; the private skill is not found.
    assert [(each["displayName"], each["score"]) for each in found["results"]] == [
        ("billing", 100), ("sleeper", 100), ("clerk", 50),
    ]  # fmt: skip
    assert found["results"][0]["metadata"] == {"why": "words of the question in its tags: invoice", "skill": "pay"}
    assert found["results"][0]["source"] == f"{gateway.url}/ard"
    assert "representativeQueries" not in found["results"][0]
    again = await (await search(gateway)).json()
    assert again == found


async def test_a_search_has_pages_without_gaps(gateway: World) -> None:
    token, found = "", []
    for _ in range(5):
        page = await (await search(gateway, pageSize=1, pageToken=token)).json()
        found += names(page["results"])
        token = page.get("pageToken", "")
        if not token:
            break
    assert found == ["billing", "sleeper", "clerk"]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ({"type": [CARD], "publisher": PUBLISHER}, ["billing", "sleeper", "clerk"]),
        ({"type": "application/mcp-server-card+json"}, []),
        ({"tags": ["office"]}, ["clerk"]),
        ({"capabilities": ["nap", "pay"]}, ["billing", "sleeper"]),
    ],
)
async def test_a_search_is_filtered(gateway: World, filter_: Any, expected: list[str]) -> None:
    found = await (await search(gateway, filter=filter_)).json()
    assert names(found["results"]) == expected


async def test_an_agent_is_found_by_its_own_words(gateway: World) -> None:
    gateway.agent("weatherman", url="http://x", skills=[], description="Tells whether umbrellas help")
    assert names((await (await search(gateway, "weatherman")).json())["results"]) == ["weatherman"]
    assert (await (await search(gateway, "zzz and the")).json()) == {"results": []}


async def test_other_registries_are_referred_to(gateway: World) -> None:
    found = await (await search(gateway, federation="referrals")).json()
    assert ard_rules.search(found, referrals=True) == []
    assert [each["url"] for each in found["referrals"]] == [f"{url}/search" for url in PEERS]
    for federation in ("auto", "none"):
        assert "referrals" not in await (await search(gateway, federation=federation)).json()


async def test_registries_in_a_circle_are_asked_once_each() -> None:
    """A client that follows every referral ends, because a registry has one identifier and asks nobody itself."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(world(catalog=CatalogNames("a.example.com")))
        second = await stack.enter_async_context(
            world(catalog=CatalogNames("b.example.com"), peers=[f"{first.url}/ard"])
        )
        third = await stack.enter_async_context(
            world(catalog=CatalogNames("c.example.com"), peers=[f"{second.url}/ard", f"{first.url}/ard"])
        )
        for number, each in enumerate((first, second, third)):
            each.agent(f"agent-{number}", url="http://x", skills=[skill("pay", tags=["invoice"])])
        asked: set[str] = set()
        left, found = [f"{third.url}/ard/search"], []
        while left:
            url = left.pop()
            if url in asked:
                continue
            asked.add(url)
            body = {"query": {"text": "invoice"}, "federation": "referrals"}
            async with third.session.post(url, json=body) as response:
                page = await response.json()
            found += names(page["results"])
            left += [each["url"] for each in page["referrals"]]
        assert sorted(found) == ["agent-0", "agent-1", "agent-2"]
        assert len(asked) == 3


async def test_the_list_has_pages_and_a_filter(gateway: World) -> None:
    found = await get(gateway, "/ard/agents")
    assert ard_rules.listed(found) == []
    assert names(found["items"]) == ["billing", "clerk", "secretive", "sleeper"]
    first = await get(gateway, "/ard/agents?pageSize=3")
    rest = await get(gateway, f"/ard/agents?pageSize=3&pageToken={first['pageToken']}")
    assert first["items"] + rest["items"] == found["items"]
    assert "pageToken" not in rest
    asked = "/ard/agents?filter=type%20%3D%20'application/a2a-agent-card%2Bjson'%20AND%20tags%20%3D%20office"
    assert names((await get(gateway, asked))["items"]) == ["clerk"]


async def test_an_entry_is_looked_up_by_its_whole_identifier(gateway: World) -> None:
    (entry, *_) = (await get(gateway, "/ard/agents"))["items"]
    assert await get(gateway, "/ard/agents/" + entry["identifier"].replace(":", "%3A")) == entry
    for identifier in ("urn:air:ard-conformance.invalid:probe:not-found", f"urn:air:{PUBLISHER}:shop:hidden"):
        answer = await gateway.request("GET", f"/ard/agents/{identifier}")
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-cache")
        assert ard_rules.error(await answer.json(), "NOT_FOUND") == []
    answer = await gateway.request("GET", "/ard/agents/not-a-valid-ard-urn")
    assert answer.status == 400
    assert ard_rules.error(await answer.json(), "INVALID_ARGUMENT") == []


@pytest.mark.parametrize("path", ["/.well-known/ai-catalog.json", "/ard/agents"])
async def test_an_unchanged_list_is_not_sent_again(gateway: World, path: str) -> None:
    first = await gateway.request("GET", path)
    same = await gateway.request("GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status, same.body) == (304, b"")
    gateway.agent("new", url="http://x")
    changed = await gateway.request("GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/ard/search", {"data": b"{"}),
        ("POST", "/ard/search", {"data": b"[" * 100_000}),
        ("POST", "/ard/search", {"json": {"query": {"text": "x", "filter": {"score": ["1"]}}}}),
        ("POST", "/ard/search", {"json": {"query": {"text": "x"}, "pageToken": "x"}}),
        ("GET", "/ard/agents?pageSize=x", {}),
        ("GET", "/ard/agents?pageToken=x", {}),
        ("GET", "/ard/agents?orderBy=displayName", {}),
        ("GET", "/ard/agents?filter=createdAfter%20%3E%201", {}),
    ],
)
async def test_bad_requests_have_the_codes_of_ard(gateway: World, method: str, path: str, sent: Any) -> None:
    answer = await gateway.request(method, path, **sent)
    assert answer.status == 400, answer.body
    problem = await answer.json()
    assert ard_rules.error(problem, "INVALID_ARGUMENT") == []
    assert problem["message"] == problem["detail"]


async def test_each_caller_finds_what_it_may_see(tmp_path: Path, issuer: Issuer) -> None:
    async with guarded(tmp_path / "access.yaml", {"issuers": [issuer.configured()]}) as gateway:
        gateway.agent("echo", url="http://x", access={"grants": [{"principals": ["corp:alice"]}]})
        gateway.agent("vault", url="http://x", access={"grants": [{"principals": ["corp:root"]}]})
        alice, eve = of(issuer, "alice"), of(issuer, "eve")
        for headers, expected in ((alice, ["echo"]), (eve, []), ({}, [])):
            catalogue = await get(gateway, "/.well-known/ai-catalog.json", **headers)
            assert names(each for each in catalogue["entries"] if each["type"] == CARD) == expected
            assert names((await get(gateway, "/ard/agents", **headers))["items"]) == expected
            body = {"query": {"text": "talk"}}
            found = await gateway.request("POST", "/ard/search", json=body, headers=headers)
            assert names((await found.json())["results"]) == expected
            looked_up = await gateway.request("GET", "/ard/agents/urn:lambdaagent:local:shop:echo", headers=headers)
            assert looked_up.status == (200 if expected else 404)
        tags = [(await gateway.request("GET", "/ard/agents", headers=each)).headers["ETag"] for each in (alice, eve)]
        assert tags[0] != tags[1]
        refused = await gateway.request("GET", "/ard/agents", headers={"Authorization": "Bearer nonsense"})
        assert refused.status == 401
        assert ard_rules.error(await refused.json(), "UNAUTHENTICATED") == []
