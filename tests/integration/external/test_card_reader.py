"""Cards of external A2A servers, as they are read: found, checked, bounded, and asked for again by their ETag."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.parts.sdk_agents import sdk_agent
from tests.parts.upstream import PlainAgent, Seen, plain_agent

from lambdaagent.api.external import External
from lambdaagent.external import card_reader
from lambdaagent.external.card_reader import NoCardError, ReadCard
from lambdaagent.webhooks.address_check import not_metadata, public

WELL_KNOWN = "/.well-known/agent-card.json"
SECRET = [("Authorization", "Bearer ours")]


def card(base: str, **fields: Any) -> dict[str, Any]:
    interface = {"url": f"{base}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    return {"name": "p", "description": "d", "version": "1", "supportedInterfaces": [interface], **fields}


def serve(partner: PlainAgent, cards: dict[str, Any], **headers: str) -> None:
    def respond(seen: Seen) -> tuple[int, dict[str, str], bytes]:
        if seen.path not in cards:
            return 404, {}, b""
        if headers.get("ETag") and seen.headers.get("if-none-match") == headers["ETag"]:
            return 304, {}, b""
        body = cards[seen.path]
        return 200, headers, body if isinstance(body, bytes) else json.dumps(body).encode()

    partner.respond = respond


async def read(url: str, before: ReadCard | None = None, **fields: Any) -> ReadCard:
    external = External(url=url, **fields)
    return await card_reader.read(external, SECRET, before=before, seconds=10, check=lambda _: not_metadata)


async def refusal(url: str, **fields: Any) -> NoCardError:
    with pytest.raises(NoCardError) as found:
        await read(url, **fields)
    return found.value


@pytest.fixture
def partner() -> Iterator[PlainAgent]:
    with plain_agent() as found:
        yield found


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_a_server_of_the_sdk_is_called_where_its_card_says(version: str) -> None:
    with sdk_agent(version, here=True) as (url, _):
        found = await read(url)
    assert found.card.kept["endpoint"] == {"url": f"{url}/rpc", "protocolVersion": version, "streaming": True}
    assert [skill["id"] for skill in found.card.kept["skills"]] == ["say"]
    assert (found.card.other_origin, found.card.notes) == ("", ())


async def test_another_origin_is_named_and_not_followed() -> None:
    with sdk_agent("1.0") as (url, _):
        found = await read(f"{url}/rpc")
    assert found.card.kept["endpoint"]["url"] == f"{url}/rpc"
    assert found.card.other_origin == f"http://agent.invalid:{url.rpartition(':')[2]}"


async def test_an_unchanged_card_is_not_read_again(partner: PlainAgent) -> None:
    serve(partner, {WELL_KNOWN: card(partner.url)}, ETag='"7"')
    first = await read(f"{partner.url}/agents/one")
    partner.seen.clear()
    assert await read(f"{partner.url}/agents/one", first) is first
    (request,) = partner.seen  # at the place where it was, with its ETag
    assert (request.path, request.headers["if-none-match"]) == (WELL_KNOWN, '"7"')
    serve(partner, {WELL_KNOWN: card(partner.url, description="new")}, ETag='"8"')
    assert (await read(f"{partner.url}/agents/one", first)).card.kept["description"] == "new"


async def test_a_card_below_the_url_comes_before_that_of_the_root(partner: PlainAgent) -> None:
    here = card(partner.url, description="one")
    serve(partner, {f"/agents/one{WELL_KNOWN}": here, WELL_KNOWN: card(partner.url)})
    assert (await read(f"{partner.url}/agents/one?tenant=a")).card.kept["description"] == "one"


async def test_secret_headers_go_to_the_own_origin_alone(partner: PlainAgent) -> None:
    with plain_agent() as other:
        serve(other, {"/card": card(partner.url)})
        serve(partner, {"/card": card(partner.url)})
        found = await read(partner.url, card_url=f"{other.url}/card")
        await read(partner.url, card_url=f"{partner.url}/card")
        assert found.card.kept["endpoint"]["url"] == f"{partner.url}/rpc"
        assert "authorization" not in other.seen[0].headers
        assert partner.seen[0].headers["authorization"] == "Bearer ours"


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        pytest.param(b"<html>", "NoCard", "is not JSON, or nested too deeply", id="not JSON"),
        pytest.param(b"[" * 100_000, "NoCard", "is not JSON, or nested too deeply", id="deep"),
        pytest.param(b"[1]", "CardInvalid", "its agent card is not an object", id="a list"),
        pytest.param(b"{}", "CardInvalid", "offers no JSON-RPC interface of A2A 1.0 or 0.3", id="no interface"),
        pytest.param(
            b'{"supportedInterfaces": 7, "url": ["x"], "capabilities": "yes"}', "CardInvalid", "no JSON-RPC", id="types"
        ),
        pytest.param(b" " * (10 * 1024 * 1024), "CardInvalid", "is larger than 1048576 bytes", id="10 MB"),
    ],
)
async def test_a_card_that_is_none_is_named(partner: PlainAgent, body: bytes, reason: str, words: str) -> None:
    serve(partner, {WELL_KNOWN: body, "/.well-known/agent.json": body})
    found = await refusal(partner.url)
    assert found.reason == reason
    assert words in str(found)


async def test_10_000_skills_and_wrong_types_are_bounded_and_named(partner: PlainAgent) -> None:
    skills = [{"id": f"s{number}", "name": "S", "description": 5, "tags": "no"} for number in range(10_000)]
    capabilities = {"extensions": [{"uri": 5}, {"uri": "urn:a"}]}
    serve(partner, {WELL_KNOWN: card(partner.url, skills=skills, capabilities=capabilities, name=5, version=None)})
    found = (await read(partner.url)).card
    assert len(found.kept["skills"]) == 128
    assert found.kept["extensions"] == [{"uri": "urn:a"}]
    assert found.notes[:2] == ("name is not a text", "version is not a text")
    assert found.notes[2].startswith("of 10000 skills, 128 are used")
    assert found.notes[3].startswith("of 2 extensions, 1 are used")


async def test_a_redirect_is_named_and_not_followed(partner: PlainAgent) -> None:
    with plain_agent() as other:
        serve(other, {WELL_KNOWN: card(other.url)})
        partner.respond = lambda _: (302, {"Location": f"{other.url}{WELL_KNOWN}"}, b"")
        assert f"{WELL_KNOWN} answers 302, and redirects are not followed" in str(await refusal(partner.url))
        assert other.seen == []


async def test_a_compressed_card_is_refused(partner: PlainAgent) -> None:
    serve(partner, {WELL_KNOWN: b"\x1f\x8b"}, **{"Content-Encoding": "gzip"})
    assert "its agent card is compressed" in str(await refusal(partner.url))


async def test_a_server_that_wants_a_credential_is_named(partner: PlainAgent) -> None:
    partner.respond = lambda _: (401, {}, b"")
    found = str(await refusal(partner.url))
    assert f"{WELL_KNOWN} answers 401" in found
    assert found.endswith("give a credential with external.headersFrom")
    assert "ours" not in found


async def test_a_server_that_is_away_and_a_private_address_are_named(partner: PlainAgent) -> None:
    gone = await refusal("http://127.0.0.1:1/")
    assert (gone.reason, str(gone).partition(";")[0]) == ("ServerUnreachable", "Connection refused")
    serve(partner, {WELL_KNOWN: card(partner.url)})
    with pytest.raises(NoCardError, match=r"127\.0\.0\.1 is not a public address"):
        await card_reader.read(External(url=partner.url), seconds=10, check=public())
    assert partner.seen == []


@pytest.mark.parametrize(
    "url", ["//[", "https://[::1", "/rpc", "file:///etc/passwd", "http://a b/", "http://127.0.0.1:99999/", "x" * 5000]
)
async def test_an_interface_that_is_no_url_is_not_followed(partner: PlainAgent, url: str) -> None:
    interface = {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    serve(partner, {WELL_KNOWN: card(partner.url, supportedInterfaces=[interface])})
    found = (await read(f"{partner.url}/here")).card
    assert found.kept["endpoint"]["url"] == f"{partner.url}/here"
    assert found.other_origin
