"""Issuers over real HTTP: keys that change, and all the ways in which an issuer fails. The clock is the test's."""

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs
from tests.parts.access import guarded, of
from tests.parts.authority import authority
from tests.parts.clocks import SetClock
from tests.parts.gateway import message
from tests.parts.http_servers import serving
from tests.parts.issuer import Issuer, ec_key, issuing, jwk, rsa_key
from tests.parts.polling import eventually
from tests.parts.tokens import segment
from tests.parts.upstream import plain_agent

from lambdaagent import trust as trusts
from lambdaagent.access.installation import Installation
from lambdaagent.access.principal import Principal
from lambdaagent.gateway.access.loading import AccessFile
from lambdaagent.identity import fetching
from lambdaagent.identity.errors import CredentialError, IdentityUnavailableError
from lambdaagent.identity.fetching import KeyFetcher
from lambdaagent.identity.jwks import COOL_DOWN, FRESH, STALE
from lambdaagent.identity.verifier import Verifier, sources
from lambdaagent.trust import SYSTEM, Trust

ONE, TWO, THREE = ec_key(51), ec_key(52), ec_key(53)


@pytest.fixture
def time() -> SetClock:
    return SetClock()


@pytest.fixture
async def issuer(time: SetClock) -> AsyncIterator[Issuer]:
    async with issuing(key=ONE, now=lambda: time.time) as found:
        yield found


@asynccontextmanager
async def verifying(time: SetClock, *issuers: dict[str, Any], trust: Trust = SYSTEM) -> AsyncIterator[Verifier]:
    """Yields a verifier as an access file with these issuers makes it."""
    fetcher = KeyFetcher(trust)
    made = sources(
        Installation.model_validate({"issuers": list(issuers)}),
        fetcher=fetcher,
        clock=time.clock,
        reviews=None,
        signer=None,
    )
    try:
        yield Verifier(made, time.clock)
    finally:
        for _, jwks in made.issuers:
            await jwks.close()
        await fetcher.close()


@pytest.fixture
async def verifier(time: SetClock, issuer: Issuer) -> AsyncIterator[Verifier]:
    async with verifying(time, issuer.configured()) as found:
        yield found


_numbers = itertools.count()


def fresh(issuer: Issuer, subject: str = "alice", **more: Any) -> str:
    """Returns a token that nobody has seen: a verified one is remembered for a minute."""
    return issuer.token(subject, jti=str(next(_numbers)), **more)


def unknown(issuer: Issuer, number: int) -> str:
    """Returns a token with a key id that the issuer does not have; its signature is none."""
    header = {"alg": "ES256", "kid": f"unknown-{number}"}
    return f"{segment(header)}.{segment(issuer.claims())}.{segment(bytes(64))}"


async def reason(verifier: Verifier, token: str) -> str:
    with pytest.raises(CredentialError) as caught:
        await verifier.principal(token)
    return caught.value.reason


async def unavailable(verifier: Verifier, issuer: Issuer) -> str:
    """Returns why the keys could not be fetched, as it is logged."""
    with capture_logs() as lines, pytest.raises(IdentityUnavailableError) as caught:
        await verifier.principal(fresh(issuer))
    assert str(caught.value) == "the keys of the issuer corp cannot be fetched"  # no address for the caller
    (line,) = [line for line in lines if line["event"] == "jwks.fetch_failed"]
    assert (line["issuer"], line["log_level"]) == ("corp", "warning")
    found: str = line["error"]
    return found


async def refetched(verifier: Verifier) -> None:
    """Waits for a fetch in the background."""
    (_, jwks), *_ = verifier.sources.issuers
    await eventually(lambda: jwks._fetching is None)


async def test_keys_are_fetched_once_by_the_discovery_document(verifier: Verifier, issuer: Issuer) -> None:
    assert (issuer.discovered, issuer.fetched) == (0, 0)  # a start needs no issuer
    for subject in ("alice", "bob"):
        assert (await verifier.principal(fresh(issuer, subject))).name == f"corp:{subject}"
    assert (issuer.discovered, issuer.fetched) == (1, 1)


async def test_a_configured_address_of_keys_needs_no_discovery(time: SetClock, issuer: Issuer) -> None:
    async with verifying(time, issuer.configured(jwks=f"{issuer.url}/keys")) as verifier:
        assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
    assert (issuer.discovered, issuer.fetched) == (0, 1)


async def test_a_new_key_is_accepted_after_the_cool_down(verifier: Verifier, issuer: Issuer, time: SetClock) -> None:
    await verifier.principal(fresh(issuer))
    old = fresh(issuer)
    issuer.rotate("two", TWO)
    for _ in range(3):
        assert await reason(verifier, fresh(issuer)) == "unknown-key"
    time.forward(COOL_DOWN - 0.1)
    assert await reason(verifier, fresh(issuer)) == "unknown-key"
    assert issuer.fetched == 1
    time.forward(0.1)
    assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
    assert issuer.fetched == 2
    assert await reason(verifier, old) == "unknown-key"  # the new set has the new key alone


async def test_an_old_key_is_accepted_as_long_as_it_is_published(
    verifier: Verifier, issuer: Issuer, time: SetClock
) -> None:
    await verifier.principal(fresh(issuer))
    old = fresh(issuer)
    issuer.rotate("two", TWO, keep=True)
    time.forward(COOL_DOWN)
    assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
    assert (await verifier.principal(old)).name == "corp:alice"


async def test_another_key_under_the_known_id_is_noticed_when_the_keys_are_fetched_again(
    verifier: Verifier, issuer: Issuer, time: SetClock
) -> None:
    await verifier.principal(fresh(issuer))
    issuer.rotate("one", TWO)
    assert await reason(verifier, fresh(issuer)) == "bad-signature"
    time.forward(FRESH + 1)
    assert await reason(verifier, fresh(issuer)) == "bad-signature"
    await refetched(verifier)
    assert (await verifier.principal(fresh(issuer))).name == "corp:alice"


async def test_keys_that_are_removed_disappear(verifier: Verifier, issuer: Issuer, time: SetClock) -> None:
    await verifier.principal(fresh(issuer))
    issuer.published = [jwk(TWO, "two")]
    time.forward(FRESH + 1)
    await verifier.principal(fresh(issuer))  # this request begins the fetch
    await refetched(verifier)
    assert issuer.fetched == 2
    assert await reason(verifier, fresh(issuer)) == "unknown-key"


async def test_a_remembered_token_outlives_its_key_by_a_minute_at_most(
    verifier: Verifier, issuer: Issuer, time: SetClock
) -> None:
    token = fresh(issuer)
    await verifier.principal(token)
    issuer.rotate("two", TWO)
    time.forward(COOL_DOWN)
    await verifier.principal(fresh(issuer))
    await verifier.principal(token)
    time.forward(31)
    assert await reason(verifier, token) == "unknown-key"


async def test_ten_thousand_unknown_key_ids_cause_one_fetch_in_30_seconds(
    verifier: Verifier, issuer: Issuer, time: SetClock
) -> None:
    await verifier.principal(fresh(issuer))
    began, numbers = time.time, iter(range(10_000))
    for _ in range(100):  # 100 s with 100 tokens each
        time.forward(1)
        found = await asyncio.gather(
            *(verifier.principal(unknown(issuer, number)) for number in itertools.islice(numbers, 100)),
            return_exceptions=True,
        )
        assert {getattr(each, "reason", each) for each in found} == {"unknown-key"}
    assert next(numbers, None) is None
    assert issuer.fetched <= 1 + (time.time - began) // COOL_DOWN
    assert issuer.fetched > 1
    assert (await verifier.principal(fresh(issuer))).name == "corp:alice"


async def test_unknown_key_ids_at_once_share_one_fetch(verifier: Verifier, issuer: Issuer, time: SetClock) -> None:
    await verifier.principal(fresh(issuer))
    time.forward(COOL_DOWN)
    issuer.opened = asyncio.Event()
    attack = [asyncio.create_task(verifier.principal(unknown(issuer, number))) for number in range(500)]
    await eventually(lambda: issuer.fetched == 2)
    # Callers with a known key do not wait for what the others cause.
    assert (await asyncio.wait_for(verifier.principal(fresh(issuer)), 5)).name == "corp:alice"
    assert not any(task.done() for task in attack)
    issuer.opened.set()
    found = await asyncio.gather(*attack, return_exceptions=True)
    assert {getattr(each, "reason", each) for each in found} == {"unknown-key"}
    assert issuer.fetched == 2


async def test_many_first_requests_to_a_slow_issuer_cause_one_fetch_and_all_succeed(
    verifier: Verifier, issuer: Issuer
) -> None:
    issuer.opened = asyncio.Event()
    first = [asyncio.create_task(verifier.principal(fresh(issuer))) for _ in range(100)]
    await eventually(lambda: issuer.fetched == 1)
    late = [asyncio.create_task(verifier.principal(fresh(issuer))) for _ in range(100)]
    first[0].cancel()
    await asyncio.sleep(0)
    issuer.opened.set()
    found = await asyncio.gather(*first[1:], *late)
    assert {each.name for each in found} == {"corp:alice"}
    assert (issuer.discovered, issuer.fetched) == (1, 1)


async def test_an_issuer_that_is_down_keeps_its_last_good_keys_for_a_day(
    verifier: Verifier, issuer: Issuer, time: SetClock
) -> None:
    await verifier.principal(fresh(issuer))
    issuer.status = 500
    began = time.time
    with capture_logs() as lines:
        while time.time - began + 600 <= STALE:
            time.forward(600)
            assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
            await refetched(verifier)
    tries = [line for line in lines if line["event"] == "jwks.fetch_failed"]
    assert len(tries) == issuer.fetched - 1 == STALE // 600
    assert all(line["kept"] == 1 for line in tries)
    assert await reason(verifier, unknown(issuer, 1)) == "unknown-key"
    time.forward(601)
    with pytest.raises(IdentityUnavailableError):
        await verifier.principal(fresh(issuer))
    issuer.status = 200
    time.forward(1)
    assert (await verifier.principal(fresh(issuer))).name == "corp:alice"


async def test_an_issuer_that_is_down_is_not_asked_by_every_request(
    verifier: Verifier, issuer: Issuer, time: SetClock
) -> None:
    await verifier.principal(fresh(issuer))
    issuer.status = 503
    time.forward(FRESH + 1)
    for _ in range(60):
        time.forward(1)
        await verifier.principal(fresh(issuer))
        await refetched(verifier)
    assert issuer.fetched <= 1 + 1 + 60 // COOL_DOWN


async def test_a_first_fetch_that_fails_is_tried_again_after_a_second(
    verifier: Verifier, issuer: Issuer, time: SetClock
) -> None:
    issuer.status = 500
    assert "answers 500" in await unavailable(verifier, issuer)
    issuer.status = 200
    for _ in range(20):
        with pytest.raises(IdentityUnavailableError):
            await verifier.principal(fresh(issuer))
    assert issuer.fetched == 1
    time.forward(1)
    assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
    assert issuer.fetched == 2


async def test_an_expired_token_or_one_for_others_needs_no_key(verifier: Verifier, issuer: Issuer) -> None:
    """Whoever sends rubbish must not make the gateway call the issuer."""
    assert await reason(verifier, fresh(issuer, exp=1)) == "expired"
    assert await reason(verifier, fresh(issuer, aud="other")) == "wrong-audience"
    assert await reason(verifier, fresh(issuer, header={"typ": "logout+jwt"})) == "wrong-type"
    assert issuer.discovered == issuer.fetched == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"issuer": "https://evil.example"}, "names another issuer", id="another issuer"),
        pytest.param({"issuer": None}, "names another issuer", id="no issuer"),
        pytest.param({"issuer": ["x"]}, "names another issuer", id="a list of issuers"),
        pytest.param({"jwks_uri": None}, "has no jwks_uri", id="no address of keys"),
        pytest.param({"jwks_uri": ["https://a.example/keys"]}, "has no jwks_uri", id="a list of addresses"),
        pytest.param({"jwks_uri": "http://example.com/keys"}, "must be an https URL", id="http on a foreign host"),
        pytest.param({"jwks_uri": "http://10.0.0.1/keys"}, "must be an https URL", id="http in the cluster"),
        pytest.param({"jwks_uri": "file:///etc/passwd"}, "must be an https URL", id="a file"),
        pytest.param({"jwks_uri": "/etc/passwd"}, "must be an https URL", id="a path"),
        pytest.param({"jwks_uri": "https://u:p@example.com/keys"}, "must be an https URL", id="a password"),
        pytest.param({"jwks_uri": "https://169.254.1.1/keys"}, "is link-local", id="link-local, as metadata is"),
        pytest.param({"jwks_uri": "https://[::ffff:a9fe:101]/keys"}, "is link-local", id="the same, as IPv6"),
        pytest.param({"jwks_uri": "https://[fe80::1]/keys"}, "is link-local", id="link-local, as IPv6"),
        pytest.param({"jwks_uri": "https://["}, "", id="half an address"),
        pytest.param({"jwks_uri": "x" * 300_000}, "over the limit", id="huge"),
    ],
)
async def test_a_discovery_document_that_leads_elsewhere_is_refused(
    verifier: Verifier, issuer: Issuer, changes: dict[str, Any], why: str
) -> None:
    issuer.document = changes
    assert why in await unavailable(verifier, issuer)
    assert (issuer.discovered, issuer.fetched) == (1, 0)


BODIES = [
    pytest.param(b" " * (256 * 1024 + 1), {}, "over the limit", id="too large"),
    pytest.param(gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}, "", id="too large when unpacked"),
    pytest.param(b"\x1f\x8b rubbish", {"Content-Encoding": "gzip"}, "", id="cannot be unpacked"),
    pytest.param(b"<html>", {}, "", id="a page"),
    pytest.param(b"[" * 10_000 + b"]" * 10_000, {}, "", id="deep"),
    pytest.param(b'{"keys":[' + b"0," * 100_000 + b"0]}", {}, "the limit is 100", id="too many keys"),
    pytest.param(b'{"keys":{}}', {}, "not a JSON Web Key Set", id="no list"),
    pytest.param(b"", {}, "", id="nothing"),
]


@pytest.mark.parametrize(("body", "headers", "why"), BODIES)
async def test_keys_that_are_none_are_refused_and_the_known_ones_kept(
    verifier: Verifier, issuer: Issuer, time: SetClock, body: bytes, headers: dict[str, str], why: str
) -> None:
    issuer.body, issuer.headers = body, headers
    assert why in await unavailable(verifier, issuer)
    issuer.body, issuer.headers = None, {}
    time.forward(1)
    await verifier.principal(fresh(issuer))
    issuer.body, issuer.headers = body, headers
    time.forward(FRESH + 1)
    await verifier.principal(fresh(issuer))
    await refetched(verifier)
    assert issuer.fetched == 3
    assert (await verifier.principal(fresh(issuer))).name == "corp:alice"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(verifier: Verifier, issuer: Issuer, status: int) -> None:
    async with issuing(key=ONE) as other:
        issuer.status, issuer.headers = status, {"Location": f"{other.url}/keys"}
        assert f"answers {status}" in await unavailable(verifier, issuer)
        assert other.fetched == 0


@pytest.mark.parametrize("status", [201, 204, 206, 304, 401, 404, 500])
async def test_only_a_plain_response_has_keys(verifier: Verifier, issuer: Issuer, status: int) -> None:
    issuer.status = status
    assert f"answers {status}" in await unavailable(verifier, issuer)


async def test_an_issuer_that_never_answers_is_given_up(
    verifier: Verifier, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_SECONDS", 0.2)
    issuer.opened = asyncio.Event()
    assert "cannot be fetched" in await unavailable(verifier, issuer)
    issuer.opened.set()


async def test_an_issuer_that_sends_without_end_is_given_up(time: SetClock, issuer: Issuer) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)

    app = web.Application()
    app.router.add_get("/keys", endless)
    async with serving(app) as url, verifying(time, issuer.configured(jwks=f"{url}/keys")) as verifier:
        assert "over the limit" in await unavailable(verifier, issuer)


async def test_an_issuer_that_is_not_there_is_unavailable(time: SetClock, issuer: Issuer, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/keys"
    async with verifying(time, issuer.configured(jwks=url)) as verifier:
        assert "Connection refused" in await unavailable(verifier, issuer)


async def test_cookies_and_proxies_of_the_environment_have_no_part(
    verifier: Verifier, issuer: Issuer, time: SetClock, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_tcp_port}")
    issuer.headers = {"Set-Cookie": "a=b"}
    await verifier.principal(fresh(issuer))
    time.forward(FRESH + 1)
    await verifier.principal(fresh(issuer))
    await refetched(verifier)
    assert issuer.fetched == 2


async def test_https_needs_a_certificate_that_is_trusted(time: SetClock, tmp_path: Path) -> None:
    made = authority(tmp_path)
    async with issuing(tls=made.server(), key=ONE, now=lambda: time.time) as issuer:
        assert issuer.url.startswith("https://")
        async with verifying(time, issuer.configured()) as verifier:
            assert "certificate verification failed" in await unavailable(verifier, issuer)
        assert issuer.discovered == 0
        async with verifying(time, issuer.configured(), trust=trusts.read(str(made.ca))) as verifier:
            assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
            # A document that came over https does not lead to http, not even on this machine.
            issuer.document = {"jwks_uri": f"{issuer.url.replace('https', 'http')}/keys"}
            time.forward(STALE + 1)
            assert "must be an https URL" in await unavailable(verifier, issuer)


async def test_keys_of_a_file_are_those_of_its_content(time: SetClock, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    issuer = Issuer(url="corp's own", key=ONE, now=lambda: time.time)
    async with verifying(time, issuer.configured(jwks=str(file))) as verifier:
        assert "No such file" in await unavailable(verifier, issuer)
        file.write_bytes(b" " * 300_000)
        time.forward(1)
        assert "over the limit of 256 KiB" in await unavailable(verifier, issuer)
        file.write_bytes(orjson.dumps({"keys": issuer.published}))
        time.forward(1)
        assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
        issuer.rotate("two", TWO)
        file.write_bytes(orjson.dumps({"keys": issuer.published}))
        assert await reason(verifier, fresh(issuer)) == "unknown-key"
        time.forward(COOL_DOWN)
        assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
        file.write_bytes(b" " * 300_000 + orjson.dumps({"keys": [jwk(THREE, "three")]}))
        time.forward(FRESH + 1)
        assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
        await refetched(verifier)
        assert (await verifier.principal(fresh(issuer))).name == "corp:alice"  # a file over the limit is not read


async def test_two_issuers_do_not_share_keys_or_fail_together(time: SetClock, issuer: Issuer) -> None:
    async with (
        issuing(key=TWO, now=lambda: time.time) as other,
        verifying(time, issuer.configured(), other.configured("other")) as verifier,
    ):
        assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
        assert (await verifier.principal(fresh(other))).name == "other:alice"
        forged = fresh(other, iss=issuer.url)  # both call their key `one`
        assert await reason(verifier, forged) == "bad-signature"
        other.rotate("theirs", TWO)
        assert await reason(verifier, fresh(other, iss=issuer.url)) == "unknown-key"
        other.status = 500
        time.forward(STALE + 1)
        with pytest.raises(IdentityUnavailableError):
            await verifier.principal(fresh(other))
        assert (await verifier.principal(fresh(issuer))).name == "corp:alice"


async def test_rsa_and_ec_keys_of_one_issuer_are_both_accepted(
    verifier: Verifier, issuer: Issuer, time: SetClock
) -> None:
    issuer.rotate("rsa", rsa_key(51), keep=True)
    assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
    issuer.kid, issuer.key = "one", ONE
    assert (await verifier.principal(fresh(issuer))).name == "corp:alice"
    assert issuer.fetched == 1


@pytest.fixture
def container() -> Iterator[str]:
    with plain_agent() as agent:
        yield agent.url


GRANTS = [
    pytest.param({"groups": ["corp:platform"]}, {"realm_access": {"roles": ["platform"]}}, True, id="a nested group"),
    pytest.param({"groups": ["platform"]}, {"realm_access": {"roles": ["platform"]}}, False, id="without its issuer"),
    pytest.param({"groups": ["corp:platform"]}, {"groups": ["platform"]}, False, id="a group in another claim"),
    pytest.param({"groups": ["corp:platform"]}, {"realm_access": {"roles": "platform"}}, True, id="a text as group"),
    pytest.param({"claims": {"team": ["payments"]}}, {"team": ["search", "payments"]}, True, id="a claim in a list"),
    pytest.param({"claims": {"team": ["payments"]}}, {"team": "payments"}, True, id="a claim as a text"),
    pytest.param({"claims": {"team": ["payments"]}}, {"team": {"payments": True}}, False, id="a claim as an object"),
    pytest.param({"claims": {"team": ["payments"]}}, {}, False, id="a claim that is absent"),
    pytest.param({"claims": {"mfa": ["true"]}}, {"mfa": True}, True, id="a boolean"),
    pytest.param({"claims": {"mfa": ["true"]}}, {"mfa": 1}, False, id="a number for a boolean"),
    pytest.param({"claims": {"level": ["3"]}}, {"level": 3}, True, id="a number"),
    pytest.param(
        {"groups": ["corp:platform"], "claims": {"mfa": ["true"]}},
        {"realm_access": {"roles": ["platform"]}},
        False,
        id="a group without the claim",
    ),
    pytest.param(
        {"groups": ["system:masters", "system:serviceaccounts:shop"]},
        {"realm_access": {"roles": ["system:masters", "system:serviceaccounts:shop"]}},
        False,
        id="groups of the cluster",
    ),
    pytest.param({"serviceAccounts": ["shop/alice"]}, {"sub": "system:serviceaccount:shop:alice"}, False, id="account"),
]


@pytest.mark.parametrize(("grant", "claims", "admitted"), GRANTS)
async def test_grants_are_for_groups_and_claims_of_the_token(
    tmp_path: Path, issuer: Issuer, container: str, grant: dict[str, Any], claims: dict[str, Any], admitted: bool
) -> None:
    file = {"issuers": [issuer.configured(groupsClaim="realm_access.roles")]}
    async with guarded(tmp_path / "access.yaml", file) as world:
        world.agent(url=container, access={"grants": [grant]})
        subject = claims.pop("sub", "alice")
        answer = await world.rpc("SendMessage", {"message": message()}, **of(issuer, subject, **claims))
        assert ("result" in answer) is admitted
        if not admitted:
            assert answer["status"] == 404


async def test_a_reload_keeps_the_keys_of_an_issuer_that_did_not_change(
    time: SetClock, issuer: Issuer, tmp_path: Path
) -> None:
    path = tmp_path / "access.yaml"
    path.write_bytes(orjson.dumps({"issuers": [issuer.configured()]}))
    fetcher = KeyFetcher(SYSTEM)
    file = AccessFile(str(path), time.clock, fetcher)
    state = file.load()
    assert state is not None
    token = fresh(issuer)
    assert isinstance(await state.verifier.principal(token), Principal)
    path.write_bytes(orjson.dumps({"issuers": [issuer.configured()], "admins": ["corp:root"]}))
    changed = file.load(state)
    assert changed is not None
    assert (await changed.verifier.principal(token)).name == "corp:alice"
    assert issuer.fetched == 1
    path.write_bytes(orjson.dumps({"issuers": [issuer.configured("renamed")]}))
    renamed = file.load(changed)
    assert renamed is not None
    assert (await renamed.verifier.principal(token)).name == "renamed:alice"
    path.write_bytes(b"{}")
    removed = file.load(renamed)
    assert removed is not None
    assert await reason(removed.verifier, token) == "wrong-issuer"
    await fetcher.close()
