"""The gateway's statements about callers: what agents can do with them, and what not."""

from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.parts.clocks import SetClock
from tests.parts.issuer import ec_key, jwk, rsa_key
from tests.parts.keys import pem
from tests.parts.tokens import KeySet, compact, issuer, verifier

from lambdaagent.a2a.signing import Signer
from lambdaagent.access.principal import Principal
from lambdaagent.containers.turn import Origin
from lambdaagent.identity import assertions
from lambdaagent.identity.assertions import ISSUER, TYPE, statement
from lambdaagent.identity.errors import CredentialError
from lambdaagent.identity.verifier import Verifier

NOW = 1_790_000_000
KEY, OTHER = ec_key(21), ec_key(22)
SIGNER = Signer.from_pem(pem(KEY))
RSA = Signer.from_pem(pem(rsa_key(21)))
URL = "https://id.example.com"


def made(time: SetClock | None = None, *, signer: Signer | None = SIGNER) -> Verifier:
    """Returns a verifier that also trusts an issuer, which has its own key under the gateway's id."""
    clock = (time or SetClock(NOW)).clock
    return verifier(clock, (issuer("corp", URL), KeySet([jwk(OTHER, SIGNER.kid)])), signer=signer)


def stated(
    agent: str = "shop/orders", owner: str = "corp:alice", actors: tuple[str, ...] = (), *, time: SetClock | None = None
) -> str:
    """Returns what the gateway states for an agent."""
    state = statement(SIGNER, (time or SetClock(NOW)).clock)
    assert state is not None
    return state(agent, Origin(owner=owner, actors=actors))


def claims(**changes: Any) -> dict[str, Any]:
    found = {"iss": ISSUER, "aud": "agent:shop/orders", "sub": "corp:alice", "iat": NOW, "exp": NOW + 60, **changes}
    return {name: value for name, value in found.items() if value is not None}


def token(payload: dict[str, Any], header: dict[str, Any] | None = None, key: Any = KEY) -> str:
    whole = {"alg": "ES256", "kid": SIGNER.kid, "typ": TYPE, **(header or {})}
    return compact({name: value for name, value in whole.items() if value is not None}, payload, key)


async def reason(credential: str, by: Verifier | None = None) -> str:
    with pytest.raises(CredentialError) as caught:
        await (by or made()).principal(credential)
    return caught.value.reason


async def test_the_agent_for_whom_it_is_calls_with_it() -> None:
    for given_ in (stated(), token(claims())):
        found = await made().principal(given_)
        assert found == Principal(
            "agent:shop/orders", source="agent", actors=("corp:alice",), expires=NOW + assertions.SECONDS
        )


async def test_another_agent_that_gets_it_calls_as_the_first_and_never_as_itself() -> None:
    """So an agent must not hand it on; the container that gets one for another agent can see that by its audience."""
    given_ = stated("shop/orders")
    assert (await made().principal(given_)).name == "agent:shop/orders"
    public = jwt.PyJWK.from_dict(SIGNER.public)
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(given_, public, algorithms=["ES256"], audience="agent:shop/echo", options={"verify_exp": False})


async def test_who_called_before_is_kept_in_order() -> None:
    first = await made().principal(stated("shop/a", "corp:alice"))
    second = await made().principal(stated("shop/b", first.name, first.actors))
    third = await made().principal(stated("shop/c", second.name, second.actors))
    assert third.name == "agent:shop/c"
    assert third.actors == ("agent:shop/b", "agent:shop/a", "corp:alice")


async def test_a_long_chain_of_agents_keeps_its_latest_callers_and_the_first() -> None:
    principal = Principal("corp:alice", source="corp")
    for number in range(40):
        principal = await made().principal(stated(f"shop/a{number}", principal.name, principal.actors))
        assert principal.name == f"agent:shop/a{number}"
    assert principal.actors == (*(f"agent:shop/a{number}" for number in range(38, 23, -1)), "corp:alice")


@pytest.mark.parametrize(
    "owner",
    [
        "anonymous",
        f"{'i' * 32}:{'s' * 256}",
        f"corp:{'日' * 256}",
        f"corp:{'𝒳' * 256}",
        f"system:serviceaccount:{'n' * 63}:{'a' * 253}",
        "corp:a b",
    ],
)
async def test_every_caller_that_the_gateway_knows_can_be_stated(owner: str) -> None:
    found = await made().principal(stated(owner=owner))
    assert found.actors == (owner,)
    again = await made().principal(stated(owner=found.name, actors=(owner,) * 16))
    assert again.actors[:2] == (found.name, owner)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["corp:alice", "agent:shop/a", f"corp:{'日' * 256}"]), max_size=20))
async def test_a_chain_of_any_length_is_read_as_it_was_stated(actors: list[str]) -> None:
    found = await made().principal(stated(owner="agent:shop/b", actors=tuple(actors)))
    *latest, first = found.actors
    assert ("agent:shop/b", *actors)[: len(latest)] == tuple(latest)
    assert first == ("agent:shop/b", *actors)[-1]
    assert len(found.actors) == min(len(actors) + 1, 16) or sum(map(len, found.actors)) > 4 * 256


async def test_it_is_valid_for_a_minute() -> None:
    time = SetClock(NOW)
    given_, by = stated(time=time), made(time)
    time.forward(60)
    assert (await by.principal(given_)).name == "agent:shop/orders"  # within the difference of clocks
    time.forward(30)
    assert await reason(given_, by) == "expired"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param({"typ": None}, "unknown-key", id="no type"),
        pytest.param({"typ": "JWT"}, "wrong-type", id="the type of any token"),
        pytest.param({"typ": "JOSE"}, "wrong-type", id="the type of a card's signature"),
        pytest.param({"typ": "at+jwt"}, "wrong-type", id="the type of an access token"),
        pytest.param({"typ": [TYPE]}, "wrong-type", id="a list of types"),
        pytest.param({"kid": None}, "unknown-key", id="no key"),
        pytest.param({"kid": "one"}, "unknown-key", id="another key"),
        pytest.param({"kid": [SIGNER.kid]}, "malformed", id="a list of keys"),
        pytest.param({"alg": "ES384"}, "unknown-key", id="another curve"),
        pytest.param({"alg": "RS256"}, "unknown-key", id="another kind of key"),
        pytest.param({"alg": "HS256"}, "unknown-key", id="a shared key"),
        pytest.param({"alg": "none"}, "wrong-algorithm", id="no signature"),
        pytest.param({"crit": ["x"], "x": 1}, "malformed", id="an extension"),
    ],
)
async def test_it_has_the_header_that_the_gateway_writes(header: dict[str, Any], expected: str) -> None:
    assert await reason(token(claims(), header)) == expected


async def test_a_type_of_null_is_another_type() -> None:
    assert await reason(compact({"alg": "ES256", "kid": SIGNER.kid, "typ": None}, claims(), KEY)) == "wrong-type"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"aud": "lambdaagent"}, "wrong-audience", id="the gateway"),
        pytest.param({"aud": "https://receiver.example.com"}, "wrong-audience", id="a receiver of notifications"),
        pytest.param({"aud": "agent"}, "wrong-audience", id="the beginning of an agent"),
        pytest.param({"aud": "Agent:shop/orders"}, "wrong-audience", id="a capital"),
        pytest.param({"aud": "corp:root"}, "wrong-audience", id="a caller"),
        pytest.param({"aud": "system:serviceaccount:shop:orders"}, "wrong-audience", id="a ServiceAccount"),
        pytest.param({"aud": None}, "malformed", id="nobody"),
        pytest.param({"aud": ["agent:shop/orders"]}, "malformed", id="a list"),
        pytest.param({"aud": ["agent:shop/orders", "agent:shop/admin"]}, "malformed", id="two agents"),
        pytest.param({"aud": "agent:shop/orders\n"}, "malformed", id="a line break"),
        pytest.param({"sub": None}, "malformed", id="no caller"),
        pytest.param({"sub": {"name": "a"}}, "malformed", id="a caller that is no text"),
        pytest.param({"act": {"sub": 1}}, "malformed", id="an earlier caller that is no text"),
        pytest.param({"act": {}}, "malformed", id="an earlier caller without a name"),
        pytest.param({"exp": None}, "no-expiry", id="no expiry"),
        pytest.param({"exp": NOW + 91}, "too-long", id="valid for more than a minute"),
        pytest.param({"iat": None, "exp": NOW + 91}, "too-long", id="valid for more than a minute from now"),
        pytest.param({"exp": NOW - 30}, "expired", id="expired"),
        pytest.param({"iat": NOW + 31}, "not-yet-valid", id="the future"),
    ],
)
async def test_it_has_the_claims_that_the_gateway_writes(changes: dict[str, Any], expected: str) -> None:
    assert await reason(token(claims(**changes))) == expected


async def test_it_is_signed_with_the_gateways_key() -> None:
    assert await reason(token(claims(), key=OTHER)) == "bad-signature"
    assert await reason(token(claims(), {"jwk": jwk(OTHER, SIGNER.kid)}, OTHER)) == "bad-signature"
    # The key that an issuer publishes under the gateway's id is no key of the gateway, nor the other way round.
    assert await reason(token(claims(iss=URL), {"typ": "JWT"}, OTHER)) == "wrong-audience"
    assert await reason(token(claims(iss=URL, aud="lambdaagent"), {"typ": "JWT"}, KEY)) == "bad-signature"
    assert await reason(token(claims(iss=URL, aud="lambdaagent"), {}, OTHER)) == "wrong-type"


async def test_nothing_else_that_the_gateway_signs_is_one() -> None:
    """Cards and notifications are signed with the same key."""
    header = {"alg": "ES256", "kid": SIGNER.kid, "typ": "JOSE"}
    assert await reason(SIGNER.token(claims())) == "wrong-type"
    assert await reason(SIGNER.token(claims(), jwks_url="https://gw.example.com/jwks")) == "wrong-type"
    card = {"name": "echo", **claims()}
    (signed,) = SIGNER.signed(card, jwks_url="https://gw.example.com/jwks")["signatures"][:1]
    assert signed["protected"]
    assert await reason(compact(header, card, KEY)) == "wrong-type"


async def test_an_issuer_cannot_state_for_the_gateway() -> None:
    """The gateway's name as an issuer is looked up among the gateway's own, so it is never taken for another's."""
    for by in (made(), made(signer=None)):
        assert await reason(token(claims(aud="lambdaagent"), {"typ": "JWT"}, OTHER), by) in (
            "wrong-type",
            "wrong-issuer",
        )


async def test_a_gateway_without_an_ec_key_states_and_accepts_nothing() -> None:
    assert statement(None, SetClock(NOW).clock) is None
    assert statement(RSA, SetClock(NOW).clock) is None
    assert await reason(stated(), made(signer=None)) == "wrong-issuer"


async def test_each_has_an_id_and_no_more_than_it_must() -> None:
    time = SetClock(NOW)
    state = statement(SIGNER, time.clock)
    assert state is not None
    first, second = (
        jwt.decode(state("shop/a", Origin(owner="corp:alice", headers=(("authorization", "x"),))), options=_PLAIN)
        for _ in range(2)
    )
    assert first.pop("jti") != second.pop("jti")
    assert first == {"iss": ISSUER, "aud": "agent:shop/a", "sub": "corp:alice", "iat": NOW, "exp": NOW + 60}


_PLAIN: Any = {"verify_signature": False}
