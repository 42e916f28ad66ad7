"""Tokens of the installation's own HMAC keys."""

from typing import Any

import orjson
import pytest
from tests.parts.clocks import SetClock
from tests.parts.issuer import AUDIENCE, ec_key, jwk
from tests.parts.tokens import KeySet, compact, issuer, verifier

from lambdaagent.identity import jwts
from lambdaagent.identity.errors import CredentialError
from lambdaagent.identity.verifier import Verifier

NOW = 1_790_000_000
DAY = 24 * 3600
KEY, OTHER, EC = b"k" * 32, b"o" * 48, ec_key(11)
HEADER = {"alg": "HS256", "kid": "batch"}


def made() -> Verifier:
    return verifier(
        SetClock(NOW).clock,
        (issuer("corp", "https://id.example.com"), KeySet([jwk(EC, "batch")])),
        hmac_keys={"batch": KEY, "other": OTHER},
        groups={"batch": frozenset({"jobs"})},
    )


def claims(**changes: Any) -> dict[str, Any]:
    found = {"iss": "lambdaagent", "aud": AUDIENCE, "sub": "batch", "iat": NOW, "exp": NOW + 60, **changes}
    return {name: value for name, value in found.items() if value is not None}


def token(payload: bytes | dict[str, Any], header: dict[str, Any] | None = None, key: bytes = KEY) -> str:
    return compact({**HEADER, **(header or {})}, payload, key, "HS256")


async def reason(credential: str) -> str:
    with pytest.raises(CredentialError) as caught:
        await made().principal(credential)
    return caught.value.reason


async def test_a_token_is_its_key_with_the_groups_of_the_file() -> None:
    for given in (token(claims()), jwts.hmac_token("batch", KEY, now=NOW, seconds=60)):
        found = await made().principal(given)
        assert (found.name, found.source, found.groups, found.expires) == (
            "hmac:batch",
            "hmac",
            {"jobs"},
            NOW + 60,
        )
    assert (await made().principal(jwts.hmac_token("other", OTHER, now=NOW, seconds=1))).groups == frozenset()


async def test_what_a_token_says_of_its_owner_is_nothing() -> None:
    """The key tells who signed; whoever has it writes what it likes."""
    found = await made().principal(token(claims(sub="other", groups=["system:masters"], act={"sub": "corp:root"})))
    assert (found.name, found.groups, found.claims, found.actors) == ("hmac:batch", {"jobs"}, {}, ())


async def test_a_token_is_valid_for_a_day_at_most() -> None:
    assert (await made().principal(jwts.hmac_token("batch", KEY, now=NOW, seconds=DAY))).expires == NOW + DAY
    assert await reason(jwts.hmac_token("batch", KEY, now=NOW, seconds=DAY + 31)) == "too-long"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(claims(exp=NOW - 30), "expired", id="expired"),
        pytest.param(claims(exp=None), "no-expiry", id="no expiry"),
        pytest.param(claims(exp=str(NOW + 60)), "malformed", id="an expiry as a text"),
        pytest.param(orjson.dumps(claims(exp=None))[:-1] + b',"exp":NaN}', "malformed", id="NaN"),
        pytest.param(claims(iat=NOW + 31), "not-yet-valid", id="the future"),
        pytest.param(claims(aud="other"), "wrong-audience", id="another audience"),
        pytest.param(claims(aud=None), "wrong-audience", id="no audience"),
        pytest.param(claims(iss="lambdaagent "), "wrong-issuer", id="another issuer"),
        pytest.param(claims(iss=["lambdaagent"]), "wrong-issuer", id="a list of issuers"),
        pytest.param(orjson.dumps(claims())[:-1] + b',"exp":1}', "malformed", id="an expiry twice"),
    ],
)
async def test_its_claims_are_checked_like_those_of_issuers(payload: bytes | dict[str, Any], expected: str) -> None:
    assert await reason(token(payload)) == expected


@pytest.mark.parametrize(
    ("header", "key", "expected"),
    [
        pytest.param({}, OTHER, "bad-signature", id="the key of another id"),
        pytest.param({"kid": "other"}, KEY, "bad-signature", id="the id of another key"),
        pytest.param({"kid": "Batch"}, KEY, "unknown-key", id="an id in capitals"),
        pytest.param({"kid": "batch\n"}, KEY, "unknown-key", id="a line break in the id"),
        pytest.param({"kid": "../batch"}, KEY, "unknown-key", id="a path as id"),
        pytest.param({"kid": ""}, b"", "unknown-key", id="an empty id and key"),
        pytest.param({"kid": ["batch"]}, KEY, "malformed", id="a list of ids"),
        pytest.param({}, b"", "bad-signature", id="an empty key"),
        pytest.param({}, KEY + b"\n", "bad-signature", id="the key with its line break"),
        pytest.param({"alg": "HS384"}, KEY, "wrong-algorithm", id="HS384"),
        pytest.param({"alg": "none"}, KEY, "wrong-algorithm", id="none"),
        pytest.param({"alg": "hs256"}, KEY, "wrong-algorithm", id="small letters"),
        pytest.param({"alg": "ES256"}, KEY, "wrong-algorithm", id="ES256"),
        pytest.param({"typ": "lambdaagent-identity+jwt"}, KEY, "wrong-type", id="an assertion"),
        pytest.param({"typ": "logout+jwt"}, KEY, "wrong-type", id="a log-out"),
        pytest.param({"jwk": {"kty": "oct", "k": "AA"}}, b"\0", "bad-signature", id="a key in the header"),
    ],
)
async def test_it_is_signed_with_the_key_of_its_id(header: dict[str, Any], key: bytes, expected: str) -> None:
    assert await reason(token(claims(), header, key)) == expected


async def test_a_token_without_an_id_is_refused() -> None:
    assert await reason(compact({"alg": "HS256"}, claims(), KEY, "HS256")) == "unknown-key"


async def test_the_key_of_an_issuer_signs_no_token_of_the_installation() -> None:
    assert await reason(compact({"alg": "ES256", "kid": "batch"}, claims(), EC)) == "wrong-algorithm"


async def test_a_key_of_the_installation_signs_no_token_of_an_issuer() -> None:
    assert await reason(token(claims(iss="https://id.example.com"))) == "wrong-algorithm"


async def test_without_hmac_keys_no_token_passes() -> None:
    with pytest.raises(CredentialError) as caught:
        await verifier(SetClock(NOW).clock).principal(token(claims()))
    assert caught.value.reason == "unknown-key"
